//! Routing with real components: selections, filters, added parameters and paths, forwarding, calculations and pauses.

use std::collections::BTreeMap;

use billwire_tests::{
    api::Api,
    eventually,
    gateway::{BOTH, Database, Gateway, Setup},
    receiver::{Call, Receiver},
};
use serde_json::{Value, json};

/// A running gateway and the receiver it can reach.
struct World {
    // Dropped first: until then the receiver takes what is left.
    gateway: Gateway,
    setup: Setup,
    receiver: Receiver,
    api: Api,
    cycle: String,
}

impl World {
    async fn start(database: Database) -> Self {
        let mut setup = Setup::new("routing", database);
        let receiver = Receiver::start().await;
        receiver.known_to(&mut setup);
        let gateway = setup.start().await;
        let api = setup.api();
        let cycle = api.bill_cycle(1).await;
        Self { setup, receiver, gateway, api, cycle }
    }

    async fn queue(&self, name: &str, types: &[&str]) -> String {
        self.api.create("/v1/queues", json!({ "name": name, "mode": "in_order", "eventTypes": types })).await
    }

    async fn endpoint(&self, name: &str) -> String {
        let body = json!({ "name": name, "url": self.receiver.url(), "path": format!("/{name}") });
        self.api.create("/v1/webhook-endpoints", body).await
    }

    async fn subscribe(&self, name: &str, queue: &str, action: Value, more: Value) -> String {
        let mut body = json!({ "name": name, "queueId": queue, "action": action });
        for (name, value) in more.as_object().into_iter().flatten() {
            body[name] = value.clone();
        }
        self.api.create("/v1/subscriptions", body).await
    }

    async fn account(&self, name: &str) -> String {
        self.api.create("/v1/accounts", json!({ "name": name, "currency": "EUR", "billCycle": self.cycle })).await
    }

    /// The calls to paths with this prefix, once there are `count`.
    async fn calls(&self, path: &str, count: usize) -> Vec<Call> {
        let to = |call: &Call| call.path.strip_prefix("/hooks").is_some_and(|below| below.starts_with(path));
        eventually(path, async || (self.receiver.calls().iter().filter(|call| to(call)).count() >= count).then_some(())).await;
        self.receiver.calls().into_iter().filter(to).collect()
    }
}

fn webhook(endpoint: &str, path: &str) -> Value {
    json!({ "type": "webhook", "webhookEndpointId": endpoint, "path": path })
}

