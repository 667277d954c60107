//! Compiles tenants' JSON Schemas and validates data against them. The domain decides which schemas are allowed and estimates the cost of
//! validation; data that costs more than the limits is refused without validation.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use billwire_domain::{
    Violation,
    events::{
        custom_event_type::CustomEventType,
        data_schema::{self, CALL_WORK_MAX, NAMED_WORK_MAX, WORK_MAX},
    },
};
use billwire_schemas::{ids::EventTypeId, refusal::Code};
use jsonschema::{Draft, PatternOptions, ValidationError, Validator, error::ValidationErrorKind};
use serde_json::Value;
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};

/// Maximum number of violations reported per schema or event.
const TOLD_MAX: usize = 50;
/// Maximum size of a compiled pattern, and of what it keeps while it matches. A short pattern can compile to a very large automaton.
const PATTERN_BYTES_MAX: usize = 256 * 1024;
/// Maximum size of all compiled patterns of a schema; with more than 64 patterns, each may have less than [`PATTERN_BYTES_MAX`].
const PATTERNS_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Maximum estimated size of the cached validators: ten times the schema's size, plus the maximum size of its patterns.
const KEPT_BYTES_MAX: usize = 128 * 1024 * 1024;
/// Validation steps of a call that are done at once, without another thread: some ten microseconds.
pub(crate) const LIGHT_WORK_MAX: usize = 500;
/// Maximum number of concurrent validations, each on a blocking thread.
const JUDGING_MAX: usize = 2;

/// Compiles a schema.
///
/// # Errors
/// `schema_invalid` for each error of the compiler.
pub(crate) fn compile(schema: &Value) -> Result<Validator, Vec<Violation>> {
    // The linear-time engine: no event can make it slow.
    let most = pattern_bytes(data_schema::patterns(schema));
    let patterns = PatternOptions::regex().size_limit(most).dfa_size_limit(most);
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
    let message = format!("The JSON Schema (draft 2020-12) is invalid or not supported: {}.", short(&error.to_string()));
    Violation::new(format!("/schema{}", error.instance_path()), Code::SchemaInvalid, message)
}

/// The compiler's errors for a schema that the domain allows.
pub(crate) fn uncompilable(schema: &Value) -> Vec<Violation> {
    // Only a schema within the domain's limits is safe to compile.
    if data_schema::faults(schema).is_empty() { compile(schema).err().unwrap_or_default() } else { Vec::new() }
}

/// Truncates `text`, so that errors quote only a short part of the input.
fn short(text: &str) -> String {
    match text.char_indices().nth(200) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.trim_end_matches('.').to_owned(),
    }
}

/// The remaining validation steps for the events of one call.
pub(crate) struct Budget(usize);

impl Default for Budget {
    fn default() -> Self {
        Self(CALL_WORK_MAX)
    }
}

/// The violations of the schema in `data`, at most [`TOLD_MAX`]. If `work`, the estimated cost, exceeds [`NAMED_WORK_MAX`], only the fact
/// is reported, because the validator builds all errors before returning the first.
fn broken(validator: &Validator, data: &Value, work: usize) -> Vec<Violation> {
    if validator.is_valid(data) {
        return Vec::new();
    }
    if work > NAMED_WORK_MAX {
        let message = "The data does not match the schema and is too large to list the violations; send smaller data.";
        return vec![Violation::new("/data", Code::DataInvalid, message)];
    }
    let mut found = Vec::new();
    for error in validator.iter_errors(data).take(TOLD_MAX) {
        let at = format!("/data{}", error.instance_path());
        let member = |name: &str| format!("{at}/{}", name.replace('~', "~0").replace('/', "~1"));
        match error.kind() {
            ValidationErrorKind::Required { property } => {
                let name = property.as_str().unwrap_or_default();
                found.push(Violation::new(member(name), Code::DataInvalid, format!("'{name}' is required by the schema.")));
            }
            ValidationErrorKind::AdditionalProperties { unexpected } => found.extend(unexpected.iter().take(TOLD_MAX).map(|name| {
                Violation::new(member(name), Code::DataInvalid, format!("'{}' is not a member the schema defines.", short(name)))
            })),
            _ => found.push(Violation::new(at, Code::DataInvalid, format!("Schema violation: {}.", short(&error.to_string())))),
        }
    }
    found.truncate(TOLD_MAX);
    found
}

/// Cached validators by type and version.
pub(crate) struct Compiled {
    kept: Mutex<Kept>,
    judging: Arc<Semaphore>,
}

#[derive(Default)]
struct Kept {
    validators: HashMap<(EventTypeId, i64), Arc<Validator>>,
    bytes: usize,
}

