//! Running tenants' JSON Schemas: the compiler, and what data breaks. What a schema may contain was judged by the domain.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use billwire_domain::{Violation, custom_event_type::CustomEventType, data_schema};
use billwire_schemas::ids::EventTypeId;
use jsonschema::{Draft, PatternOptions, ValidationError, Validator, error::ValidationErrorKind};
use serde_json::Value;

/// Most violations told of one schema or one event.
const TOLD_MAX: usize = 50;
/// How large a compiled pattern may be. A tenant's pattern can be small and mean a very large automaton.
const PATTERN_BYTES_MAX: usize = 256 * 1024;
/// Validators kept.
const KEPT_MAX: usize = 256;

/// Compiles a schema.
///
/// # Errors
/// `schema_invalid` for whatever the compiler does not take.
pub(crate) fn compile(schema: &Value) -> Result<Validator, Vec<Violation>> {
    // The linear engine: no event can make it slow.
    let patterns = PatternOptions::regex().size_limit(PATTERN_BYTES_MAX).dfa_size_limit(PATTERN_BYTES_MAX);
    let options = jsonschema::options().with_draft(Draft::Draft202012).should_validate_formats(true).with_pattern_options(patterns);
    options.build(schema).map_err(|first| {
        let meta = jsonschema::draft202012::meta::validator();
        let mut found: Vec<Violation> = meta.iter_errors(schema).take(TOLD_MAX).map(|error| invalid(&error)).collect();
        if found.is_empty() {
            found.push(invalid(&first));
        }
        found
    })
}

fn invalid(error: &ValidationError<'_>) -> Violation {
    let message = format!("This is no JSON Schema (draft 2020-12) we can run: {}.", short(&error.to_string()));
    Violation::new(format!("/schema{}", error.instance_path()), "schema_invalid", message)
}

/// What the compiler finds wrong with a schema that the domain finds nothing wrong with.
pub(crate) fn uncompilable(schema: &Value) -> Vec<Violation> {
    // Only then: the domain's limits keep the compiler from running far.
    if data_schema::faults(schema).is_empty() { compile(schema).err().unwrap_or_default() } else { Vec::new() }
}

/// No more than this much of the input comes back.
fn short(text: &str) -> String {
    match text.char_indices().nth(200) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.trim_end_matches('.').to_owned(),
    }
}

/// Everything by which `data` breaks the schema.
pub(crate) fn broken(validator: &Validator, data: &Value) -> Vec<Violation> {
    if validator.is_valid(data) {
        return Vec::new();
    }
    let mut found = Vec::new();
    for error in validator.iter_errors(data).take(TOLD_MAX) {
        let at = format!("/data{}", error.instance_path());
        let member = |name: &str| format!("{at}/{}", name.replace('~', "~0").replace('/', "~1"));
        match error.kind() {
            ValidationErrorKind::Required { property } => {
                let name = property.as_str().unwrap_or_default();
                found.push(Violation::new(member(name), "data_invalid", format!("'{name}' is required by the schema.")));
            }
            ValidationErrorKind::AdditionalProperties { unexpected } => {
                found.extend(unexpected.iter().take(TOLD_MAX).map(|name| {
                    Violation::new(member(name), "data_invalid", format!("'{}' is not a member the schema knows.", short(name)))
                }))
            }
            _ => found.push(Violation::new(at, "data_invalid", format!("Against the schema: {}.", short(&error.to_string())))),
        }
    }
    found
}

/// Validators by type and version, so that a schema is compiled once and not for each call.
#[derive(Default)]
pub(crate) struct Compiled(Mutex<HashMap<(EventTypeId, i64), Arc<Validator>>>);

impl Compiled {
    /// The validator of a registered type.
    ///
    /// # Errors
    /// When the schema, which compiled when it was registered, does not any more.
    pub fn of(&self, kind: &CustomEventType) -> Result<Arc<Validator>, Vec<Violation>> {
        let key = (kind.id, kind.version);
        if let Some(known) = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return Ok(known.clone());
        }
        let made = Arc::new(compile(&kind.schema)?);
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= KEPT_MAX {
            kept.clear();
        }
        kept.insert(key, made.clone());
        Ok(made)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_schema_that_does_not_compile_is_refused_with_the_place() {
        let places = |schema: Value| -> Vec<String> { uncompilable(&schema).into_iter().map(|v| v.pointer.into_owned()).collect() };
        assert_eq!(places(json!({ "type": "object", "properties": { "a": { "type": "strnig" }, "b": { "maxLength": -1 } } })).len(), 2);
        assert_eq!(places(json!({ "type": "object", "properties": { "a": { "pattern": "(" } } })).len(), 1);
        assert_eq!(places(json!({ "type": "object", "properties": { "a": { "pattern": "(?=x)x" } } })).len(), 1, "only the linear engine");
        assert_eq!(
            places(json!({ "type": "object", "properties": { "a": { "pattern": "(a{1000}){1000}" } } })).len(),
            1,
            "no giant automaton"
        );
        assert_eq!(places(json!({ "type": "object" })), Vec::<String>::new());
    }

    #[test]
    fn every_violation_of_the_data_is_named() {
        let schema = json!({ "type": "object", "required": ["a"], "additionalProperties": false,
                             "properties": { "a": true, "b": { "type": "integer" }, "c": { "format": "date" } } });
        let validator = compile(&schema).expect("a schema");
        let found = broken(&validator, &json!({ "b": "x", "c": "tomorrow", "d/e": 1 }));
        let mut places: Vec<&str> = found.iter().map(|v| v.pointer.as_ref()).collect();
        places.sort_unstable();
        assert_eq!(places, ["/data/a", "/data/b", "/data/c", "/data/d~1e"]);
        assert_eq!(broken(&validator, &json!({ "a": 1, "c": "2027-01-15" })), []);
    }
}
