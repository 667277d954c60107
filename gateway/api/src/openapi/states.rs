//! Objects' states as the document describes them: in business transactions, and in the JSON Schemas of events.

use std::sync::LazyLock;

use billwire_schemas::events::{catalogue::EventType, json_schema};
use serde_json::{Map, Value, json};

use crate::{
    openapi::{
        document::with_null,
        schema::{COMPONENTS, references},
    },
    registry,
};

/// The schema in the document of an object type's state.
pub(crate) fn schema_of(kind: &str) -> Option<&'static str> {
    static BY_KIND: LazyLock<Vec<(&str, &str)>> = LazyLock::new(|| {
        registry::operations().filter_map(|operation| operation.makes).map(|makes| (makes.entity, makes.schema)).collect()
    });
    BY_KIND.iter().find(|(known, _)| *known == kind).map(|(_, schema)| *schema)
}

/// The JSON Schema (draft 2020-12) of every message of a built-in event type; `document` is [`crate::openapi()`].
pub fn event_schema(event: &EventType, document: &Value) -> Value {
    json_schema::of(event, &state(event.source, document))
}

/// The JSON Schema of an object type's state, with what it refers to in `$defs`.
fn state(kind: &str, document: &Value) -> Value {
    let Some(root) = schema_of(kind) else { return json!({ "type": "object" }) };
    let mut definitions = Map::new();
    let mut todo = vec![root.to_owned()];
    while let Some(name) = todo.pop() {
        if definitions.contains_key(&name) {
            continue;
        }
        let mut schema = document["components"]["schemas"][&name].clone();
        references(&schema, &mut todo);
        with_null(&mut schema);
        without_openapi(&mut schema);
        definitions.insert(name, schema);
    }
    json!({ "$ref": format!("{DEFINITIONS}{root}"), "$defs": definitions })
}

/// Prefix of references to definitions of a JSON Schema.
const DEFINITIONS: &str = "#/$defs/";

/// Removes the keywords and formats that only OpenAPI has, and points references to the definitions.
fn without_openapi(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            for keyword in ["example", "writeOnly"] {
                members.remove(keyword);
            }
            if members
                .get("format")
                .and_then(Value::as_str)
                .is_some_and(|format| ["int32", "int64", "double", "password"].contains(&format))
            {
                members.remove("format");
            }
            if let Some(name) = members.get("$ref").and_then(Value::as_str).and_then(|reference| reference.strip_prefix(COMPONENTS)) {
                let reference = format!("{DEFINITIONS}{name}");
                members.insert("$ref".to_owned(), reference.into());
            }
            for (keyword, below) in members {
                match below {
                    // Names of members, not keywords.
                    Value::Object(named) if keyword == "properties" => named.values_mut().for_each(without_openapi),
                    _ => without_openapi(below),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(without_openapi),
        _ => {}
    }
}
