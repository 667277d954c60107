//! The outgoing webhook calls, per event type.

use billwire_schemas::events::{catalogue, json_schema};
use serde_json::{Map, Value, json};

use crate::openapi::{
    schema::{COMPONENTS, pascal},
    states::schema_of,
};

/// One path item per event type.
pub(super) fn all() -> Value {
    let items = catalogue::all().map(|event| {
        let state =
            schema_of(event.source).map_or_else(|| json!({ "type": "object" }), |name| json!({ "$ref": format!("{COMPONENTS}{name}") }));
        let mut schema = json_schema::of(event, &state);
        if let Some(members) = schema.as_object_mut() {
            // The surrounding document defines the dialect.
            members.remove("$schema");
        }
        let call = json!({
            "operationId": format!("on{}", pascal(event.name)),
            "tags": ["Webhooks"],
            "summary": event.title,
            "description": format!(
                "Sent to the webhook endpoint of every matching subscription, at least once: a repeated call has the same \
                `webhook-id` and the same bytes. Caused by: {}.",
                event.trigger
            ),
            "security": [],
            "parameters": [
                header("webhook-id", "The event's id; the same for retries and replays."),
                header("webhook-timestamp", "Time of this attempt's signature, in seconds since the Unix epoch."),
                header("webhook-signature", "Standard Webhooks 1.0: `v1,` and the base64 of an HMAC-SHA256 over id, timestamp and body."),
            ],
            "requestBody": { "required": true, "content": { "application/cloudevents+json": { "schema": schema } } },
            "responses": {
                "2XX": { "description": "Accepted. The response body is ignored." },
                "410": { "description": "Gone: the endpoint is disabled, and its deliveries wait until it is enabled." },
                "default": { "description": "Any other response is retried according to the retry plan and `Retry-After`." },
            },
        });
        (event.name.to_owned(), json!({ "post": call }))
    });
    Value::Object(items.collect::<Map<_, _>>())
}

fn header(name: &str, description: &str) -> Value {
    json!({ "name": name, "in": "header", "required": true, "description": description, "schema": { "type": "string" } })
}
