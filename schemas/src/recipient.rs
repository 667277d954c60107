//! Recipients of notifications: an address, a system user, or an address in a parameter of the event.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

use crate::ids::SystemUserId;

/// A recipient as text: an e-mail address, the id of a system user, or the name of a parameter that contains an address.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Recipient {
    /// A fixed address.
    Address(String),
    /// A system user, addressed in their own language and time zone.
    User(SystemUserId),
    /// The address in this parameter of the event.
    Parameter(String),
}

/// Maximum length of an address, RFC 5321 section 4.5.3.1.3 without the angle brackets.
pub const ADDRESS_CHARS_MAX: usize = 254;

/// Whether a text is exactly one address: local part and domain, without spaces, brackets, lists or control characters.
pub fn is_address(text: &str) -> bool {
    let Some((local, domain)) = text.rsplit_once('@') else { return false };
    let atom = |c: char| c.is_alphanumeric() || "!#$%&'*+-/=?^_`{|}~.".contains(c);
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.chars().all(|c| c.is_alphanumeric() || c == '-')
    };
    text.len() <= ADDRESS_CHARS_MAX
        && (1..=64).contains(&local.len())
        && local.chars().all(atom)
        && !local.starts_with('.')
        && !local.ends_with('.')
        && !local.contains("..")
        && domain.split('.').all(label)
}

impl Recipient {
    /// Parses a text; `None` if it is none of the three kinds.
    pub fn parse(text: &str) -> Option<Self> {
        if text.contains('@') {
            return is_address(text).then(|| Self::Address(text.to_owned()));
        }
        if let Ok(id) = text.parse() {
            return Some(Self::User(SystemUserId(id)));
        }
        let word = |word: &str| word.starts_with(|c: char| c.is_ascii_lowercase()) && word.chars().all(|c| c.is_ascii_alphanumeric());
        (text.contains('.') && text.len() <= 128 && text.split('.').all(word)).then(|| Self::Parameter(text.to_owned()))
    }
}

impl fmt::Display for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => f.write_str(address),
            Self::User(id) => id.fmt(f),
            Self::Parameter(name) => f.write_str(name),
        }
    }
}

impl Serialize for Recipient {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Recipient {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| D::Error::custom("must be an e-mail address, the id of a system user or the name of a parameter"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::fresh;

    #[test]
    fn the_three_kinds_are_told_apart_and_read_back() {
        let user = SystemUserId(fresh());
        for recipient in [Recipient::Address("ann@example.org".into()), Recipient::User(user), Recipient::Parameter("contact.email".into())]
        {
            assert_eq!(Recipient::parse(&recipient.to_string()), Some(recipient));
        }
    }

    #[test]
    fn what_could_be_more_than_one_address_is_none() {
        for evil in [
            "",
            "ann",
            "@",
            "ann@",
            "@example.org",
            "a@b@example.org",
            "ann@example.org, bob@example.org",
            "ann@example.org\r\nBcc: all@example.org",
            "Ann <ann@example.org>",
            "<ann@example.org>",
            "ann@example.org>",
            "\"ann\"@example.org",
            "ann@[127.0.0.1]",
            "ann@exa mple.org",
            ".ann@example.org",
            "a..b@example.org",
            "ann@-example.org",
            "ann@example..org",
            "contact",
            "contact.e mail",
            "{{contact.email}}",
        ] {
            assert_eq!(Recipient::parse(evil), None, "{evil:?}");
        }
    }
}
