//! Queues and subscriptions over HTTP: registration, selection, filters, parameters, forwarding, calculation, and refusals.

use serde_json::{Value, json};

use crate::rig::Rig;

/// Creates a queue, an endpoint and a custom type.
async fn world(rig: &Rig) -> (String, String) {
    let schema = json!({ "type": "object", "properties": { "total": { "type": "string" } }, "required": ["total"] });
    let kind = json!({ "name": "sum", "title": "Sum", "orderingKey": "account", "schema": schema });
    rig.post("/v1/event-types", kind).await.expect(201);
    (rig.queue("q", &["invoice.*", "account.created"]).await, rig.endpoint("e").await)
}

fn webhook(queue: &str, endpoint: &str, more: Value) -> Value {
    let mut body = json!({ "name": "s", "queueId": queue, "action": { "type": "webhook", "webhookEndpointId": endpoint } });
    for (name, value) in more.as_object().into_iter().flatten() {
        body[name] = value.clone();
    }
    body
}

#[tokio::test]
async fn a_queue_is_changed_paused_and_resumed() {
    let rig = Rig::new().await;
    let (queue, endpoint) = world(&rig).await;
    let path = format!("/v1/queues/{queue}");
    rig.post(&format!("{path}/pause"), json!({})).await.expect(200);
    rig.post(&format!("{path}/pause"), json!({})).await.refused(409, "queue_paused");
    assert_eq!(rig.get(&path).await.expect(200)["paused"], true);
    rig.post(&format!("{path}/resume"), json!({})).await.expect(200);
    rig.post(&format!("{path}/resume"), json!({})).await.refused(409, "queue_not_paused");
    rig.create("/v1/subscriptions", webhook(&queue, &endpoint, json!({ "filter": "account.name == 'A'" }))).await;
    rig.queue("other", &["*"]).await;
    rig.patch(&path, json!({ "name": "other" })).await.refused(409, "name_taken");
    rig.patch(&path, json!({ "eventTypes": [] })).await.refused(422, "event_types_required");
    rig.patch(&path, json!({ "eventTypes": ["invoice.nothing"] })).await.refused(422, "event_type_unknown");
    rig.patch(&path, json!({ "objects": [{ "object": "invoise", "events": ["created"] }] })).await.refused(422, "event_object_unknown");
    let unfit = rig.patch(&path, json!({ "eventTypes": ["invoice.*", "bill_run.completed"] })).await.refused(422, "subscription_unfit");
    assert!(unfit["detail"].as_str().is_some_and(|detail| detail.contains("'s'") && detail.contains("account.name")), "{unfit}");
    let objects = json!([{ "object": "invoice", "events": ["created", "lifecycle"] }]);
    rig.patch(&path, json!({ "name": "renamed", "mode": "out_of_order", "eventTypes": [], "objects": objects })).await.expect(200);
    let now = rig.get(&path).await.expect(200);
    assert_eq!((&now["name"], &now["mode"], &now["objects"]), (&json!("renamed"), &json!("out_of_order"), &objects));
    rig.patch("/v1/queues/none", json!({})).await.refused(404, "queue_not_found");
}

#[tokio::test]
async fn what_a_subscription_says_is_held_against_what_can_come() {
    let rig = Rig::new().await;
    let (queue, endpoint) = world(&rig).await;
    let make = async |more: Value| rig.post("/v1/subscriptions", webhook(&queue, &endpoint, more)).await;
    for (more, code) in [
        (json!({ "filter": "account.name ==" }), "expression_syntax"),
        (json!({ "filter": format!("{}true{}", "(".repeat(200), ")".repeat(200)) }), "expression_syntax"),
        (json!({ "filter": "['a'].all(x, ['b'].all(y, x == y))" }), "expression_too_complex"),
        (json!({ "filter": "account.nam == 'A'" }), "expression_unknown_parameter"),
        (json!({ "parameters": { "account.name": "'x'" } }), "parameter_name_taken"),
        (json!({ "parameters": { "no name": "'x'" } }), "parameter_name_invalid"),
        (json!({ "eventTypes": ["payment.created"] }), "event_type_not_on_queue"),
        (json!({ "objects": [{ "object": "nothing", "events": ["created"] }] }), "event_object_unknown"),
        (json!({ "action": { "type": "webhook", "webhookEndpointId": endpoint, "path": "/x/{account.id" } }), "path_invalid"),
        (json!({ "action": { "type": "webhook", "webhookEndpointId": endpoint, "path": "/../../x" } }), "path_invalid"),
        (json!({ "action": { "type": "webhook", "webhookEndpointId": endpoint, "path": "/%2e%2E/x" } }), "path_invalid"),
        (json!({ "action": { "type": "forward", "queueId": queue } }), "forward_cycle"),
        (json!({ "action": { "type": "calculate", "eventType": "custom.sum", "data": {} } }), "data_incomplete"),
        (json!({ "action": { "type": "calculate", "eventType": "invoice.paid", "data": {} } }), "event_type_not_custom"),
    ] {
        let refused = make(more.clone()).await.refused(422, code);
        assert!(refused["errors"].as_array().is_some_and(|errors| !errors.is_empty()), "{more}");
    }
    let many: serde_json::Map<String, Value> = (0..40).map(|n| (format!("p{n}"), json!("1"))).collect();
    make(json!({ "parameters": many })).await.refused(422, "too_many_expressions");
    assert_eq!(rig.get("/v1/subscriptions").await.expect(200), json!({ "items": [] }), "nothing was written");
}

