//! P8 when an operator lowers `max_payload` of nats-server, and raises it again.

use billwire_tests::{
    api::Api,
    eventually,
    gateway::{BOTH, Gateway, Setup},
    nats::Nats,
    receiver::Receiver,
    story::SECRET,
};
use serde_json::{Value, json};

const HIGH: usize = 1 << 20;
const LOW: usize = 64 << 10;

fn note(key: &str, text: &str) -> Value {
    json!({ "type": "custom.noted", "key": key, "data": { "text": text } })
}

/// Submits notes; gives the status of each, or the code of its refusal.
async fn submit(api: &Api, notes: &[Value]) -> Vec<String> {
    let answer = api.post("/v1/events", json!({ "items": notes })).await;
    let told = answer.json();
    if answer.status == 422 {
        return told["errors"].as_array().expect("errors").iter().map(|error| error["code"].as_str().expect("a code").to_owned()).collect();
    }
    let status = |item: &Value| item["problem"]["code"].as_str().or(item["status"].as_str()).expect("a status").to_owned();
    answer.expect(202)["items"].as_array().expect("items").iter().map(status).collect()
}

/// The lengths of the texts that arrived with an ordering key, in order.
fn lengths(receiver: &Receiver, key: &str) -> Vec<usize> {
    let calls = receiver.calls().into_iter().map(|call| call.json()).filter(|call| call["partitionkey"] == key);
    calls.map(|call| call["data"]["after"]["text"].as_str().expect("a text").len()).collect()
}

async fn arrived(receiver: &Receiver, key: &str, expected: &[usize]) {
    eventually(&format!("{key}: {expected:?}"), async || (lengths(receiver, key) == expected).then_some(())).await;
}

/// A gateway without consumers of the stream: what it accepts is published and waits there.
async fn publishing(setup: &Setup) -> Gateway {
    setup.start_with(&["serve", "--roles", "api,relay,clock"]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lowered_limit_stops_only_keys_with_large_events_and_once_raised_they_go_on_by_themselves() {
    for database in BOTH {
        let mut setup = Setup::new("lowered-limit", database);
        let receiver = Receiver::start().await;
        receiver.known_to(&mut setup);
        let mut nats = Nats::new(&mut setup);
        nats.start(&setup, HIGH);
        let gateway = publishing(&setup).await;
        let api = setup.api();
        let schema = json!({ "type": "object", "properties": { "text": { "type": "string" } } });
        let kind = json!({ "name": "noted", "title": "Noted", "orderingKey": "key", "schema": schema });
        api.post("/v1/event-types", kind).await.expect(201);
        let endpoint = api.create("/v1/webhook-endpoints", json!({ "name": "e", "url": receiver.url(), "secret": SECRET })).await;
        let queue = api.create("/v1/queues", json!({ "name": "q", "mode": "in_order", "eventTypes": ["custom.noted"] })).await;
        let action = json!({ "type": "webhook", "webhookEndpointId": endpoint });
        api.create("/v1/subscriptions", json!({ "name": "w", "queueId": queue, "action": action })).await;
        // On the stream before the limit is lowered: it is delivered afterwards.
        let large = "x".repeat(900_000);
        assert_eq!(submit(&api, &[note("stored", "1"), note("stored", &large), note("stored", "2")]).await, ["recorded"; 3]);
        eventually("they are published", async || {
            tokio::time::sleep(std::time::Duration::from_millis(200)).await;
            let ready = api.get("/readyz").await.json();
            (ready["outboxEvents"] == 0 || ready["parts"]["outbox"]["status"] == "ok").then_some(())
        })
        .await;
        tokio::time::sleep(std::time::Duration::from_secs(2)).await;
        nats.stop();
        // Accepted by the limit that was known, while the server is away.
        assert_eq!(
            submit(&api, &[note("stuck", "1"), note("stuck", &large), note("stuck", "22"), note("free", "1")]).await,
            ["recorded"; 4]
        );
        assert!(gateway.leaving("the server is away").stop().await.success());
        nats.start(&setup, LOW);
        let gateway = setup.start().await;
        arrived(&receiver, "stored", &[1, 900_000, 1]).await;
        arrived(&receiver, "free", &[1]).await;
        arrived(&receiver, "stuck", &[1]).await;
        eventually("it is set aside", async || {
            let listed = api.get("/v1/set-aside-events").await.expect(200);
            (listed["items"].as_array()?.len() == 1 && listed["items"][0]["waiting"] == 1).then_some(())
        })
        .await;
        assert_eq!(api.get("/readyz").await.expect(200)["parts"]["setAside"]["status"], "degraded");
        // What would not fit is refused from now on; what fits and stands behind waits, in order.
        assert_eq!(
            submit(&api, &[note("free", &large), note("free", "22"), note("stuck", "333")]).await,
            ["event_too_large", "recorded", "recorded"]
        );
        arrived(&receiver, "free", &[1, 2]).await;
        assert_eq!(lengths(&receiver, "stuck"), [1]);
        // A limit between both sizes helps nobody yet.
        nats.stop();
        nats.start(&setup, LOW * 2);
        assert_eq!(submit(&api, &[note("free", "4444")]).await, ["recorded"]);
        arrived(&receiver, "free", &[1, 2, 4]).await;
        assert_eq!(lengths(&receiver, "stuck"), [1]);
        nats.stop();
        nats.start(&setup, HIGH);
        arrived(&receiver, "stuck", &[1, 900_000, 2, 3]).await;
        eventually("nothing is set aside", async || {
            (api.get("/v1/set-aside-events").await.expect(200)["items"] == json!([])).then_some(())
        })
        .await;
        eventually("large ones are accepted again", async || (submit(&api, &[note("late", &large)]).await == ["recorded"]).then_some(()))
            .await;
        eventually("and arrive", async || (!lengths(&receiver, "late").is_empty()).then_some(())).await;
        assert!(gateway.stop().await.success());
    }
}
