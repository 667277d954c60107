//! Filters and calculations: CEL (Common Expression Language) over an event and its parameters.
//!
//! [`Expression::compile`] and [`Expression::check`] run when something is saved and name the fault; [`Expression::holds`] and
//! [`Expression::value`] run when an event comes by. Expressions are written by tenants, so what they may cost is bounded before
//! they run: the source is short, trees are shallow, lists are gone over in one level only, and there are no regular expressions. CEL
//! itself has neither loops nor side effects.
//!
//! An event's parameters are there under their names (`account.name`), its envelope as `event.id`, `event.type`, `event.time`,
//! `event.subject`, `event.sequence`, `event.object`, `event.before` and `event.after`. A parameter that this event lacks is `null`,
//! except in `has(…)`, which asks for just that. Amounts are texts: `decimal("12.50")` gives whole millionths, whose comparisons and sums
//! are exact, and `amount(…)` writes them as a text again.

mod names;
#[cfg(test)]
mod tests;

use crate::refusal::Code;
use std::{
    collections::{HashMap, HashSet},
    fmt,
    sync::{Arc, LazyLock},
    thread,
};

use cel::{
    Context, Env, ExecutionError, Program, Value,
    common::ast::{Expr, IdedExpr, LiteralValue},
    objects::{Key, Map},
};
use serde_json::{Map as JsonMap, Value as Json};

use crate::{events::parameters::nearest, money::Decimal};

/// Longest source, in characters.
pub const SOURCE_CHARS_MAX: usize = 2_000;
/// Deepest tree. An evaluation goes as deep, and its stack is a worker's.
const DEPTH_MAX: usize = 48;
/// Parts of a tree.
const PARTS_MAX: usize = 1_000;
/// Lists gone over (`map`, `filter`, `all`, `exists`), none of them within another.
const ROUNDS_MAX: usize = 4;
/// Stack to compile with: the parser goes as deep as the source says before anything can be measured.
const COMPILER_STACK_BYTES: usize = 64 * 1024 * 1024;

/// The members of `event` besides the parameters of that name, and whether they have members of their own.
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

/// What is wrong with an expression.
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
    /// Names it uses: `account.name`. Those asked for by `has` alone or as well are not among them.
    used: Vec<String>,
    /// Names it asks for by `has`.
    asked: HashSet<String>,
    required_text: Option<(String, String)>,
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
            return Err(complex(format!("the expression is longer than {SOURCE_CHARS_MAX} characters")));
        }
        let compile = || {
            let program = ENVIRONMENT.compile(source).map_err(|errors| Fault { code: Code::ExpressionSyntax, message: syntax(&errors) })?;
            let size = names::measure(program.expression());
            if size.depth > DEPTH_MAX || size.parts > PARTS_MAX {
                return Err(complex("the expression is too large or nested too deeply".to_owned()));
            }
            if size.rounds > ROUNDS_MAX || size.nested_rounds {
                return Err(complex(format!("at most {ROUNDS_MAX} lists can be gone over, none of them within another")));
            }
            let (used, asked) = names::references(program.expression());
            let required_text = names::required_text(program.expression());
            Ok(Self { program, source: source.to_owned(), used, asked, required_text })
        };
        // A thread of its own for its stack: source that is nested too deeply must end in a refusal.
        thread::scope(|scope| {
            let compiling = thread::Builder::new().stack_size(COMPILER_STACK_BYTES).spawn_scoped(scope, compile);
            let compiled = compiling.map(|compiling| compiling.join());
            match compiled {
                Ok(Ok(compiled)) => compiled,
                _ => Err(Fault { code: Code::ExpressionSyntax, message: "the expression cannot be read".to_owned() }),
            }
        })
    }

    /// Holds every name the expression uses against what events of a type offer.
    ///
    /// # Errors
    /// `expression_unknown_parameter` for each name that is not offered, with the nearest.
    pub fn check(&self, event_type: &str, offered: &[String]) -> Result<(), Vec<Fault>> {
        let unknown = self.used.iter().chain(&self.asked).filter(|name| !in_envelope(name) && !offered.contains(name));
        let faults: Vec<Fault> = unknown
            .map(|name| {
                let near = nearest(name, offered.iter().map(String::as_str));
                let hint = if near.is_empty() { String::new() } else { format!("; nearest: {}", near.join(", ")) };
                Fault { code: Code::ExpressionUnknownParameter, message: format!("{event_type} does not offer '{name}'{hint}") }
            })
            .collect();
        if faults.is_empty() { Ok(()) } else { Err(faults) }
    }

    /// Whether it holds for an event.
    ///
    /// # Errors
    /// What went wrong, for people: types that do not go together, or a result that is not `true` or `false`.
    pub fn holds(&self, scope: &Scope) -> Result<bool, String> {
        match self.run(scope)? {
            Value::Bool(holds) => Ok(holds),
            other => Err(format!("the expression gives a {}, not true or false", other.type_of())),
        }
    }

    /// What it gives for an event, as JSON.
    ///
    /// # Errors
    /// What went wrong, for people.
    pub fn value(&self, scope: &Scope) -> Result<Json, String> {
        self.run(scope)?.json().map_err(|error| error.to_string())
    }

    fn run(&self, scope: &Scope) -> Result<Value, String> {
        let missing: Vec<&String> = self.used.iter().filter(|name| !self.asked.contains(*name) && !scope.has(name)).collect();
        let said = |error: ExecutionError| error.to_string();
        if missing.is_empty() {
            return self.program.execute(&scope.context()).map_err(said);
        }
        let mut scope = scope.clone();
        for name in missing {
            scope.set(name, &Json::Null);
        }
        self.program.execute(&scope.context()).map_err(said)
    }

    /// A parameter and the text it must be equal to for the expression to hold, if there is such a one: lets a matcher look up
    /// who wants an event instead of asking everyone.
    pub fn required_text(&self) -> Option<&(String, String)> {
        self.required_text.as_ref()
    }

    /// What it was compiled from.
    pub fn source(&self) -> &str {
        &self.source
    }
}

