//! Converts JSON Schema errors to violations: each with pointer, stable code and a message that quotes only a short part of the input.

use jsonschema::{
    JsonType, ValidationError,
    error::{TypeKind, ValidationErrorKind as Kind},
};
use serde_json::Value;

use crate::{
    http::problem::Violation,
    types::{
        patterns::{ADDRESS_RULE, rule_of},
        scalars::{DATE_RULE, MOMENT_RULE},
    },
};

/// Maximum number of reported violations; a body with more repeats the same ones.
const TOLD_MAX: usize = 200;

/// Maximum number of input characters quoted in a message.
const ECHO_MAX: usize = 100;

/// `text`, truncated for quoting.
pub(crate) fn capped(text: &str) -> String {
    match text.char_indices().nth(ECHO_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// A member name escaped for a JSON pointer (RFC 6901).
pub(crate) fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// Every violation among `errors`, up to a bound.
pub(crate) fn of<'e>(errors: impl Iterator<Item = ValidationError<'e>>) -> Vec<Violation> {
    let mut found = Vec::new();
    for error in errors {
        tell(&error, &mut found);
        if found.len() >= TOLD_MAX {
            found.truncate(TOLD_MAX);
            break;
        }
    }
    // What breaks its pattern breaks its format as well; one of the two is enough.
    let shapeless: Vec<Option<String>> = found.iter().filter(|one| one.code == "pattern").map(|one| one.pointer.clone()).collect();
    found.retain(|one| one.code != "format" || !shapeless.contains(&one.pointer));
    found
}

fn tell(error: &ValidationError<'_>, found: &mut Vec<Violation>) {
    let path = error.instance_path().as_str();
    let (code, rule) = match error.kind() {
        Kind::Required { property } => {
            let pointer = format!("{path}/{}", escaped(property.as_str().unwrap_or_default()));
            return found.push(Violation::at(pointer.clone(), "missing", format!("'{pointer}' is required.")));
        }
        Kind::AdditionalProperties { unexpected } => {
            return found.extend(unexpected.iter().take(TOLD_MAX).map(|name| {
                let pointer = format!("{path}/{}", capped(&escaped(name)));
                Violation::at(pointer.clone(), "unknown_field", format!("'{pointer}' is not a known member."))
            }));
        }
        Kind::Type { kind } => ("wrong_type", format!("must be {}, not {}", wanted(kind), article(found_type(error.instance())))),
        Kind::Enum { options } => ("not_in_enum", format!("must be one of {}", options_of(options))),
        Kind::MaxLength { limit } => ("too_long", format!("must not be longer than {limit} characters")),
        Kind::MinLength { limit } => ("too_short", format!("must have at least {limit} characters")),
        Kind::MaxItems { limit } => ("too_many", format!("must not have more than {limit} items")),
        Kind::MaxProperties { limit } => ("too_many", format!("must not have more than {limit} members")),
        Kind::MinItems { limit } => ("too_few", format!("must have at least {limit} items")),
        Kind::UniqueItems => ("not_unique", "must not list an item twice".to_owned()),
        Kind::Maximum { limit } => ("out_of_range", format!("must not be greater than {limit}")),
        Kind::Minimum { limit } => ("out_of_range", format!("must not be less than {limit}")),
        Kind::Pattern { pattern } => ("pattern", rule_of(pattern).to_owned()),
        Kind::Format { format } => ("format", format_rule(format)),
        _ => ("invalid", "does not match the schema".to_owned()),
    };
    let pointer = capped(path);
    let what = if path.is_empty() { "The body".to_owned() } else { format!("'{pointer}'") };
    found.push(Violation::at(path, code, format!("{what} {rule}{}.", echo(error.instance(), code))));
}

/// Quotes the value where that helps; never strings that may be secret or long.
fn echo(value: &Value, code: &str) -> String {
    match (value, code) {
        (Value::String(text), "not_in_enum") => format!("; got '{}'", capped(text)),
        (Value::Number(number), "out_of_range") => format!("; got {number}"),
        _ => String::new(),
    }
}

fn options_of(options: &Value) -> String {
    let names = options.as_array().into_iter().flatten().filter_map(Value::as_str).collect::<Vec<_>>();
    names.join(", ")
}

fn format_rule(format: &str) -> String {
    match format {
        "date-time" => format!("must be {MOMENT_RULE}"),
        "date" => format!("must be {DATE_RULE}"),
        "uuid" => "must be a UUID".to_owned(),
        "idn-email" => ADDRESS_RULE.to_owned(),
        _ => "does not have the required format".to_owned(),
    }
}

fn wanted(kind: &TypeKind) -> &'static str {
    match kind {
        TypeKind::Single(one) => article(name_of(*one)),
        TypeKind::Multiple(_) => "of another type",
    }
}

fn name_of(kind: JsonType) -> &'static str {
    match kind {
        JsonType::Array => "array",
        JsonType::Boolean => "boolean",
        JsonType::Integer => "integer",
        JsonType::Null => "null",
        JsonType::Number => "number",
        JsonType::Object => "object",
        JsonType::String => "string",
    }
}

fn found_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn article(name: &'static str) -> &'static str {
    match name {
        "array" => "an array",
        "boolean" => "true or false",
        "integer" => "a whole number",
        "number" => "a number",
        "object" => "an object",
        "string" => "a string",
        other => other,
    }
}
