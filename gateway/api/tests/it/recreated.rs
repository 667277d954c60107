//! Configuration objects of every type can be recreated under the name of a deleted one, and then changed; on both databases.

use serde_json::{Value, json};

use crate::{issuer::provider, rig::Rig};

/// A type of configuration object.
struct Noun {
    path: &'static str,
    /// The body that creates one.
    body: Value,
    /// The PATCH body; absent if the type cannot be changed.
    change: Option<Value>,
}

async fn nouns(rig: &Rig) -> Vec<Noun> {
    let (queue, endpoint) = (rig.queue("other", &["account.*"]).await, rig.endpoint("other").await);
    let noun = |path, body, change| Noun { path, body, change };
    let template = json!({ "name": "again", "eventTypes": ["account.created"], "subject": "s", "text": "t" });
    vec![
        noun(
            "/v1/queues",
            json!({ "name": "again", "mode": "in_order", "eventTypes": ["account.*"] }),
            Some(json!({ "mode": "out_of_order" })),
        ),
        noun(
            "/v1/subscriptions",
            json!({ "name": "again", "queueId": queue, "action": { "type": "webhook", "webhookEndpointId": endpoint } }),
            Some(json!({ "filter": "account.name == 'A'" })),
        ),
        noun(
            "/v1/webhook-endpoints",
            json!({ "name": "again", "url": "https://crm.example.com/" }),
            Some(json!({ "url": "https://erp.example.com/" })),
        ),
        noun(
            "/v1/smtp-accounts",
            json!({ "name": "again", "server": "smtp.example.com", "fromName": "A", "fromAddress": "a@example.com" }),
            Some(json!({ "fromName": "B" })),
        ),
        noun("/v1/notification-templates", template, Some(json!({ "subject": "another" }))),
        noun(
            "/v1/system-users",
            json!({ "name": "again", "email": "a@example.com", "language": "en", "timeZone": "Europe/Zurich" }),
            Some(json!({ "language": "de" })),
        ),
        noun("/v1/identity-providers", provider("again", "https://login.example.com", &["csr"]), Some(json!({ "audience": "another" }))),
        noun("/v1/data-sources", json!({ "name": "again", "object": "account", "path": ["billCycle"] }), None),
        noun("/v1/stream-subscriptions", json!({ "name": "again", "eventTypes": ["account.*"] }), None),
        noun("/v1/suppressed-addresses", json!({ "address": "again@example.com" }), None),
        noun("/v1/bill-cycles", json!({ "name": "again", "externalId": "again", "period": "day" }), Some(json!({ "name": "another" }))),
    ]
}

#[tokio::test]
async fn what_was_deleted_is_made_again_under_its_name_and_changed() {
    for rig in Rig::everywhere().await {
        for Noun { path, body, change } in nouns(&rig).await {
            let mut ids = Vec::new();
            for round in 0..3 {
                let made = rig.post(path, body.clone()).await.expect(201);
                let id = made["entities"][0]["id"].as_str().expect("an id").to_owned();
                assert!(!ids.contains(&id), "{path}: {id} is given twice");
                let renamed = json!({ "name": format!("renamed {round}") });
                for (body, version) in change.clone().map(|change| [(change, 2), (renamed, 3)]).into_iter().flatten() {
                    let changed = rig.patch(&format!("{path}/{id}"), body).await.expect(200);
                    assert_eq!(changed["entities"][0]["version"], version, "{path}");
                }
                rig.delete(&format!("{path}/{id}")).await.expect(200);
                ids.push(id);
            }
        }
    }
}

fn sim_swapped(title: &str) -> Value {
    json!({ "name": "sim_swapped", "title": title, "schema": { "type": "object" } })
}

#[tokio::test]
async fn an_event_type_that_was_registered_again_gets_its_next_versions() {
    for rig in Rig::everywhere().await {
        let mut version = 0;
        for round in 0..3 {
            for title in ["One", "Two", "Three"] {
                version += 1;
                let made = rig.post("/v1/event-types", sim_swapped(&format!("{title} {round}"))).await.expect(201);
                assert_eq!(made["entities"][0]["version"], version);
            }
            rig.delete("/v1/event-types/custom.sim_swapped").await.expect(200);
        }
        for earlier in 1..=version {
            rig.get(&format!("/v1/event-types/custom.sim_swapped?version={earlier}")).await.expect(200);
        }
    }
}

#[tokio::test]
async fn an_event_type_that_the_version_before_registered_again_gets_its_next_version() {
    let rig = Rig::new().await;
    rig.post("/v1/event-types", sim_swapped("One")).await.expect(201);
    rig.delete("/v1/event-types/custom.sim_swapped").await.expect(200);
    rig.post("/v1/event-types", sim_swapped("One")).await.expect(201);
    rig.damage("UPDATE configuration SET version = 1 WHERE kind = 'event_type'");
    for (title, version) in [("Two", 3), ("Three", 4)] {
        assert_eq!(rig.post("/v1/event-types", sim_swapped(title)).await.expect(201)["entities"][0]["version"], version);
    }
}
