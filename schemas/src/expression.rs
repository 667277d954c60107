//! Filters and calculations: CEL (Common Expression Language) expressions over an event and its parameters.
//!
//! [`Expression::compile`] and [`Expression::check`] run when an expression is stored and report violations; [`Expression::holds`] and
//! [`Expression::value`] run for each event. Tenants write expressions, so their cost is bounded: sources are short, trees are shallow,
//! loops over lists do not nest, and regular expressions are not available. What an evaluation may read and copy is estimated from the
//! event's values before it begins ([`WORK_MAX`]), and its result is limited ([`RESULT_BYTES_MAX`]).
//!
//! Parameters are available under their names (`account.name`), the envelope as `event.id`, `event.type`, `event.time`,
//! `event.subject`, `event.sequence`, `event.object`, `event.before` and `event.after`. A parameter that the event does not have is
//! `null`, unless the expression tests it with `has(…)`. Amounts are strings: `decimal("12.50")` returns an integer number of millionths,
//! with exact comparisons and sums, and `amount(…)` converts it back to a string.

mod cost;
mod names;
mod scope;
#[cfg(test)]
mod tests;

use std::{
    collections::HashSet,
    fmt,
    sync::{Arc, LazyLock},
    thread,
};

use cel::{
    Env, ExecutionError, Program, Value,
    common::ast::{Expr, IdedExpr, LiteralValue},
    objects::Key,
};
use serde_json::Value as Json;

pub use self::scope::Scope;
use crate::{
    events::parameters::{is_offered, nearest},
    money::Decimal,
    refusal::Code,
};

/// Maximum length of a source, in characters.
pub const SOURCE_CHARS_MAX: usize = 2_000;
/// Maximum depth of a tree. Evaluation recurses to this depth on a worker's stack.
const DEPTH_MAX: usize = 48;
/// Maximum number of nodes in a tree.
const PARTS_MAX: usize = 1_000;
/// Maximum number of loops over lists (`map`, `filter`, `all`, `exists`); loops must not nest.
const ROUNDS_MAX: usize = 4;
/// Stack size for compiling: the parser recurses as deep as the source nests, before its depth can be measured.
const COMPILER_STACK_BYTES: usize = 64 * 1024 * 1024;

/// Maximum work of the expressions of one subscription for one event: bytes of values that they may read and copy, each value with 64 bytes
/// besides its text.
pub const WORK_MAX: u64 = 32 * 1024 * 1024;
/// Maximum size of a result, in bytes of JSON.
pub const RESULT_BYTES_MAX: usize = 256 * 1024;
/// Maximum size of all results of one subscription for one event, in bytes of JSON.
pub const RESULTS_BYTES_MAX: usize = 1024 * 1024;
/// Maximum length of an error, in characters: the evaluator quotes values in its errors.
const ERROR_CHARS_MAX: usize = 300;

/// What the expressions of one subscription may still do for one event.
#[derive(Debug)]
pub struct Budget {
    work: u64,
    bytes: usize,
}

impl Default for Budget {
    fn default() -> Self {
        Self { work: WORK_MAX, bytes: RESULTS_BYTES_MAX }
    }
}

/// The envelope members of `event`, each with whether it has members of its own.
const ENVELOPE: [(&str, bool); 8] = [
    ("id", false),
    ("type", false),
    ("time", false),
    ("subject", false),
    ("sequence", false),
    ("object", true),
    ("before", true),
    ("after", true),
];

/// An error in an expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// `expression_syntax`, `expression_too_complex` or `expression_unknown_parameter`.
    pub code: Code,
    /// Human-readable text.
    pub message: String,
}

/// A compiled expression.
pub struct Expression {
    program: Program,
    source: String,
    /// Names used outside `has`, e.g. `account.name`.
    used: Vec<String>,
    /// Names tested with `has`.
    asked: HashSet<String>,
    required_text: Option<(String, String)>,
    /// Functions and types it uses that do not exist.
    unknown: Vec<String>,
}

impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Expression").field(&self.source).finish()
    }
}

static ENVIRONMENT: LazyLock<Arc<Env>> = LazyLock::new(|| Arc::new(Env::stdlib()));

impl Expression {
    /// Compiles `source`.
    ///
    /// # Errors
    /// `expression_syntax`, `expression_too_complex`.
    pub fn compile(source: &str) -> Result<Self, Fault> {
        let complex = |message: String| Fault { code: Code::ExpressionTooComplex, message };
        if source.chars().count() > SOURCE_CHARS_MAX {
            return Err(complex(format!("the expression must not be longer than {SOURCE_CHARS_MAX} characters")));
        }
        let compile = || {
            let program = ENVIRONMENT.compile(source).map_err(|errors| Fault { code: Code::ExpressionSyntax, message: syntax(&errors) })?;
            let size = names::measure(program.expression());
            if size.depth > DEPTH_MAX || size.parts > PARTS_MAX {
                return Err(complex("the expression is too large or nested too deeply".to_owned()));
            }
            if size.rounds > ROUNDS_MAX || size.nested_rounds {
                return Err(complex(format!("at most {ROUNDS_MAX} loops over lists are allowed, and they must not be nested")));
            }
            let (used, asked) = names::references(program.expression());
            let required_text = names::required_text(program.expression());
            let unknown = names::unknown(program.expression());
            Ok(Self { program, source: source.to_owned(), used, asked, required_text, unknown })
        };
        // Compiling needs its own thread for the large stack: deeply nested source must be refused, not overflow the stack.
        thread::scope(|scope| {
            let compiling = thread::Builder::new().stack_size(COMPILER_STACK_BYTES).spawn_scoped(scope, compile);
            let compiled = compiling.map(|compiling| compiling.join());
            match compiled {
                Ok(Ok(compiled)) => compiled,
                _ => Err(Fault { code: Code::ExpressionSyntax, message: "the expression cannot be parsed".to_owned() }),
            }
        })
    }

    /// Checks that the functions and types in the expression exist. Unlike [`Expression::compile`], it refuses what an earlier version stored and
    /// what fails only if the evaluation gets there.
    ///
    /// # Errors
    /// `expression_syntax`, with the most similar function.
    pub fn ensure_known_functions(&self) -> Result<(), Fault> {
        let Some(name) = self.unknown.first() else { return Ok(()) };
        let name: String = name.chars().take(ERROR_CHARS_MAX).collect();
        let near = nearest(&name, names::FUNCTIONS.iter().chain(names::METHODS).copied());
        let hint = if near.is_empty() { String::new() } else { format!("; most similar: {}", near.join(", ")) };
        Err(Fault { code: Code::ExpressionSyntax, message: format!("there is no function '{name}'{hint}") })
    }

    /// Checks every name in the expression against the parameters that events of a type offer.
    ///
    /// # Errors
    /// `expression_unknown_parameter` for each name that is not offered, with the most similar names.
    pub fn check(&self, event_type: &str, offered: &[String]) -> Result<(), Vec<Fault>> {
        let unknown = self.used.iter().chain(&self.asked).filter(|name| !in_envelope(name) && !is_offered(offered, name));
        let faults: Vec<Fault> = unknown
            .map(|name| {
                let near = nearest(name, offered.iter().map(String::as_str));
                let hint = if near.is_empty() { String::new() } else { format!("; most similar: {}", near.join(", ")) };
                Fault { code: Code::ExpressionUnknownParameter, message: format!("{event_type} does not offer '{name}'{hint}") }
            })
            .collect();
        if faults.is_empty() { Ok(()) } else { Err(faults) }
    }

    /// Whether the expression is true for an event.
    ///
    /// # Errors
    /// A human-readable error: incompatible types, too much work, or a result that is not `true` or `false`.
    pub fn holds(&self, scope: &Scope) -> Result<bool, String> {
        match self.run(scope, &mut Budget::default())? {
            Value::Bool(holds) => Ok(holds),
            other => Err(format!("the expression returns a {}, not true or false", other.type_of())),
        }
    }

