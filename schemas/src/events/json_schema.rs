//! JSON Schemas of the event types, generated; committed under `schemas/events/<type>/v1.json`, append only.

use serde_json::{Value, json};

use super::{
    catalogue::{EventType, Family},
    envelope::dataschema,
};

/// The JSON Schema (draft 2020-12) of every message of this event type.
pub fn of(event: &EventType) -> Value {
    let parameters: serde_json::Map<String, Value> = event
        .offers()
        .filter(|(_, email_only)| !email_only)
        .map(|(p, _)| (p.name.to_owned(), json!({ "description": p.meaning, "examples": [p.value()], "type": p.kind.name() })))
        .collect();
    let what = event.name.split_once('.').map_or("", |(_, what)| what);
    let action = if event.family == Family::Object { json!({ "const": what }) } else { json!({ "type": "string" }) };
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": dataschema(event.name),
        "title": event.title,
        "description": format!("Caused by: {}.", event.trigger),
        "type": "object",
        "required": ["specversion", "id", "source", "type", "subject", "time", "partitionkey", "sequence", "transactionid", "data"],
        "properties": {
            "specversion": { "const": "1.0" },
            "id": { "type": "string", "format": "uuid" },
            "source": { "type": "string", "pattern": "^/tenants/[A-Za-z0-9_-]{1,32}$" },
            "type": { "const": event.name },
            "subject": { "type": "string" },
            "time": { "type": "string", "format": "date-time" },
            "datacontenttype": { "const": "application/json" },
            "dataschema": { "const": dataschema(event.name) },
            "partitionkey": { "type": "string" },
            "sequence": { "type": "string", "pattern": "^[0-9]{20}$" },
            "transactionid": { "type": "string", "format": "uuid" },
            "causationid": { "type": "string", "format": "uuid" },
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
                            "version": { "type": "integer", "minimum": 1 },
                            "action": action
                        }
                    },
                    "before": { "type": "object" },
                    "after": { "type": "object" },
                    "parameters": { "type": "object", "properties": parameters }
                }
            }
        }
    })
}
