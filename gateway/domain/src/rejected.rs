//! Refusals and their stable codes. A code is never reused with another meaning.

use std::borrow::Cow;

use billwire_schemas::{clock::Timestamp, refusal::Code};
use chrono::SecondsFormat;

/// A broken rule and its place in the request body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// JSON pointer (RFC 6901) into the body; empty for the body as a whole.
    pub pointer: Cow<'static, str>,
    /// Stable code of the broken rule.
    pub code: Code,
    /// What is wrong and what would be right.
    pub message: String,
}

impl Violation {
    /// A broken rule at `pointer`.
    pub fn new(pointer: impl Into<Cow<'static, str>>, code: Code, message: impl Into<String>) -> Self {
        Self { pointer: pointer.into(), code, message: message.into() }
    }
}

/// A refused command; nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct Rejected {
    /// Stable code of the refusal.
    pub code: Code,
    /// Human-readable text.
    pub message: String,
    /// Every violation, if the refusal is about the body.
    pub violations: Vec<Violation>,
}

impl Rejected {
    fn plain(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), violations: Vec::new() }
    }

    /// 404 for the addressed entity. Another tenant's entity is reported the same way.
    pub fn not_found(code: Code, noun: &str, reference: &str) -> Self {
        Self::plain(code, format!("There is no {noun} '{reference}'."))
    }

    /// 410: the addressed entity was deleted after its retention.
    pub fn purged(noun: &str, reference: &str) -> Self {
        Self::plain(Code::Purged, format!("The {noun} '{reference}' was deleted after its retention."))
    }

    /// 410: events of the window, which must not begin before `first`, were deleted after their retention.
    pub fn window_purged(first: Timestamp) -> Self {
        let first = first.to_rfc3339_opts(SecondsFormat::Micros, true);
        Self::plain(Code::Purged, format!("Events before {first} were deleted after their retention; the window can start there."))
    }

    /// 409: the entity's state does not allow it.
    pub fn conflict(code: Code, message: impl Into<String>) -> Self {
        Self::plain(code, message)
    }

    /// 403.
    pub fn forbidden(code: Code, message: impl Into<String>) -> Self {
        Self::plain(code, message)
    }

    /// 422 for all `violations`; `None` if the list is empty.
    pub fn from_violations(violations: Vec<Violation>) -> Option<Self> {
        let first = violations.first()?;
        let (code, message) = match violations.as_slice() {
            [one] => (one.code, one.message.clone()),
            more => (first.code, format!("{} rules are violated; see errors.", more.len())),
        };
        Some(Self { code, message, violations })
    }

    /// 422 for one violation.
    pub fn violation(pointer: impl Into<Cow<'static, str>>, code: Code, message: impl Into<String>) -> Self {
        Violation::new(pointer, code, message).into()
    }

    /// The same of a body that is a member of another: each violation's place begins with that of the member.
    pub fn under(mut self, member: &str) -> Self {
        for violation in &mut self.violations {
            violation.pointer = format!("{member}{}", violation.pointer).into();
        }
        self
    }

    /// 412 if `if_match` names a version other than `version`.
    ///
    /// # Errors
    /// `stale_version`; the message contains both versions.
    pub fn ensure_current(if_match: Option<i64>, version: i64) -> Result<(), Self> {
        match if_match {
            Some(expected) if expected != version => Err(Self::plain(
                Code::StaleVersion,
                format!("If-Match names version {expected}, but the current version is {version}. Read the object again and retry."),
            )),
            _ => Ok(()),
        }
    }
}

impl From<Violation> for Rejected {
    /// 422 for one violation.
    fn from(violation: Violation) -> Self {
        Self { code: violation.code, message: violation.message.clone(), violations: vec![violation] }
    }
}
