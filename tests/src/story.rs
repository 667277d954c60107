//! The usual set-up: one queue with one webhook subscription for all events.

use serde_json::json;

use crate::{api::Api, receiver::Receiver};

/// All event types.
pub fn all_event_types() -> Vec<&'static str> {
    billwire_schemas::events::catalogue::all().map(|event| event.name).collect()
}

/// A signing secret known to both sides.
pub const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// Creates a webhook endpoint, a queue of `mode` for all event types, and a subscription; returns the subscription's id.
pub async fn subscribe(api: &Api, receiver: &Receiver, name: &str, mode: &str) -> String {
    let endpoint =
        api.create("/v1/webhook-endpoints", json!({ "name": format!("{name} endpoint"), "url": receiver.url(), "secret": SECRET })).await;
    let queue = api.create("/v1/queues", json!({ "name": format!("{name} queue"), "mode": mode, "eventTypes": all_event_types() })).await;
    let action = json!({ "type": "webhook", "webhookEndpointId": endpoint });
    api.create("/v1/subscriptions", json!({ "name": name, "queueId": queue, "action": action })).await
}
