//! The AsyncAPI document: which messages are on the stream, on which subjects, with which headers. Generated from the catalogue.

use billwire_schemas::{
    events::{
        catalogue::{self, EventType},
        envelope::schema_path,
        example, json_schema,
    },
    ids::Slot,
};
use serde_json::{Map, Value, json};

use crate::openapi::{
    schema::{COMPONENTS, pascal},
    states::{definitions, example_state, schema_of},
};

pub(crate) const DESCRIPTION: &str = "\
The events of a Billwire installation on its NATS JetStream stream `BILLING`, one subject for each tenant, event type and ordering key. Each \
message is a structured CloudEvents 1.0 object. Within an ordering key, events have a gapless `sequence` and are on the stream in that order; a \
message may come more than once, with the same `id` and the same bytes.

**Connect** with an API key that has the scope `stream:read` as the password, and any user name. `createStreamSubscription` makes a durable pull \
consumer for the tenant; a connection may pull from the tenant's own consumers and acknowledge, and nothing else.

The same messages are POSTed to webhook endpoints; those calls are in `/openapi-3.1.json`. A tenant's own event types (`custom.<name>`) are on \
`billing.<tenant>.custom.<name>.<slot>.<ordering key>`; their schemas are those that the tenant registered.";

/// AsyncAPI 3.0.0, for the gateway at `public_url`. `document` is [`crate::openapi()`].
pub fn asyncapi(document: &Value, public_url: &str) -> Value {
    let (mut channels, mut operations, mut messages, mut roots) = (Map::new(), Map::new(), Map::new(), Vec::new());
    for event in catalogue::all() {
        let id = pascal(event.name);
        roots.extend(schema_of(event.source).map(str::to_owned));
        messages.insert(id.clone(), message(event, document, public_url));
        channels.insert(
            id.clone(),
            json!({
                "address": format!("billing.{{tenant}}.{}.{{slot}}.{{orderingKey}}", event.name),
                "title": event.title,
                "description": event.description(),
                "servers": [{ "$ref": "#/servers/stream" }],
                "parameters": {
                    "tenant": { "$ref": "#/components/parameters/tenant" },
                    "slot": { "$ref": "#/components/parameters/slot" },
                    "orderingKey": { "$ref": "#/components/parameters/orderingKey" },
                },
                "messages": { &id: { "$ref": format!("#/components/messages/{id}") } },
            }),
        );
        operations.insert(
            format!("send{id}"),
            json!({
                "action": "send",
                "channel": { "$ref": format!("#/channels/{id}") },
                "title": event.title,
                "summary": format!("Caused by: {}.", event.trigger),
                "messages": [{ "$ref": format!("#/channels/{id}/messages/{id}") }],
            }),
        );
    }
    json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "Billwire events",
            "version": env!("CARGO_PKG_VERSION"),
            "description": DESCRIPTION,
            "license": { "name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0" },
        },
        "defaultContentType": CLOUD_EVENT,
        "servers": { "stream": server() },
        "channels": channels,
        "operations": operations,
        "components": {
            "messages": messages,
            "schemas": definitions(roots, document, COMPONENTS),
            "parameters": parameters(),
            "securitySchemes": { "apiKey": { "type": "userPassword", "description": "An API key with the scope `stream:read` as the password." } },
        },
    })
}

const CLOUD_EVENT: &str = "application/cloudevents+json";

fn server() -> Value {
    json!({
        "host": "{host}",
        "protocol": "nats",
        "description": "The installation's NATS server or cluster. `getStreamSubscription` tells its URL.",
        "variables": { "host": { "description": "Host and port.", "default": "127.0.0.1:4222" } },
        "security": [{ "$ref": "#/components/securitySchemes/apiKey" }],
    })
}

fn parameters() -> Value {
    let slots: Vec<String> = Slot::all().map(|slot| slot.to_string()).collect();
    json!({
        "tenant": { "description": "The tenant.", "default": "default" },
        "slot": {
            "description": "Share of all events that the ordering key belongs to: FNV-1a (32 bits) over `<tenant>.<ordering key>`, modulo 16. Filters use a wildcard.",
            "enum": slots,
        },
        "orderingKey": { "description": "What orders the events: the id of an account, or that of an object that belongs to none. It is `partitionkey` in the message." },
    })
}

fn message(event: &EventType, document: &Value, public_url: &str) -> Value {
    let reference = |name: &str| json!({ "$ref": format!("{COMPONENTS}{name}") });
    let mut payload = json_schema::of(event, &schema_of(event.source).map_or_else(|| json!({ "type": "object" }), reference));
    if let Some(members) = payload.as_object_mut() {
        // The document defines the dialect, and what references are relative to.
        members.remove("$schema");
        members.remove("$id");
    }
    let example = example::of(event, &example_state(event.source, document), public_url);
    json!({
        "name": event.name,
        "title": event.title,
        "summary": event.description(),
        "contentType": CLOUD_EVENT,
        "headers": {
            "type": "object",
            "required": ["Nats-Msg-Id", "Content-Type"],
            "properties": {
                "Nats-Msg-Id": { "type": "string", "description": "The event's `id`, followed by a mark where the stream had to be filled again." },
                "Content-Type": { "type": "string", "const": CLOUD_EVENT },
                "traceparent": { "type": "string", "description": "W3C Trace Context: the caller's trace, or else that of the business transaction." },
            },
        },
        "payload": payload,
        "externalDocs": { "description": "The JSON Schema by itself.", "url": format!("{public_url}{}", schema_path(event.name, 1)) },
        "examples": [{ "name": "example", "payload": example }],
    })
}
