//! Estimates the cost of validating data against a schema before validating.
//!
//! Each part of a schema meets each value it applies to, so short inputs can be expensive: two thousand alternatives for each of ten
//! thousand numbers. Invalid data costs more than valid data, because the compiler builds an error for every failing part, alternatives
//! included, before it reports the first one.

use serde_json::{Map, Value};

use super::definition;

/// Maximum work for one event, in pairs of schema part and value. Events above the limit are refused without validation.
pub const WORK_MAX: usize = 1_000_000;
/// Maximum work for all events of one call.
pub const CALL_WORK_MAX: usize = 5 * WORK_MAX;
/// Up to this work every violation is reported; above it, invalid data is refused as a whole.
pub const NAMED_WORK_MAX: usize = 50_000;
/// Number of bytes of text that count as one part.
const BYTES: usize = 64;

/// The work of validating `data` against `schema`. Stops counting above `most`, so the result is then only a lower bound.
pub fn work(schema: &Value, data: &Value, most: usize) -> usize {
    let definitions = schema.get("$defs").and_then(Value::as_object);
    let mut work = Work { definitions, done: 0, most };
    work.visit(schema, data);
    work.done
}

struct Work<'s> {
    definitions: Option<&'s Map<String, Value>>,
    done: usize,
    most: usize,
}

impl Work<'_> {
    fn spend(&mut self, parts: usize) {
        self.done = self.done.saturating_add(parts);
    }

    fn visit(&mut self, schema: &Value, data: &Value) {
        self.spend(1);
        for (keyword, value) in schema.as_object().into_iter().flatten() {
            if self.done > self.most {
                return;
            }
            self.keyword(keyword, value, data);
        }
    }

    fn keyword(&mut self, keyword: &str, value: &Value, data: &Value) {
        match keyword {
            "$defs" => {}
            "$ref" => {
                let name = value.as_str().and_then(definition);
                if let Some(schema) = name.and_then(|name| self.definitions?.get(name)) {
                    self.visit(schema, data);
                }
            }
            "allOf" | "anyOf" | "oneOf" => self.each(value.as_array().into_iter().flatten().map(|schema| (schema, data))),
            "else" | "if" | "not" | "then" => self.visit(value, data),
            "contains" | "items" => self.each(data.as_array().into_iter().flatten().map(|item| (value, item))),
            "prefixItems" => self.each(value.as_array().into_iter().flatten().zip(data.as_array().into_iter().flatten())),
            "additionalProperties" => self.each(data.as_object().into_iter().flatten().map(|(_, member)| (value, member))),
            "properties" => {
                self.spend(value.as_object().map_or(0, Map::len));
                self.each(value.as_object().into_iter().flatten().filter_map(|(name, schema)| Some((schema, data.get(name)?))));
            }
            "patternProperties" => {
                for schema in value.as_object().into_iter().flat_map(Map::values) {
                    self.each(data.as_object().into_iter().flatten().map(|(_, member)| (schema, member)));
                    self.spend(data.as_object().into_iter().flat_map(Map::keys).map(|name| name.len() / BYTES).sum());
                }
            }
            "propertyNames" => {
                for name in data.as_object().into_iter().flat_map(Map::keys) {
                    if self.done > self.most {
                        return;
                    }
                    self.visit(value, &Value::String(name.clone()));
                }
            }
            "uniqueItems" => self.spend(size(data)),
            // All other keywords read a text from end to end, or their own value.
            _ => self.spend(size(value).saturating_add(data.as_str().map_or(0, |text| text.len() / BYTES))),
        }
    }

    fn each<'v>(&mut self, pairs: impl Iterator<Item = (&'v Value, &'v Value)>) {
        for (schema, data) in pairs {
            if self.done > self.most {
                return;
            }
            self.visit(schema, data);
        }
    }
}

/// The number of values that make up a value; a long text counts as several.
fn size(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(size).sum::<usize>(),
        Value::Object(members) => 1 + members.iter().map(|(name, member)| name.len() / BYTES + size(member)).sum::<usize>(),
        Value::String(text) => 1 + text.len() / BYTES,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn work_is_each_part_for_each_value_it_meets_and_counting_it_ends_early() {
        let consts: Vec<Value> = (0..1_900).map(|n| json!({ "const": n })).collect();
        let schema = json!({ "type": "object", "properties": { "a": { "items": { "anyOf": consts } } } });
        let of = |count: usize| json!({ "a": vec![7; count] });
        // Two per constant and number, and one per number itself.
        assert_eq!(work(&schema, &of(11), WORK_MAX) - work(&schema, &of(10), WORK_MAX), 2 * 1_900 + 1);
        assert!(work(&schema, &of(10), WORK_MAX) < NAMED_WORK_MAX);
        let stopped = work(&schema, &of(100_000), WORK_MAX);
        assert!(stopped > WORK_MAX && stopped < WORK_MAX + 10, "{stopped}");
        // Parts that do not apply cost nothing.
        assert!(work(&schema, &json!({ "b": vec![7; 10_000] }), WORK_MAX) < 10);
    }

    #[test]
    fn references_names_and_long_texts_count_for_what_they_cost() {
        let schema = json!({ "type": "object", "$defs": { "d": { "allOf": [{ "minLength": 1 }, { "pattern": "a" }] } },
                             "propertyNames": { "maxLength": 9 }, "additionalProperties": { "$ref": "#/$defs/d" },
                             "patternProperties": { "^a": true } });
        let one = work(&schema, &json!({ "a": "" }), WORK_MAX);
        let two = work(&schema, &json!({ "a": "", "b": "" }), WORK_MAX);
        assert_eq!(two - one, one - work(&schema, &json!({}), WORK_MAX));
        let long = work(&schema, &json!({ "a": "x".repeat(64_000) }), WORK_MAX);
        assert_eq!(long - one, 2 * 1_000);
        let unique = json!({ "uniqueItems": true });
        assert_eq!(work(&unique, &json!([[1, 2], [3]]), WORK_MAX), 1 + 6);
    }
}
