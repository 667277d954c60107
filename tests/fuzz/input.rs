//! Inputs, and how one can fail.

use std::{collections::BTreeMap, fmt};

use billwire_schemas::template::Template;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// What a tenant gives, and what an external system sends for it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Input {
    /// A template, the names that are offered to it, and the parameters of an event.
    Template { template: Template, offered: Vec<String>, parameters: Map<String, Value> },
    /// The added parameters of a subscription, the first of which is its filter too, and an event.
    Expression { parameters: BTreeMap<String, String>, event: Value },
    /// The schema of an event type, that of its next version, and data.
    Schema { schema: Value, next: Value, data: Vec<Value> },
    /// The path of a subscription below an endpoint's URL, and the parameters of an event.
    Path { path: String, base: String, parameters: Map<String, Value> },
}

impl Input {
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Template { .. } => "templates",
            Self::Expression { .. } => "expressions",
            Self::Schema { .. } => "schemas",
            Self::Path { .. } => "paths",
        }
    }
}

/// What an input took.
#[derive(Debug, Serialize, Deserialize)]
pub struct Outcome {
    /// Whether it was accepted, and so also run.
    pub accepted: bool,
    /// Processor time, in seconds.
    pub seconds: f64,
    /// Memory at most, in bytes.
    pub bytes: usize,
}

#[derive(Debug, Clone)]
pub enum Failure {
    /// It ended the process.
    Aborts(String),
    /// It gave no answer in time.
    Hangs,
    /// It took too much processor time, in seconds.
    Slow(f64),
    /// It took too much memory, in bytes.
    Large(usize),
}

impl Failure {
    /// Whether it is of the same kind.
    pub fn is_like(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Aborts(how) => write!(f, "the process ended ({how})"),
            Self::Hangs => write!(f, "no answer within {} s", crate::DEADLINE.as_secs()),
            Self::Slow(seconds) => write!(f, "{seconds:.1} s of processor time"),
            Self::Large(bytes) => write!(f, "{} MiB of memory", bytes >> 20),
        }
    }
}