fn names(calls: &[Call]) -> Vec<String> {
    calls.iter().map(|call| call.json()["data"]["after"]["name"].as_str().unwrap_or_default().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_gets_what_it_chose_and_filtered_with_what_it_adds() {
    for database in BOTH {
        let world = World::start(database).await;
        let queue = world.queue("q", &["account.*"]).await;
        let endpoint = world.endpoint("in").await;
        let more = json!({
            "objects": [{ "object": "account", "events": ["created"] }],
            "filter": "account.name.startsWith('A') && event.after.currency == 'EUR'",
            "parameters": { "sales.region": "account.currency == 'EUR' ? 'EU' : 'other'", "size": "size(account.name)" },
        });
        world.subscribe("s", &queue, webhook(&endpoint, "/by/{account.name}"), more).await;
        world.subscribe("all", &queue, webhook(&endpoint, "/all"), json!({})).await;
        for name in ["A/1?", "B", "A2"] {
            let id = world.account(name).await;
            world.api.post(&format!("/v1/accounts/{id}/status"), json!({ "status": "suspended" })).await.expect(200);
        }
        assert_eq!(world.calls("/in/all", 9).await.len(), 9);
        let chosen = world.calls("/in/by/", 2).await;
        // Neither account waits for the other.
        let by_path: BTreeMap<&str, Value> = chosen.iter().map(|call| (call.path.as_str(), call.json())).collect();
        assert_eq!(by_path.keys().collect::<Vec<_>>(), [&"/hooks/in/by/A%2F1%3F", &"/hooks/in/by/A2"]);
        let parameters = &by_path["/hooks/in/by/A%2F1%3F"]["data"]["parameters"];
        assert_eq!((&parameters["sales.region"], &parameters["size"]), (&json!("EU"), &json!(4)));
        assert!(world.gateway.stop().await.success());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_that_fails_loses_nothing() {
    let world = World::start(Database::Sqlite).await;
    let queue = world.queue("q", &["account.created"]).await;
    let endpoint = world.endpoint("in").await;
    world.subscribe("s", &queue, webhook(&endpoint, "/x"), json!({ "filter": "account.name > 5" })).await;
    world.account("A").await;
    let dead = eventually("the dead letter", async || {
        let dead = world.api.get("/v1/deliveries?state=dead").await.expect(200)["items"][0].clone();
        dead.is_object().then_some(dead)
    })
    .await;
    let told = world.api.get(&format!("/v1/deliveries/{}", dead["id"].as_str().expect("an id"))).await.expect(200);
    assert!(told["attempts"][0]["detail"].as_str().is_some_and(|detail| detail.starts_with("filter failed: ")), "{told}");
    assert_eq!(world.receiver.count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn forwarded_events_reach_the_other_queue_in_order_once_and_calculated_ones_name_their_cause() {
    for database in BOTH {
        let world = World::start(database).await;
        let schema = json!({ "type": "object", "properties": { "label": { "type": "string" } }, "required": ["label"], "additionalProperties": false });
        let kind = json!({ "name": "welcomed", "title": "Welcomed", "orderingKey": "account", "schema": schema });
        world.api.create("/v1/event-types", kind).await;
        let (first, second) = (world.queue("first", &["account.*"]).await, world.queue("second", &["custom.*"]).await);
        let endpoint = world.endpoint("in").await;
        world.subscribe("on", &first, json!({ "type": "forward", "queueId": second }), json!({ "filter": "account.name != 'B'" })).await;
        let data = json!({ "label": "account.name + '!'" });
        let calculate = json!({ "type": "calculate", "eventType": "custom.welcomed", "data": data });
        world.subscribe("sum", &first, calculate, json!({ "eventTypes": ["account.created"] })).await;
        world.subscribe("sink", &second, webhook(&endpoint, "/sink"), json!({})).await;
        let mut created = Vec::new();
        for name in ["A", "B"] {
            let id = world.account(name).await;
            for status in ["suspended", "active"] {
                world.api.post(&format!("/v1/accounts/{id}/status"), json!({ "status": status })).await.expect(200);
            }
            created.push(id);
        }
        // Of A, five forwarded and one calculated; of B, the calculated one.
        let calls = world.calls("/in/sink", 7).await;
        let all: Vec<Value> = calls.iter().map(Call::json).collect();
        let forwarded: Vec<&str> =
            all.iter().filter_map(|event| event["type"].as_str()).filter(|kind| kind.starts_with("account.")).collect();
        assert_eq!(
            forwarded,
            ["account.created", "account.updated", "account.status_changed", "account.updated", "account.status_changed"],
            "in order, and nothing of B"
        );
        let calculated: Vec<&Value> = all.iter().filter(|event| event["type"] == "custom.welcomed").collect();
        assert_eq!(calculated.len(), 2);
        let of_a = calculated.iter().find(|event| event["partitionkey"] == created[0].as_str()).expect("of A");
        let cause = all.iter().find(|event| event["type"] == "account.created").expect("the cause");
        assert_eq!((&of_a["causationid"], &of_a["causationdepth"]), (&cause["id"], &json!(1)));
        assert_eq!(of_a["data"]["after"]["label"], "A!");
        assert_eq!(world.receiver.count(), 7);
        assert!(world.gateway.stop().await.success());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn calculations_that_feed_each_other_come_to_an_end() {
    let world = World::start(Database::Sqlite).await;
    let schema = json!({ "type": "object", "properties": { "n": { "type": "integer" } } });
    world.api.create("/v1/event-types", json!({ "name": "tick", "title": "Tick", "orderingKey": "key", "schema": schema })).await;
    let queue = world.queue("q", &["custom.tick"]).await;
    let action = json!({ "type": "calculate", "eventType": "custom.tick", "data": { "n": "event.after.n + 1" } });
    world.subscribe("again", &queue, action, json!({})).await;
    let start = json!({ "items": [{ "type": "custom.tick", "key": "k", "data": { "n": 0 } }] });
    world.api.post("/v1/events", start).await.expect(202);
    let dead = eventually("the end", async || {
        let dead = world.api.get("/v1/deliveries?state=dead").await.expect(200)["items"][0].clone();
        dead.is_object().then_some(dead)
    })
    .await;
    assert_eq!(world.api.get("/v1/deliveries?state=succeeded&limit=200").await.expect(200)["items"].as_array().map(Vec::len), Some(8));
    assert_eq!(dead["sequence"], 9);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_queue_keeps_its_events_over_a_restart_and_delivers_them_in_order_when_resumed() {
    for database in BOTH {
        let mut world = World::start(database).await;
        let queue = world.queue("q", &["account.created"]).await;
        let endpoint = world.endpoint("in").await;
        world.subscribe("s", &queue, webhook(&endpoint, "/x"), json!({})).await;
        world.account("before").await;
        world.calls("/in/x", 1).await;
        world.api.post(&format!("/v1/queues/{queue}/pause"), json!({})).await.expect(200);
        for name in ["one", "two"] {
            world.account(name).await;
        }
        assert!(world.gateway.leaving("the queue is paused").stop().await.success());
        world.gateway = world.setup.start().await;
        world.account("three").await;
        assert_eq!(world.receiver.count(), 1, "it rests");
        world.api.post(&format!("/v1/queues/{queue}/resume"), json!({})).await.expect(200);
        let mut got = names(&world.calls("/in/x", 4).await);
        got.sort();
        assert_eq!(got, ["before", "one", "three", "two"]);
        assert!(world.gateway.stop().await.success());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disabled_subscription_is_sent_what_waited_and_not_what_happened_meanwhile() {
    let world = World::start(Database::Sqlite).await;
    let queue = world.queue("q", &["account.created"]).await;
    let endpoint = world.endpoint("in").await;
    let id = world.subscribe("s", &queue, webhook(&endpoint, "/x"), json!({})).await;
    world.api.post(&format!("/v1/subscriptions/{id}/disable"), json!({})).await.expect(200);
    world.account("meanwhile").await;
    world.api.post(&format!("/v1/subscriptions/{id}/enable"), json!({})).await.expect(200);
    world.account("after").await;
    assert_eq!(names(&world.calls("/in/x", 1).await), ["after"]);
    let count = async || world.api.get("/v1/deliveries").await.expect(200)["items"].as_array().map(Vec::len).filter(|count| *count > 0);
    assert_eq!(eventually("the record", count).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn types_registered_on_a_running_queue_flow_at_once() {
    let world = World::start(Database::Sqlite).await;
    let queue = world.queue("q", &["account.created"]).await;
    let endpoint = world.endpoint("in").await;
    world.subscribe("s", &queue, webhook(&endpoint, "/x"), json!({})).await;
    let id = world.account("A").await;
    let change = json!({ "eventTypes": ["account.created", "account.status_changed"] });
    world.api.patch(&format!("/v1/queues/{queue}"), change).await.expect(200);
    world.api.post(&format!("/v1/accounts/{id}/status"), json!({ "status": "suspended" })).await.expect(200);
    let kinds: Vec<Value> = world.calls("/in/x", 2).await.iter().map(|call| call.json()["type"].clone()).collect();
    assert_eq!(kinds, ["account.created", "account.status_changed"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_that_another_process_resumes_goes_on_without_a_new_event() {
    let mut setup = Setup::new("resume-elsewhere", Database::Postgres);
    let receiver = Receiver::start().await;
    receiver.known_to(&mut setup);
    let gateway = setup.start_with(&["serve", "--roles", "api,relay,clock"]).await;
    let _consumers = setup.consumers(0);
    let (api, cycle) = (setup.api(), setup.api().bill_cycle(1).await);
    let world = World { setup, receiver, gateway, api, cycle };
    let queue = world.queue("q", &["account.created"]).await;
    let endpoint = world.endpoint("e").await;
    world.subscribe("s", &queue, json!({ "type": "webhook", "webhookEndpointId": endpoint }), json!({})).await;
    world.account("before").await;
    world.calls("/e", 1).await;
    for delivered in 2..=5 {
        world.api.post(&format!("/v1/queues/{queue}/pause"), json!({})).await.expect(200);
        world.account("during").await;
        eventually("the other process has passed the event by", async || {
            let statistics = world.api.get(&format!("/v1/queues/{queue}/statistics")).await.expect(200);
            (statistics["lag"] == 1).then_some(())
        })
        .await;
        world.api.post(&format!("/v1/queues/{queue}/resume"), json!({})).await.expect(200);
        assert_eq!(world.calls("/e", delivered).await.len(), delivered);
    }
}
