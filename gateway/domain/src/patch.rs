//! A change of an optional member, as a merge patch (RFC 7396) names it: absent, null or a value.

/// What an update asks of an optional member.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Patch<T> {
    /// The member keeps its value.
    #[default]
    Keep,
    /// The member is unset.
    Unset,
    /// The member gets this value.
    Set(T),
}

impl<T> Patch<T> {
    /// The member after the change.
    pub fn apply(self, before: Option<T>) -> Option<T> {
        match self {
            Self::Keep => before,
            Self::Unset => None,
            Self::Set(value) => Some(value),
        }
    }

    /// The change with another value.
    pub fn map<U>(self, convert: impl FnOnce(T) -> U) -> Patch<U> {
        match self {
            Self::Keep => Patch::Keep,
            Self::Unset => Patch::Unset,
            Self::Set(value) => Patch::Set(convert(value)),
        }
    }

    /// The new value, where `nothing` stands for an unset member; `None` if the member keeps its value.
    pub fn or(self, nothing: T) -> Option<T> {
        match self {
            Self::Keep => None,
            Self::Unset => Some(nothing),
            Self::Set(value) => Some(value),
        }
    }

    /// The same change, by reference.
    pub fn as_ref(&self) -> Patch<&T> {
        match self {
            Self::Keep => Patch::Keep,
            Self::Unset => Patch::Unset,
            Self::Set(value) => Patch::Set(value),
        }
    }

    /// The value that the member gets.
    pub fn value(self) -> Option<T> {
        self.apply(None)
    }
}

impl<T> From<Option<T>> for Patch<T> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Keep, Self::Set)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_is_kept_unset_or_set() {
        assert_eq!([Patch::Keep, Patch::Unset, Patch::Set(2)].map(|patch| patch.apply(Some(1))), [Some(1), None, Some(2)]);
        assert_eq!([Patch::Keep, Patch::Unset, Patch::Set(2)].map(|patch| patch.or(0)), [None, Some(0), Some(2)]);
        assert_eq!([Patch::from(None), Patch::from(Some(1))], [Patch::Keep, Patch::Set(1)]);
    }
}
