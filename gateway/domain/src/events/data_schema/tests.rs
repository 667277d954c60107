use serde_json::json;

use super::*;

fn codes(schema: Value) -> Vec<(String, &'static str)> {
    faults(&schema).into_iter().map(|fault| (fault.pointer.into_owned(), fault.code.as_str())).collect()
}

fn one(schema: Value) -> (String, &'static str) {
    let mut found = codes(schema);
    assert_eq!(found.len(), 1, "{found:?}");
    found.remove(0)
}

#[test]
fn a_plain_schema_has_no_faults() {
    let schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "required": ["iccid"],
        "additionalProperties": false,
        "properties": { "iccid": { "$ref": "#/$defs/iccid" }, "type": { "enum": ["esim", "sim"] }, "tags": { "items": { "type": "string" } } },
        "$defs": { "iccid": { "type": "string", "pattern": "^[0-9]{19,20}$" } },
        "x-owner": "sim team"
    });
    assert_eq!(codes(schema), []);
}

#[test]
fn each_limit_has_its_code() {
    let with = |members: Value| {
        let mut schema = json!({ "type": "object" });
        schema.as_object_mut().expect("an object").extend(members.as_object().expect("an object").clone());
        schema
    };
    assert_eq!(one(json!({ "type": "string" })).1, "schema_not_of_object");
    assert_eq!(one(json!(true)).1, "schema_not_of_object");
    assert_eq!(one(with(json!({ "$schema": "http://json-schema.org/draft-07/schema#" }))).1, "schema_dialect_unknown");
    assert_eq!(one(with(json!({ "requried": [] }))), ("/schema/requried".into(), "schema_keyword_unknown"));
    assert!(faults(&with(json!({ "requried": [] })))[0].message.contains("required"));
    assert_eq!(one(with(json!({ "$id": "https://example.com/x" }))).1, "schema_keyword_not_allowed");
    assert_eq!(
        one(with(json!({ "properties": { "a/b": { "$ref": "https://example.com/x" } } }))),
        ("/schema/properties/a~1b/$ref".into(), "schema_reference_not_allowed")
    );
    assert_eq!(one(with(json!({ "items": { "$ref": "#" } }))).1, "schema_reference_not_allowed");
    assert_eq!(one(with(json!({ "items": { "$ref": "#/$defs/a" }, "$defs": { "b": true } }))).1, "schema_reference_unknown");
    assert_eq!(one(with(json!({ "description": "x".repeat(BYTES_MAX) }))).1, "schema_too_large");
}

#[test]
fn a_member_named_like_a_keyword_is_a_member() {
    assert_eq!(codes(json!({ "type": "object", "properties": { "$id": true, "whatever": { "const": { "requried": 1 } } } })), []);
}

#[test]
fn definitions_neither_contain_themselves_nor_grow_without_bound() {
    let selfish =
        json!({ "type": "object", "$defs": { "a": { "items": { "$ref": "#/$defs/b" } }, "b": { "not": { "$ref": "#/$defs/a" } } } });
    assert_eq!(one(selfish).1, "schema_reference_recursive");
    let mut definitions = Map::new();
    definitions.insert("d0".to_owned(), json!({ "type": "string" }));
    for level in 1..12 {
        let below = json!({ "$ref": format!("#/$defs/d{}", level - 1) });
        definitions.insert(format!("d{level}"), json!({ "anyOf": [below, below] }));
    }
    assert_eq!(one(json!({ "type": "object", "items": { "$ref": "#/$defs/d11" }, "$defs": definitions })).1, "schema_too_large");
}

#[test]
fn schemas_stand_only_so_deep_inside_each_other() {
    let nested =
        |levels: usize| (1..levels).fold(json!({ "type": "object" }), |inner, _| json!({ "type": "object", "properties": { "a": inner } }));
    assert_eq!(codes(nested(DEPTH_MAX)), []);
    assert_eq!(one(nested(DEPTH_MAX + 1)).1, "schema_too_deep");
}

#[test]
fn scalar_members_become_parameters() {
    let schema = json!({
        "type": "object",
        "properties": {
            "iccid": { "$ref": "#/$defs/iccid" },
            "count": { "type": ["integer", "null"] },
            "final": { "const": true },
            "list": { "type": "array" },
            "open": {},
            "not-a-name": { "type": "string" }
        },
        "$defs": { "iccid": { "type": "string", "description": "x" } }
    });
    let found: Vec<(String, Type)> = scalars(&schema).into_iter().map(|scalar| (scalar.name, scalar.kind)).collect();
    assert_eq!(found, [("count".to_owned(), Type::Number), ("final".into(), Type::Boolean), ("iccid".into(), Type::String)]);
}