impl Default for Compiled {
    fn default() -> Self {
        Self { kept: Mutex::default(), judging: Arc::new(Semaphore::new(JUDGING_MAX)) }
    }
}

/// Maximum size of each of so many compiled patterns.
fn pattern_bytes(patterns: usize) -> usize {
    PATTERN_BYTES_MAX.min(PATTERNS_BYTES_MAX / patterns.max(1))
}

/// The estimated size of a validator.
fn bytes(schema: &Value) -> usize {
    let patterns = data_schema::patterns(schema);
    10 * schema.to_string().len() + pattern_bytes(patterns) * patterns
}

impl Compiled {
    /// Waits for a validation permit.
    ///
    /// # Errors
    /// Never while the process runs.
    pub async fn place(&self) -> Result<OwnedSemaphorePermit, AcquireError> {
        self.judging.clone().acquire_owned().await
    }

    /// Whether a validator is there and data takes no more than `left` steps to validate; reduces `left` by them.
    pub fn is_light(&self, kind: &CustomEventType, data: &Value, left: &mut usize) -> bool {
        let work = data_schema::work(&kind.schema, data, *left);
        let light =
            work <= *left && self.kept.lock().unwrap_or_else(PoisonError::into_inner).validators.contains_key(&(kind.id, kind.version));
        *left = left.saturating_sub(work);
        light
    }

    /// The violations in data of a registered type; reduces `budget` by the cost.
    pub fn faults(&self, kind: &CustomEventType, data: &Value, budget: &mut Budget) -> Vec<Violation> {
        let most = WORK_MAX.min(budget.0);
        let work = data_schema::work(&kind.schema, data, most);
        if work > most {
            let message = if most < WORK_MAX {
                format!("Validating the data of this and the previous items takes more than {CALL_WORK_MAX} steps; send fewer items.")
            } else {
                format!(
                    "Validating the data against the schema takes more than {WORK_MAX} steps, one per subschema and value; \
                    send smaller data."
                )
            };
            return vec![Violation::new("/data", Code::DataTooComplex, message)];
        }
        budget.0 -= work;
        self.of(kind).map_or_else(|broken| broken, |validator| broken(&validator, data, work))
    }