    /// The result for an event, as JSON; reduces `budget` by its cost.
    ///
    /// # Errors
    /// A human-readable error: incompatible types, too much work, or a result that is too large.
    pub fn value(&self, scope: &Scope, budget: &mut Budget) -> Result<Json, String> {
        let value = self.run(scope, budget)?;
        let most = RESULT_BYTES_MAX.min(budget.bytes);
        let bytes = json_bytes(&value);
        if bytes > most {
            let of_all = if most < RESULT_BYTES_MAX { " left by the other expressions of the subscription" } else { "" };
            return Err(format!("the result would have {bytes} bytes of JSON, more than the {most}{of_all}"));
        }
        budget.bytes -= bytes;
        value.json().map_err(|_| "the result cannot be written as JSON".to_owned())
    }

    fn run(&self, scope: &Scope, budget: &mut Budget) -> Result<Value, String> {
        let work = cost::work(self.program.expression(), scope);
        if work > budget.work {
            return Err(format!(
                "the expression would read and copy {work} bytes of this event's values, more than the {} allowed",
                budget.work
            ));
        }
        budget.work -= work;
        let mut named = Scope::default();
        for name in &self.used {
            named.take(scope, name, !self.asked.contains(name));
        }
        for name in &self.asked {
            named.take(scope, name, false);
        }
        self.program.execute(&named.context()).map_err(|error: ExecutionError| error.to_string().chars().take(ERROR_CHARS_MAX).collect())
    }

    /// A parameter and the string it must equal for the expression to be true, if the expression has such a condition. Matchers use it
    /// as an index, instead of evaluating every subscription.
    pub fn required_text(&self) -> Option<&(String, String)> {
        self.required_text.as_ref()
    }

    /// The source text.
    pub fn source(&self) -> &str {
        &self.source
    }
}

fn in_envelope(name: &str) -> bool {
    let Some(("event", member)) = name.split_once('.') else { return false };
    let (first, deeper) = member.split_once('.').map_or((member, false), |(first, _)| (first, true));
    ENVELOPE.iter().any(|(known, has_members)| *known == first && (!deeper || *has_members))
}

/// The parser's first error line, without the source excerpt.
fn syntax(errors: &cel::ParseErrors) -> String {
    let text = errors.to_string();
    text.lines().next().unwrap_or("the expression cannot be parsed").chars().take(300).collect()
}

fn decimal(text: Arc<String>) -> Result<i64, ExecutionError> {
    let bad = |error| ExecutionError::function_error("decimal", format!("'{text}' {error}"));
    text.parse::<Decimal>().map(Decimal::millionths).map_err(bad)
}

fn amount(millionths: i64) -> Arc<String> {
    Arc::new(Decimal::from_millionths(millionths).to_string())
}

/// The size of a value as JSON; of texts that need escapes, a little less.
fn json_bytes(value: &Value) -> usize {
    let (mut bytes, mut todo) = (0, vec![value]);
    while let Some(value) = todo.pop() {
        bytes += match value {
            Value::String(text) => text.len() + 2,
            Value::Bytes(raw) => raw.len().div_ceil(3) * 4 + 2,
            Value::List(items) => {
                todo.extend(items.iter());
                items.len() + 2
            }
            Value::Map(members) => {
                todo.extend(members.map.values());
                2 + members.map.keys().map(|key| if let Key::String(name) = key { name.len() + 4 } else { 24 }).sum::<usize>()
            }
            _ => 20,
        };
    }
    bytes
}

/// The value of a string literal.
fn text_of(expression: &IdedExpr) -> Option<&str> {
    match &expression.expr {
        Expr::Literal(LiteralValue::String(text)) => Some(text.inner()),
        _ => None,
    }
}
