//! Events of webhook endpoints.

use serde_json::json;

use super::Row;

pub const ROWS: &[Row] = &[Row {
    kind: "webhook_endpoint.disabled",
    publishes: &["webhook_endpoint.disabled"],
    tells: &["webhookEndpoint.id", "webhookEndpoint.name", "webhookEndpoint.url", "webhookEndpoint.disabledBecause"],
    given: |world| {
        Box::pin(async {
            let body = json!({ "name": "gone", "url": "https://crm.example.com/hooks?key=k" });
            let endpoint = world.make("endpoint", "/v1/webhook-endpoints", body).await;
            world.watch(&endpoint);
        })
    },
    when: |world| Box::pin(async { drop(world.post(&format!("/v1/webhook-endpoints/{}/disable", world.id("endpoint")), json!({})).await) }),
}];