#[tokio::test]
async fn a_subscription_is_changed_disabled_and_enabled() {
    let rig = Rig::new().await;
    let (queue, endpoint) = world(&rig).await;
    let id = rig.create("/v1/subscriptions", webhook(&queue, &endpoint, json!({ "filter": "account.name == 'A'" }))).await;
    let path = format!("/v1/subscriptions/{id}");
    let change = json!({ "filter": "", "whenGivenUp": "block", "parameters": { "region": "'EU'" }, "eventTypes": ["invoice.posted"] });
    rig.patch(&path, change).await.expect(200);
    let now = rig.get(&path).await.expect(200);
    assert_eq!((now.get("filter"), &now["whenGivenUp"], &now["parameters"]), (None, &json!("block"), &json!({ "region": "'EU'" })));
    rig.patch(&path, json!({ "filter": "nothing == 1" })).await.refused(422, "expression_unknown_parameter");
    rig.post(&format!("{path}/enable"), json!({})).await.refused(409, "already_enabled");
    rig.post(&format!("{path}/disable"), json!({})).await.expect(200);
    rig.post(&format!("{path}/disable"), json!({})).await.refused(409, "already_disabled");
    assert_eq!(rig.get(&path).await.expect(200)["enabled"], false);
    rig.post(&format!("{path}/enable"), json!({})).await.expect(200);
    rig.post("/v1/subscriptions/none/enable", json!({})).await.refused(404, "subscription_not_found");
}

#[tokio::test]
async fn what_is_forwarded_can_be_chosen_where_it_goes_and_no_circle_is_closed() {
    let rig = Rig::new().await;
    let (queue, endpoint) = world(&rig).await;
    let other = rig.queue("other", &["payment.created"]).await;
    let wants = |name: &str| {
        let mut body = webhook(&other, &endpoint, json!({ "eventTypes": ["invoice.posted"] }));
        body["name"] = name.into();
        body
    };
    rig.post("/v1/subscriptions", wants("w")).await.refused(422, "event_type_not_on_queue");
    let forward = json!({ "name": "f", "queueId": queue, "action": { "type": "forward", "queueId": other } });
    let forward = rig.create("/v1/subscriptions", forward).await;
    rig.create("/v1/subscriptions", wants("w")).await;
    let back = json!({ "name": "b", "queueId": other, "action": { "type": "forward", "queueId": queue } });
    rig.post("/v1/subscriptions", back).await.refused(422, "forward_cycle");
    rig.delete(&format!("/v1/subscriptions/{forward}")).await.refused(409, "still_in_use");
    rig.delete(&format!("/v1/queues/{other}")).await.refused(409, "still_in_use");
    let unknown = json!({ "name": "u", "queueId": queue, "action": { "type": "forward", "queueId": "none" } });
    rig.post("/v1/subscriptions", unknown).await.refused(422, "queue_unknown");
}

#[tokio::test]
async fn a_type_that_a_calculation_publishes_cannot_be_deleted() {
    let rig = Rig::new().await;
    let (queue, _) = world(&rig).await;
    let action = json!({ "type": "calculate", "eventType": "custom.sum", "data": { "total": "invoice.total" } });
    rig.create("/v1/subscriptions", json!({ "name": "c", "queueId": queue, "eventTypes": ["invoice.posted"], "action": action })).await;
    rig.delete("/v1/event-types/custom.sum").await.refused(409, "still_in_use");
}