fn in_envelope(name: &str) -> bool {
    let Some(("event", member)) = name.split_once('.') else { return false };
    let (first, deeper) = member.split_once('.').map_or((member, false), |(first, _)| (first, true));
    ENVELOPE.iter().any(|(known, has_members)| *known == first && (!deeper || *has_members))
}

/// The parser's complaint, without its picture of the source.
fn syntax(errors: &cel::ParseErrors) -> String {
    let text = errors.to_string();
    text.lines().next().unwrap_or("the expression cannot be read").chars().take(300).collect()
}

/// What an expression can name: an event and its parameters.
#[derive(Debug, Clone, Default)]
pub struct Scope {
    groups: JsonMap<String, Json>,
}

impl Scope {
    /// The scope of an event: the CloudEvents JSON object as it stands on the stream.
    pub fn of(event: &Json) -> Self {
        let mut scope = Self::default();
        for (name, value) in event["data"]["parameters"].as_object().into_iter().flatten() {
            scope.set(name, value);
        }
        for (name, _) in ENVELOPE {
            let found = match name {
                "object" | "before" | "after" => event["data"].get(name),
                _ => event.get(name),
            };
            if let Some(value) = found {
                scope.set(&format!("event.{name}"), value);
            }
        }
        scope
    }

    /// The value of a parameter or member of the envelope.
    pub fn get(&self, name: &str) -> Option<&Json> {
        let mut parts = name.split('.');
        let first = self.groups.get(parts.next()?)?;
        parts.try_fold(first, |value, part| value.get(part))
    }

    fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    fn set(&mut self, name: &str, value: &Json) {
        let mut members = &mut self.groups;
        let mut parts = name.split('.').peekable();
        while let Some(part) = parts.next() {
            if parts.peek().is_none() {
                members.insert(part.to_owned(), value.clone());
                return;
            }
            let inner = members.entry(part).or_insert_with(|| Json::Object(JsonMap::new()));
            // A name that goes on beyond another parameter's value has no place.
            let Json::Object(inner) = inner else { return };
            members = inner;
        }
    }

    fn context(&self) -> Context<'static, 'static> {
        let mut context = Context::with_env(ENVIRONMENT.clone());
        for (name, value) in &self.groups {
            context.add_variable_from_value(name.as_str(), cel_value(value));
        }
        // The names are ours alone, so neither can be taken.
        let _ = context.add_function("decimal", decimal);
        let _ = context.add_function("amount", amount);
        context
    }
}

fn decimal(text: Arc<String>) -> Result<i64, ExecutionError> {
    let bad = |error| ExecutionError::function_error("decimal", format!("'{text}' {error}"));
    text.parse::<Decimal>().map(Decimal::millionths).map_err(bad)
}

fn amount(millionths: i64) -> Arc<String> {
    Arc::new(Decimal::from_millionths(millionths).to_string())
}

fn cel_value(json: &Json) -> Value {
    match json {
        Json::Null => Value::Null,
        Json::Bool(value) => Value::Bool(*value),
        Json::Number(number) => number.as_i64().map_or_else(|| Value::Float(number.as_f64().unwrap_or(f64::NAN)), Value::Int),
        Json::String(text) => Value::String(Arc::new(text.clone())),
        Json::Array(items) => Value::List(Arc::new(items.iter().map(cel_value).collect())),
        Json::Object(members) => {
            let members = members.iter().map(|(name, value)| (Key::String(Arc::new(name.clone())), cel_value(value)));
            Value::Map(Map { map: Arc::new(members.collect::<HashMap<_, _>>()) })
        }
    }
}

/// A literal text.
fn text_of(expression: &IdedExpr) -> Option<&str> {
    match &expression.expr {
        Expr::Literal(LiteralValue::String(text)) => Some(text.inner()),
        _ => None,
    }
}