    /// The validator of a registered type.
    ///
    /// # Errors
    /// When the registered schema no longer compiles.
    pub fn of(&self, kind: &CustomEventType) -> Result<Arc<Validator>, Vec<Violation>> {
        let key = (kind.id, kind.version);
        if let Some(known) = self.kept.lock().unwrap_or_else(PoisonError::into_inner).validators.get(&key) {
            return Ok(known.clone());
        }
        let made = Arc::new(compile(&kind.schema)?);
        let bytes = bytes(&kind.schema);
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.bytes + bytes > KEPT_BYTES_MAX {
            *kept = Kept::default();
        }
        if kept.validators.insert(key, made.clone()).is_none() {
            kept.bytes += bytes;
        }
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
    fn many_patterns_are_small_in_sum() {
        let schema = |count: usize, pattern: &str| {
            let patterns: Vec<Value> = (0..count).map(|n| json!({ "pattern": format!("{pattern}{n}") })).collect();
            json!({ "type": "object", "properties": { "a": { "anyOf": patterns } } })
        };
        assert!(compile(&schema(1, "(a{60}){60}")).is_ok());
        assert!(compile(&schema(200, "^[A-Z]{2,5}[0-9]{4}-\\w+$")).is_ok());
        assert_eq!(compile(&schema(200, "(a{60}){60}")).expect_err("too large")[0].code, Code::SchemaInvalid);
    }

    #[test]
    fn every_violation_of_the_data_is_named() {
        let schema = json!({ "type": "object", "required": ["a"], "additionalProperties": false,
                             "properties": { "a": true, "b": { "type": "integer" }, "c": { "format": "date" } } });
        let validator = compile(&schema).expect("a schema");
        let found = broken(&validator, &json!({ "b": "x", "c": "tomorrow", "d/e": 1 }), 1);
        let mut places: Vec<&str> = found.iter().map(|v| v.pointer.as_ref()).collect();
        places.sort_unstable();
        assert_eq!(places, ["/data/a", "/data/b", "/data/c", "/data/d~1e"]);
        assert_eq!(broken(&validator, &json!({ "a": 1, "c": "2027-01-15" }), 1), []);
    }

    /// A deterministic pseudo-random generator (Knuth's LCG).
    struct Dice(u64);

    impl Dice {
        fn throw(&mut self, sides: u64) -> u64 {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (self.0 >> 33) % sides
        }

        fn value(&mut self, depth: u32) -> Value {
            match self.throw(if depth == 0 { 5 } else { 8 }) {
                0 => Value::Null,
                1 => (self.throw(2) == 0).into(),
                2 => self.throw(6).into(),
                3 => (self.throw(12) as f64 / 2.0).into(),
                4 => ["", "a", "ab", "abc", "2027-01-15"][self.throw(5) as usize].into(),
                5 => (0..self.throw(4)).map(|_| self.value(depth - 1)).collect(),
                _ => {
                    let members = (0..self.throw(4)).map(|_| (["a", "b", "c"][self.throw(3) as usize].to_owned(), self.value(depth - 1)));
                    Value::Object(members.collect())
                }
            }
        }

        fn schema(&mut self, depth: u32) -> Value {
            if self.throw(8) == 0 {
                return (self.throw(3) > 0).into();
            }
            let mut schema = serde_json::Map::new();
            for _ in 0..self.throw(4) {
                let (keyword, value) = self.keyword(depth);
                schema.insert(keyword.to_owned(), value);
            }
            Value::Object(schema)
        }

        fn keyword(&mut self, depth: u32) -> (&'static str, Value) {
            let (number, below) = (json!(self.throw(4)), depth.saturating_sub(1));
            let kinds = ["null", "boolean", "integer", "number", "string", "array", "object"];
            let some = |dice: &mut Self| -> Value { (0..=dice.throw(2)).map(|_| dice.value(0)).collect() };
            match self.throw(if depth == 0 { 11 } else { 19 }) {
                0 => ("type", kinds[self.throw(7) as usize].into()),
                1 => ("type", Value::Array(vec![kinds[self.throw(4) as usize].into(), kinds[4 + self.throw(3) as usize].into()])),
                2 => ("enum", some(self)),
                3 => ("const", self.value(0)),
                4 => ("minimum", number),
                5 => ("exclusiveMaximum", number),
                6 => ("maxLength", number),
                7 => ("minProperties", number),
                8 => ("maxItems", number),
                9 => ("required", Value::Array(vec![["a", "b", "c"][self.throw(3) as usize].into()])),
                10 => ("pattern", ["a", "^b"][self.throw(2) as usize].into()),
                11 => ("items", self.schema(below)),
                12 => ("prefixItems", json!([self.schema(below)])),
                13 => ("additionalProperties", self.schema(below)),
                14 => ("patternProperties", json!({ "^[ab]": self.schema(below) })),
                15 => ("anyOf", json!([self.schema(below), self.schema(below)])),
                16 => ("not", self.schema(below)),
                _ => {
                    let name = ["a", "b"][self.throw(2) as usize];
                    ("properties", json!({ name: self.schema(below), "c": self.schema(below) }))
                }
            }
        }

        /// The schema with a random change.
        fn changed(&mut self, schema: &Value, depth: u32) -> Value {
            let Value::Object(members) = schema else { return self.schema(depth) };
            let mut members = members.clone();
            match self.throw(4) {
                0 => {
                    let name = members.keys().nth(self.throw(members.len().max(1) as u64) as usize).cloned();
                    name.map(|name| members.remove(&name));
                }
                1 => {
                    let (keyword, value) = self.keyword(depth);
                    members.insert(keyword.to_owned(), value);
                }
                _ => {
                    for keyword in ["properties", "items", "additionalProperties", "minimum", "maxLength"] {
                        match members.get_mut(keyword) {
                            Some(Value::Object(below)) if keyword == "properties" => {
                                below.values_mut().for_each(|below| *below = self.changed(below, depth.saturating_sub(1)));
                            }
                            Some(number @ Value::Number(_)) => *number = self.throw(4).into(),
                            Some(below) => *below = self.changed(below, depth.saturating_sub(1)),
                            None => {}
                        }
                    }
                }
            }
            Value::Object(members)
        }
    }

    #[test]
    fn whatever_a_compatible_schema_replaces_it_accepts_what_that_one_accepted() {
        let mut dice = Dice(42);
        let (mut incompatibilities, mut accepted) = (0, 0);
        for _ in 0..20_000 {
            let old = dice.schema(2);
            let new = dice.changed(&old, 2);
            if old == new || !billwire_domain::events::schema_compatibility::incompatibilities(&old, &new).is_empty() {
                continue;
            }
            let (Ok(before), Ok(after)) = (compile(&old), compile(&new)) else { continue };
            incompatibilities += 1;
            for _ in 0..20 {
                let value = dice.value(2);
                if before.is_valid(&value) {
                    accepted += 1;
                    assert!(after.is_valid(&value), "{value} fits {old} and not {new}");
                }
            }
        }
        assert!(incompatibilities > 1_000 && accepted > 5_000, "{incompatibilities} {accepted}");
    }
}
