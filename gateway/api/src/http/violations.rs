//! From what the JSON Schema crate finds to what a client is told: each violation with pointer, stable code and a text that
//! repeats no more than a little of the input.

use jsonschema::{
    JsonType, ValidationError,
    error::{TypeKind, ValidationErrorKind as Kind},
};
use serde_json::Value;

use crate::{http::problem::Violation, types::patterns::rule_of};

/// Most violations told at once; a body with more is broken in one and the same way.
const TOLD_MAX: usize = 200;

/// Most characters of the input repeated in a text.
const ECHO_MAX: usize = 100;

/// `text`, cut to what may be repeated.
pub(crate) fn capped(text: &str) -> String {
    match text.char_indices().nth(ECHO_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// A member's name as a part of a JSON pointer (RFC 6901).
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
                Violation::at(pointer.clone(), "unknown_field", format!("'{pointer}' is not a member this operation knows."))
            }));
        }
        Kind::Type { kind } => ("wrong_type", format!("must be {}, not {}", wanted(kind), article(found_type(error.instance())))),
        Kind::Enum { options } => ("not_in_enum", format!("must be one of {}", options_of(options))),
        Kind::MaxLength { limit } => ("too_long", format!("must not be longer than {limit} characters")),
        Kind::MinLength { limit } => ("too_short", format!("must have at least {limit} characters")),
        Kind::MaxItems { limit } => ("too_many", format!("must not have more than {limit} items")),
        Kind::MinItems { limit } => ("too_few", format!("must have at least {limit} items")),
        Kind::UniqueItems => ("not_unique", "must not have the same item twice".to_owned()),
        Kind::Maximum { limit } => ("out_of_range", format!("must not be greater than {limit}")),
        Kind::Minimum { limit } => ("out_of_range", format!("must not be less than {limit}")),
        Kind::Pattern { pattern } => ("pattern", rule_of(pattern).to_owned()),
        Kind::Format { format } => ("format", format_rule(format).to_owned()),
        _ => ("invalid", "does not fit the schema".to_owned()),
    };
    let pointer = capped(path);
    let what = if path.is_empty() { "The body".to_owned() } else { format!("'{pointer}'") };
    found.push(Violation::at(path, code, format!("{what} {rule}{}.", echo(error.instance(), code))));
}

/// The value itself, where seeing it helps: never of texts that may be secrets or long.
fn echo(value: &Value, code: &str) -> String {
    match (value, code) {
        (Value::String(text), "not_in_enum") => format!("; '{}' is not", capped(text)),
        (Value::Number(number), "out_of_range") => format!("; {number} is"),
        _ => String::new(),
    }
}

fn options_of(options: &Value) -> String {
    let names = options.as_array().into_iter().flatten().filter_map(Value::as_str).collect::<Vec<_>>();
    names.join(", ")
}

fn format_rule(format: &str) -> &'static str {
    match format {
        "date-time" => "must be a date and time with offset (RFC 3339), such as 2027-01-15T09:30:00Z",
        "date" => "must be a date (ISO 8601), such as 2027-01-15",
        "uuid" => "must be a UUID",
        "email" => "must be an e-mail address",
        _ => "does not have the format asked for",
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
