//! Refusals: every rule's stable code. A code is never reused for another meaning.

use std::borrow::Cow;

use billwire_schemas::refusal::Code;

/// One rule broken, and where in the request body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// JSON pointer (RFC 6901) into the body; empty: the body as a whole.
    pub pointer: Cow<'static, str>,
    /// Stable code of the rule.
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

/// A command that was refused; nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct Rejected {
    /// Stable code of the refusal as a whole.
    pub code: Code,
    /// For people.
    pub message: String,
    /// Every violation found, where the refusal is about the body.
    pub violations: Vec<Violation>,
}

impl Rejected {
    fn plain(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), violations: Vec::new() }
    }

    /// 404 for the addressed entity. A foreign tenant's entity looks the same.
    pub fn not_found(code: Code, noun: &str, reference: &str) -> Self {
        Self::plain(code, format!("There is no {noun} '{reference}'."))
    }

    /// 409: the entity's state does not allow it.
    pub fn conflict(code: Code, message: impl Into<String>) -> Self {
        Self::plain(code, message)
    }

    /// 403.
    pub fn forbidden(code: Code, message: impl Into<String>) -> Self {
        Self::plain(code, message)
    }

    /// 422 for several violations; `None` when there are none.
    pub fn from_violations(violations: Vec<Violation>) -> Option<Self> {
        let first = violations.first()?;
        let (code, message) = match violations.as_slice() {
            [one] => (one.code, one.message.clone()),
            more => (first.code, format!("{} rules are broken; see errors.", more.len())),
        };
        Some(Self { code, message, violations })
    }

    /// 422 for one violation.
    pub fn violation(pointer: impl Into<Cow<'static, str>>, code: Code, message: impl Into<String>) -> Self {
        let violation = Violation::new(pointer, code, message);
        Self { code, message: violation.message.clone(), violations: vec![violation] }
    }

    /// 412 unless `if_match` is absent or names `version`.
    ///
    /// # Errors
    /// `stale_version`, naming both versions.
    pub fn ensure_current(if_match: Option<i64>, version: i64) -> Result<(), Self> {
        match if_match {
            Some(expected) if expected != version => Err(Self::plain(
                Code::StaleVersion,
                format!("If-Match names version {expected}, but the entity is at version {version}. Read it again and repeat."),
            )),
            _ => Ok(()),
        }
    }
}
