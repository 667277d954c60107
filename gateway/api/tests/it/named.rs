//! Configuration objects are addressed by their names as by their ids.

use serde_json::{Value, json};

use crate::rig::Rig;

#[tokio::test]
async fn a_configuration_object_is_found_changed_and_referred_to_by_its_name() {
    for rig in Rig::everywhere().await {
        let queue = rig.queue("all accounts / crm", &["account.created"]).await;
        let endpoint = rig.endpoint("crm").await;
        let path = "/v1/queues/all%20accounts%20%2F%20crm";
        let shown = rig.get(path).await.expect(200);
        assert_eq!((&shown["id"], &shown["name"]), (&json!(queue), &json!("all accounts / crm")));
        let action = json!({ "type": "webhook", "webhookEndpointId": "crm" });
        let body = json!({ "name": "news", "queueId": "all accounts / crm", "action": action });
        let made = rig.post("/v1/subscriptions", body).await.expect(201)["entities"][0]["after"].clone();
        assert_eq!((&made["queueId"], &made["action"]["webhookEndpointId"]), (&json!(queue), &json!(endpoint)), "kept by their ids");
        let window = json!({ "subscriptionId": "news", "from": "2026-01-01T00:00:00Z", "dryRun": true });
        assert_eq!(rig.post("/v1/replays", window).await.expect(202)["subscriptionId"], made["id"]);

        // The event of the endpoint keeps its ordering key.
        let disabled = rig.post("/v1/webhook-endpoints/crm/disable", json!({})).await.expect(200);
        assert_eq!(disabled["entities"][0]["id"], json!(endpoint));
        assert_eq!(rig.post(&format!("{path}/pause"), json!({})).await.expect(200)["entities"][0]["id"], json!(queue));
        let renamed = rig.patch("/v1/subscriptions/news", json!({ "name": "other news" })).await.expect(200);
        assert_eq!(renamed["entities"][0]["after"]["name"], "other news");
        rig.get("/v1/subscriptions/news").await.refused(404, "subscription_not_found");
        let stale = rig.call("PATCH", path, &[("if-match", "\"1\"")], Some(&json!({ "name": "q" }))).await;
        stale.refused(412, "stale_version");
        let body = json!({ "name": "n", "queueId": "nobody's", "action": { "type": "webhook", "webhookEndpointId": "crm" } });
        let refused = rig.post("/v1/subscriptions", body).await.refused(422, "queue_unknown");
        assert!(refused["detail"].as_str().is_some_and(|detail| detail.contains("nobody's")), "{refused}");

        // A repeated deletion gets the first answer, though nobody has the name any more.
        let key = [("idempotency-key", "k")];
        let first = rig.call("DELETE", "/v1/subscriptions/other%20news", &key, None).await.expect(200);
        assert_eq!(rig.call("DELETE", "/v1/subscriptions/other%20news", &key, None).await.expect(200), first);
    }
}

#[tokio::test]
async fn a_name_of_another_tenant_or_of_another_kind_is_no_name() {
    let rig = Rig::new().await;
    rig.queue("accounts", &["account.created"]).await;
    rig.get("/v1/webhook-endpoints/accounts").await.refused(404, "webhook_endpoint_not_found");
    let other = rig.key_of("acme", &["queues:read", "queues:write"]).await;
    rig.by(&other, "GET", "/v1/queues/accounts", &Value::Null).await.refused(404, "queue_not_found");
    rig.by(&other, "POST", "/v1/queues/accounts/pause", &json!({})).await.refused(404, "queue_not_found");
    rig.by(&other, "DELETE", "/v1/queues/accounts", &Value::Null).await.refused(404, "queue_not_found");
}
