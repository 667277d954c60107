//! The AsyncAPI document: which messages are on the stream, on which subjects, with which headers. Generated from the catalogue.

use billwire_schemas::{
    events::{
        catalogue::{self, EventType},
        envelope::schema_path,
        example, json_schema,
        selection::BUSINESS_TRANSACTION,
    },
    ids::Slot,
};
use serde_json::{Map, Value, json};

use crate::openapi::{
    schema::{COMPONENTS, pascal},
    states::{definitions, example_state, schema_of},
    whole_transactions,
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
    let mut add = |id: String, address: String, message: Value, caused_by: &str| {
        let placeholders = address.split(['{', '}']).skip(1).step_by(2);
        let parameters: Map<String, Value> =
            placeholders.map(|name| (name.to_owned(), json!({ "$ref": format!("#/components/parameters/{name}") }))).collect();
        channels.insert(
            id.clone(),
            json!({
                "address": address,
                "title": message["title"],
                "description": message["summary"],
                "servers": [{ "$ref": "#/servers/stream" }],
                "parameters": parameters,
                "messages": { &id: { "$ref": format!("#/components/messages/{id}") } },
            }),
        );
        operations.insert(
            format!("send{id}"),
            json!({
                "action": "send",
                "channel": { "$ref": format!("#/channels/{id}") },
                "title": message["title"],
                "summary": format!("Caused by: {caused_by}."),
                "messages": [{ "$ref": format!("#/channels/{id}/messages/{id}") }],
            }),
        );
        messages.insert(id, message);
    };
    for event in catalogue::all() {
        roots.extend(schema_of(event.source).map(str::to_owned));
        let address = format!("billing.{{tenant}}.{}.{{slot}}.{{orderingKey}}", event.name);
        add(pascal(event.name), address, of_event(event, document, public_url), event.trigger);
    }
    let (whole, needed) = whole_transactions::of_asyncapi(document, COMPONENTS);
    roots.extend(needed);
    let whole = message(BUSINESS_TRANSACTION, whole, whole_transactions::example(document, public_url), public_url);
    add(
        pascal(BUSINESS_TRANSACTION),
        whole_transactions::ADDRESS.to_owned(),
        whole,
        "every operation whose business transaction has events",
    );
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
        "operation": { "description": "The operation, such as `updateAccountBillCycle`." },
        "orderingKey": { "description": "What orders the events: the id of an account, or that of an object that belongs to none. It is `partitionkey` in the message." },
    })
}

fn of_event(event: &EventType, document: &Value, public_url: &str) -> Value {
    let reference = |name: &str| json!({ "$ref": format!("{COMPONENTS}{name}") });
    let payload = json_schema::of(event, &schema_of(event.source).map_or_else(|| json!({ "type": "object" }), reference));
    let mut message = message(event.name, payload, example::of(event, &example_state(event.source, document), public_url), public_url);
    message["summary"] = event.description().into();
    message
}

/// A message whose JSON Schema, served under `name`, is `payload`.
fn message(name: &str, mut payload: Value, example: Value, public_url: &str) -> Value {
    if let Some(members) = payload.as_object_mut() {
        // The document defines the dialect, and what references are relative to.
        members.remove("$schema");
        members.remove("$id");
    }
    json!({
        "name": name,
        "title": payload["title"],
        "summary": payload["description"],
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
        "externalDocs": { "description": "The JSON Schema by itself.", "url": format!("{public_url}{}", schema_path(name, 1)) },
        "examples": [{ "name": "example", "payload": example }],
    })
}
