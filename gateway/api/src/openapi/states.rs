//! Objects' states as the document describes them: in business transactions, and in the schemas of events.

use std::sync::LazyLock;

use billwire_schemas::events::{catalogue::EventType, json_schema};
use serde_json::{Map, Value, json};

use crate::{
    openapi::{
        document::with_null,
        schema::{COMPONENTS, references},
    },
    registry,
    types::example::example_id,
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
    const DEFINITIONS: &str = "#/$defs/";
    let Some(root) = schema_of(kind) else { return json!({ "type": "object" }) };
    json!({ "$ref": format!("{DEFINITIONS}{root}"), "$defs": definitions(vec![root.to_owned()], document, DEFINITIONS) })
}

/// An example of an object type's state.
pub(crate) fn example_state(kind: &str, document: &Value) -> Value {
    let example = &document["components"]["schemas"][schema_of(kind).unwrap_or_default()]["example"];
    if example.is_object() { example.clone() } else { json!({ "id": example_id(9), "version": 1 }) }
}

/// These schemas of the document and those that they refer to, as JSON Schemas; `prefix` is that of references between them.
pub(crate) fn definitions(names: Vec<String>, document: &Value, prefix: &str) -> Map<String, Value> {
    let (mut definitions, mut todo) = (Map::new(), names);
    while let Some(name) = todo.pop() {
        if definitions.contains_key(&name) {
            continue;
        }
        let mut schema = document["components"]["schemas"][&name].clone();
        references(&schema, &mut todo);
        with_null(&mut schema);
        without_openapi(&mut schema, prefix);
        definitions.insert(name, schema);
    }
    definitions
}

/// Removes the keywords and formats that only OpenAPI has, and gives references this prefix.
fn without_openapi(schema: &mut Value, prefix: &str) {
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
                let reference = format!("{prefix}{name}");
                members.insert("$ref".to_owned(), reference.into());
            }
            for (keyword, below) in members {
                match below {
                    // Names of members, not keywords.
                    Value::Object(named) if keyword == "properties" => {
                        named.values_mut().for_each(|member| without_openapi(member, prefix))
                    }
                    _ => without_openapi(below, prefix),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| without_openapi(item, prefix)),
        _ => {}
    }
}
