//! Custom attributes of objects: names and texts that mean something to a tenant's systems, and nothing to billing.

use std::collections::BTreeMap;

use billwire_schemas::{events::envelope::Parameters, refusal::Code};
use serde::{Deserialize, Serialize};

use crate::{
    patch::Patch,
    rejected::{Rejected, Violation},
};

/// Maximum number of attributes of an object.
const COUNT_MAX: usize = 50;
/// Maximum size of an object's attributes, names and texts together, in bytes of UTF-8: the events of an account's other objects offer them
/// as parameters, so each of a thousand charges has them.
const BYTES_MAX: usize = 16 * 1024;
/// Maximum length of a name.
const NAME_MAX: usize = 64;

/// An object's attributes: texts by name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Attributes(BTreeMap<String, String>);

/// A change of attributes, as a merge patch (RFC 7396): a text sets the attribute of its name, none removes it. To unset them removes all.
pub type Changes = Patch<BTreeMap<String, Option<String>>>;

/// Whether this is the name of an attribute.
pub fn is_name(name: &str) -> bool {
    let first = name.bytes().next().is_some_and(|first| first.is_ascii_alphabetic());
    first && name.len() <= NAME_MAX && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'))
}

impl From<BTreeMap<String, String>> for Attributes {
    fn from(texts: BTreeMap<String, String>) -> Self {
        Self(texts)
    }
}

impl Attributes {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Names and texts.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, text)| (name.as_str(), text.as_str()))
    }

    /// The attributes after a change.
    #[must_use]
    pub fn after(&self, changes: &Changes) -> Self {
        let wanted = match changes {
            Patch::Keep => return self.clone(),
            Patch::Unset => return Self::default(),
            Patch::Set(wanted) => wanted,
        };
        let mut after = self.0.clone();
        for (name, text) in wanted {
            match text {
                Some(text) => drop(after.insert(name.clone(), text.clone())),
                None => drop(after.remove(name)),
            }
        }
        Self(after)
    }

    /// The bounds that they exceed: `too_many_attributes`, `attributes_too_large`.
    pub fn violations(&self) -> Vec<Violation> {
        let (count, bytes) = (self.0.len(), self.iter().map(|(name, text)| name.len() + text.len()).sum::<usize>());
        let mut broken = Vec::new();
        if count > COUNT_MAX {
            let message = format!("There would be {count} attributes; at most {COUNT_MAX} are allowed.");
            broken.push(Violation::new("/attributes", Code::TooManyAttributes, message));
        }
        if bytes > BYTES_MAX {
            let message = format!("The attributes would take {bytes} bytes, names and texts together; at most {BYTES_MAX} are allowed.");
            broken.push(Violation::new("/attributes", Code::AttributesTooLarge, message));
        }
        broken
    }

    /// The attributes after a change, if they are within their bounds.
    ///
    /// # Errors
    /// `too_many_attributes`, `attributes_too_large`.
    pub fn changed(&self, changes: &Changes) -> Result<Self, Rejected> {
        let after = self.after(changes);
        match Rejected::from_violations(after.violations()) {
            Some(rejected) => Err(rejected),
            None => Ok(after),
        }
    }

    /// Adds them to parameters under this name, if there are any.
    pub(crate) fn offer(&self, name: &str, parameters: &mut Parameters) {
        if !self.is_empty() {
            let texts = self.iter().map(|(name, text)| (name.to_owned(), text.into()));
            parameters.insert(name.to_owned(), serde_json::Value::Object(texts.collect()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attributes(texts: &[(&str, &str)]) -> Attributes {
        Attributes(texts.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect())
    }

    fn setting(texts: &[(&str, Option<&str>)]) -> Changes {
        Patch::Set(texts.iter().map(|(name, text)| ((*name).to_owned(), text.map(str::to_owned))).collect())
    }

    #[test]
    fn a_change_sets_and_removes_what_it_names_and_keeps_the_rest() {
        let before = attributes(&[("a", "1"), ("b", "2"), ("c", "3")]);
        let changes = setting(&[("a", None), ("b", Some("4")), ("d", Some("5"))]);
        assert_eq!(before.after(&changes), attributes(&[("b", "4"), ("c", "3"), ("d", "5")]));
        assert_eq!(before.after(&setting(&[("x", None)])), before, "what is not there cannot go");
        assert_eq!((before.after(&Patch::Keep), before.after(&Patch::Unset)), (before.clone(), Attributes::default()));
    }

    #[test]
    fn a_name_has_letters_digits_and_a_few_marks_and_begins_with_a_letter() {
        for name in ["a", "Region", "cost-center", "x.y_z-9", &"n".repeat(64)] {
            assert!(is_name(name), "{name}");
        }
        for name in ["", "9a", ".a", "a b", "a:b", "\u{e4}", &"n".repeat(65)] {
            assert!(!is_name(name), "{name}");
        }
    }

    #[test]
    fn number_and_size_are_bounded_after_the_change() {
        let codes = |attributes: &Attributes| attributes.violations().iter().map(|broken| broken.code).collect::<Vec<_>>();
        let many = Attributes((0..50).map(|n| (format!("n{n}"), "x".to_owned())).collect());
        assert_eq!(codes(&many), Vec::<Code>::new());
        assert_eq!(many.changed(&setting(&[("n0", Some("y"))])).map(|after| after.0.len()), Ok(50));
        assert_eq!(codes(&many.after(&setting(&[("more", Some("x"))]))), [Code::TooManyAttributes]);
        let full = Attributes((0..16).map(|n| (format!("{n:024}"), "x".repeat(1_000))).collect());
        assert_eq!(codes(&full), Vec::<Code>::new(), "16 KiB");
        assert_eq!(full.changed(&setting(&[("a", Some("b"))])).map_err(|refused| refused.code), Err(Code::AttributesTooLarge));
    }
}
