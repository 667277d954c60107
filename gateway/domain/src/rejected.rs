//! Refusals: every rule's stable code. A code is never reused for another meaning.

use std::borrow::Cow;

/// Which answer a refusal becomes (DESIGN section 4's table of statuses).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The addressed entity does not exist in this tenant: 404.
    NotFound,
    /// The entity is not in a state that allows it: 409.
    Conflict,
    /// A stale `If-Match`: 412.
    Stale,
    /// Well-formed, but breaks a rule: 422.
    Unprocessable,
    /// The caller's key lacks the scope, or the installation does not allow it: 403.
    Forbidden,
}

/// One rule broken, and where in the request body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// JSON pointer (RFC 6901) into the body; empty: the body as a whole.
    pub pointer: Cow<'static, str>,
    /// Stable code of the rule.
    pub code: &'static str,
    /// What is wrong and what would be right.
    pub message: String,
}

impl Violation {
    /// A broken rule at `pointer`.
    pub fn new(pointer: impl Into<Cow<'static, str>>, code: &'static str, message: impl Into<String>) -> Self {
        Self { pointer: pointer.into(), code, message: message.into() }
    }
}

/// A command that was refused; nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct Rejected {
    /// Which answer it becomes.
    pub kind: Kind,
    /// Stable code of the refusal as a whole.
    pub code: &'static str,
    /// For people.
    pub message: String,
    /// Every violation found, where the refusal is about the body.
    pub violations: Vec<Violation>,
}

impl Rejected {
    fn plain(kind: Kind, code: &'static str, message: impl Into<String>) -> Self {
        Self { kind, code, message: message.into(), violations: Vec::new() }
    }

    /// 404 for the addressed entity. A foreign tenant's entity looks the same.
    pub fn not_found(code: &'static str, noun: &str, reference: &str) -> Self {
        Self::plain(Kind::NotFound, code, format!("There is no {noun} '{reference}'."))
    }

    /// 409: the entity's state does not allow it.
    pub fn conflict(code: &'static str, message: impl Into<String>) -> Self {
        Self::plain(Kind::Conflict, code, message)
    }

    /// 403.
    pub fn forbidden(code: &'static str, message: impl Into<String>) -> Self {
        Self::plain(Kind::Forbidden, code, message)
    }

    /// 422 for several violations; `None` when there are none.
    pub fn from_violations(violations: Vec<Violation>) -> Option<Self> {
        let first = violations.first()?;
        let (code, message) = match violations.as_slice() {
            [one] => (one.code, one.message.clone()),
            more => (first.code, format!("{} rules are broken; see errors.", more.len())),
        };
        Some(Self { kind: Kind::Unprocessable, code, message, violations })
    }

    /// 422 for one violation.
    pub fn violation(pointer: impl Into<Cow<'static, str>>, code: &'static str, message: impl Into<String>) -> Self {
        let violation = Violation::new(pointer, code, message);
        Self { kind: Kind::Unprocessable, code, message: violation.message.clone(), violations: vec![violation] }
    }

    /// 412 unless `if_match` is absent or names `version`.
    ///
    /// # Errors
    /// `stale_version`, naming both versions.
    pub fn unless_current(if_match: Option<i64>, version: i64) -> Result<(), Self> {
        match if_match {
            Some(expected) if expected != version => Err(Self::plain(
                Kind::Stale,
                "stale_version",
                format!("If-Match names version {expected}, but the entity is at version {version}. Read it again and repeat."),
            )),
            _ => Ok(()),
        }
    }
}
