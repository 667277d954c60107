//! Generates the JSON Schemas of event types. They are committed as `schemas/events/<type>/v1.json` and only ever gain optional members.

use serde_json::{Map, Value, json};

use super::{
    catalogue::{EventType, Family},
    envelope::schema_path,
};

/// The JSON Schema (draft 2020-12) of every message of this event type, whose object has the states that the schema `state` describes.
pub fn of(event: &EventType, state: &Value) -> Value {
    let parameters = event
        .offers()
        .filter(|(_, email_only)| !email_only)
        .map(|(p, _)| (p.name.to_owned(), json!({ "description": p.meaning, "examples": [p.value()], "type": p.kind.name() })))
        .collect();
    let what = event.name.split_once('.').map_or("", |(_, what)| what);
    let action = if event.family == Family::Object { json!({ "const": what }) } else { json!({ "type": "string" }) };
    let mut before = state.clone();
    if let Some(members) = before.as_object_mut() {
        members.remove("$defs");
    }
    message(&Message {
        kind: event.name,
        path: schema_path(event.name, 1),
        title: event.title,
        description: format!("Caused by: {}.", event.trigger),
        action,
        parameters,
        before,
        after: state,
    })
}

/// The parts in which the schemas of event types differ.
pub struct Message<'m> {
    /// The event type.
    pub kind: &'m str,
    /// Where the schema is served; see [`schema_path`]. It is the schema's `$id`, so that it is a URL wherever it is read from.
    pub path: String,
    /// Human-readable name.
    pub title: &'m str,
    /// Meaning of the event.
    pub description: String,
    /// Schema of `data.object.action`.
    pub action: Value,
    /// Schemas of the parameters.
    pub parameters: Map<String, Value>,
    /// Schema of `data.before`.
    pub before: Value,
    /// Schema of `data.after`. Its definitions are moved to the top level, where its references resolve.
    pub after: &'m Value,
}

/// Builds the JSON Schema (draft 2020-12) of messages.
pub fn message(of: &Message<'_>) -> Value {
    let mut after = of.after.clone();
    let definitions = after.as_object_mut().and_then(|members| {
        members.remove("$schema");
        members.remove("$defs")
    });
    let count = json!({ "type": "integer", "format": "int32", "minimum": 1 });
    let version = json!({ "type": "integer", "format": "int64", "minimum": 1 });
    let mut schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": of.path,
        "title": of.title,
        "description": of.description,
        "type": "object",
        "required": ["specversion", "id", "source", "type", "subject", "time", "partitionkey", "sequence", "transactionid", "data"],
        "properties": {
            "specversion": { "const": "1.0" },
            "id": { "type": "string", "format": "uuid" },
            "source": { "type": "string", "pattern": "^/tenants/[A-Za-z0-9_-]{1,32}$" },
            "type": { "const": of.kind },
            "subject": { "type": "string" },
            "time": { "type": "string", "format": "date-time" },
            "recordedtime": { "type": "string", "format": "date-time" },
            "datacontenttype": { "const": "application/json" },
            "dataschema": { "type": "string", "format": "uri" },
            "partitionkey": { "type": "string" },
            "sequence": { "type": "string", "pattern": "^[0-9]{20}$" },
            "transactionid": { "type": "string", "format": "uuid" },
            "transactionindex": count,
            "transactionsize": count,
            "operation": { "type": "string" },
            "actor": { "type": "string" },
            "causationid": { "type": "string", "format": "uuid" },
            "causationdepth": count,
            "traceparent": { "type": "string", "pattern": "^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$" },
            "data": {
                "type": "object",
                "required": ["object", "parameters"],
                "properties": {
                    "object": {
                        "type": "object",
                        "required": ["type", "id", "version", "action"],
                        "properties": {
                            "type": { "type": "string" },
                            "id": { "type": "string" },
                            "version": version,
                            "action": of.action
                        }
                    },
                    "before": of.before,
                    "after": after,
                    "parameters": { "type": "object", "properties": of.parameters }
                }
            }
        }
    });
    if let Some(definitions) = definitions {
        schema["$defs"] = definitions;
    }
    schema
}
