//! Sample data for a registered schema, used in examples. The sampler follows the plain keywords; the schema compiler decides whether
//! the sample is valid.

use serde_json::{Map, Value};

/// Maximum number of values in a sample, because references can make a small schema expand to a large one.
const PARTS_MAX: usize = 500;

/// A value that most likely matches the schema; constants, defaults and examples in the schema take precedence over made-up values.
pub fn of(schema: &Value) -> Value {
    Sampler { root: schema, left: PARTS_MAX }.of(schema)
}

struct Sampler<'s> {
    root: &'s Value,
    left: usize,
}

impl Sampler<'_> {
    fn of(&mut self, schema: &Value) -> Value {
        if self.left == 0 {
            return Value::Null;
        }
        self.left -= 1;
        if let Some(given) = schema.get("const").or_else(|| schema.get("default")) {
            return given.clone();
        }
        for list in ["examples", "enum"] {
            if let Some(first) = schema.get(list).and_then(|list| list.get(0)) {
                return first.clone();
            }
        }
        if let Some(name) = schema.get("$ref").and_then(Value::as_str).and_then(|name| name.strip_prefix("#/$defs/")) {
            let root = self.root;
            return root.get("$defs").and_then(|definitions| definitions.get(name)).map_or(Value::Null, |below| self.of(below));
        }
        for list in ["allOf", "anyOf", "oneOf"] {
            if let Some(first) = schema.get(list).and_then(|list| list.get(0)).filter(|_| schema.get("type").is_none()) {
                return self.of(first);
            }
        }
        let kind = schema.get("type").and_then(|kind| kind.as_str().or_else(|| kind.get(0)?.as_str()));
        match kind {
            Some("object") => self.object(schema),
            Some("array") => self.array(schema),
            Some("integer" | "number") => number(schema),
            Some("boolean") => true.into(),
            Some("null") => Value::Null,
            _ => text(schema).into(),
        }
    }

    fn object(&mut self, schema: &Value) -> Value {
        let mut members = Map::new();
        for (name, member) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
            if *member != Value::Bool(false) {
                members.insert(name.clone(), self.of(member));
            }
        }
        for name in schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str) {
            members.entry(name).or_insert_with(|| "text".into());
        }
        Value::Object(members)
    }

    fn array(&mut self, schema: &Value) -> Value {
        let mut items: Vec<Value> = Vec::new();
        for item in schema.get("prefixItems").and_then(Value::as_array).into_iter().flatten() {
            items.push(self.of(item));
        }
        let wanted = schema.get("minItems").and_then(Value::as_u64).unwrap_or(1).min(10);
        while (items.len() as u64) < wanted && schema.get("items") != Some(&Value::Bool(false)) {
            items.push(schema.get("items").map_or_else(|| "text".into(), |item| self.of(item)));
        }
        Value::Array(items)
    }
}

fn number(schema: &Value) -> Value {
    for bound in ["minimum", "maximum", "multipleOf"] {
        if let Some(bound) = schema.get(bound) {
            return bound.clone();
        }
    }
    let above = schema.get("exclusiveMinimum").and_then(Value::as_i64).map(|bound| bound.saturating_add(1));
    let below = schema.get("exclusiveMaximum").and_then(Value::as_i64).map(|bound| bound.saturating_sub(1));
    above.or(below).unwrap_or(1).into()
}

fn text(schema: &Value) -> String {
    let formatted = match schema.get("format").and_then(Value::as_str) {
        Some("date-time") => "2027-01-15T09:30:00Z",
        Some("date") => "2027-01-15",
        Some("time") => "09:30:00Z",
        Some("email") => "ann@example.com",
        Some("uuid") => "0198c0de-0000-7000-8000-000000000001",
        Some("uri") => "https://example.com/",
        Some("ipv4") => "192.0.2.1",
        Some("ipv6") => "2001:db8::1",
        Some("hostname") => "example.com",
        _ => "text",
    };
    let bound = |keyword: &str| schema.get(keyword).and_then(Value::as_u64).and_then(|bound| usize::try_from(bound).ok());
    let (min, max) = (bound("minLength").unwrap_or(0).min(1_000), bound("maxLength").unwrap_or(usize::MAX));
    let mut text: String = formatted.chars().take(max).collect();
    while text.len() < min {
        text.push('x');
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_sample_follows_the_schema() {
        let schema = json!({
            "type": "object",
            "required": ["free"],
            "properties": {
                "iccid": { "$ref": "#/$defs/iccid" },
                "kind": { "enum": ["esim", "sim"] },
                "at": { "type": "string", "format": "date" },
                "count": { "type": ["integer", "null"], "minimum": 3 },
                "tags": { "type": "array", "items": { "type": "string", "maxLength": 2 }, "minItems": 2 }
            },
            "$defs": { "iccid": { "type": "string", "examples": ["8949"] } }
        });
        let sample = json!({ "iccid": "8949", "kind": "esim", "at": "2027-01-15", "count": 3, "tags": ["te", "te"], "free": "text" });
        assert_eq!(of(&schema), sample);
    }
}
