//! Inspection and repair: retries, dead letters, blocked lanes, and explanations of an event's deliveries.

use billwire_tests::{
    api::Api,
    eventually,
    gateway::{BOTH, Database, Gateway, Setup},
    receiver::{Answer, Receiver},
};
use serde_json::{Value, json};

/// A gateway with this webhook retry plan, and a receiver.
async fn world(name: &str, database: Database, plan: &str) -> (Receiver, Gateway, Api) {
    let mut setup = Setup::new(name, database);
    setup.set("BILLWIRE_WEBHOOK_RETRY_PLAN", plan);
    let receiver = Receiver::start().await;
    receiver.known_to(&mut setup);
    let gateway = setup.start().await;
    let api = setup.api();
    (receiver, gateway.keeping(setup), api)
}

/// An in-order queue for accounts, and a subscription with this setting for given-up deliveries.
async fn subscribe(api: &Api, receiver: &Receiver, when_given_up: &str) -> String {
    let endpoint = api.create("/v1/webhook-endpoints", json!({ "name": "e", "url": receiver.url() })).await;
    let queue = api.create("/v1/queues", json!({ "name": "q", "mode": "in_order", "eventTypes": ["account.*"] })).await;
    let action = json!({ "type": "webhook", "webhookEndpointId": endpoint });
    api.create("/v1/subscriptions", json!({ "name": "s", "queueId": queue, "action": action, "whenGivenUp": when_given_up })).await
}

async fn account_with_changes(api: &Api) -> String {
    let cycle = api.bill_cycle(1).await;
    let account = api.account(&cycle).await;
    for status in ["suspended", "active"] {
        api.post(&format!("/v1/accounts/{account}/status"), json!({ "status": status })).await.expect(200);
    }
    account
}

async fn in_state(api: &Api, state: &str, count: usize) -> Vec<Value> {
    eventually(state, async || {
        let items = api.get(&format!("/v1/deliveries?limit=200&state={state}")).await.expect(200)["items"].clone();
        let items = items.as_array().expect("items").clone();
        (items.len() >= count).then_some(items)
    })
    .await
}

fn kinds(receiver: &Receiver) -> Vec<String> {
    receiver.calls().iter().map(|call| call.json()["type"].as_str().expect("a type").to_owned()).collect()
}

const IN_ORDER: [&str; 5] = ["account.created", "account.updated", "account.status_changed", "account.updated", "account.status_changed"];

#[tokio::test(flavor = "multi_thread")]
async fn a_blocking_lane_waits_for_a_person_and_then_goes_on_in_order() {
    for database in BOTH {
        let (receiver, gateway, api) = world("mending", database, "0s,100ms").await;
        subscribe(&api, &receiver, "block").await;
        receiver.always(Some(Answer::Status(500)));
        account_with_changes(&api).await;
        let head = in_state(&api, "blocking", 1).await;
        let waiting = in_state(&api, "waiting", 4).await;
        assert_eq!((head.len(), waiting.len()), (1, 4), "the rest stands behind it");
        assert_eq!(head[0]["lastAttempt"]["status"], 500);
        let behind = waiting[0]["id"].as_str().expect("an id");
        api.post(&format!("/v1/deliveries/{behind}/retry"), json!({})).await.refused(409, "delivery_behind_another");
        let letters = api.get("/v1/dead-letters").await.expect(200);
        assert_eq!(letters["items"][0]["id"], head[0]["id"]);
        receiver.always(None);
        receiver.forget();
        let done = api.post("/v1/dead-letters/redrive", json!({ "ids": [head[0]["id"]] })).await.expect(202);
        assert_eq!(done, json!({ "deliveries": 1 }));
        in_state(&api, "succeeded", 5).await;
        assert_eq!(kinds(&receiver), IN_ORDER);
        let told = api.get(&format!("/v1/deliveries/{}", head[0]["id"].as_str().expect("an id"))).await.expect(200);
        let numbers: Vec<&Value> = told["attempts"].as_array().expect("attempts").iter().map(|attempt| &attempt["number"]).collect();
        assert_eq!(numbers, [1, 2, 3], "no try is forgotten");
        assert!(gateway.stop().await.success());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lane_goes_on_behind_a_head_that_is_discarded() {
    for database in BOTH {
        let (receiver, gateway, api) = world("mending", database, "0s").await;
        let subscription = subscribe(&api, &receiver, "block").await;
        receiver.script([Answer::Status(400)]);
        account_with_changes(&api).await;
        in_state(&api, "blocking", 1).await;
        let key = "discard-1";
        let choice = json!({ "subscriptionId": subscription });
        let headers = [("idempotency-key", key)];
        for _ in 0..2 {
            let done = api.send(reqwest::Method::POST, "/v1/dead-letters/discard", Some(&choice), &headers).await.expect(202);
            assert_eq!(done, json!({ "deliveries": 1 }), "a repeat answers the same and does nothing");
        }
        in_state(&api, "succeeded", 4).await;
        assert_eq!(kinds(&receiver)[1..], IN_ORDER[1..]);
        assert_eq!(in_state(&api, "discarded", 1).await.len(), 1);
        assert!(gateway.stop().await.success());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_that_waits_long_is_tried_at_once_when_asked() {
    let (receiver, _gateway, api) = world("mending", Database::Sqlite, "0s,24h").await;
    subscribe(&api, &receiver, "skip").await;
    receiver.script([Answer::Status(503)]);
    let cycle = api.bill_cycle(1).await;
    api.account(&cycle).await;
    let waiting = in_state(&api, "waiting", 1).await;
    let id = eventually("its time", async || {
        let one = api.get(&format!("/v1/deliveries/{}", waiting[0]["id"].as_str().expect("an id"))).await.expect(200);
        one["nextAttemptAt"].is_string().then(|| one["id"].as_str().expect("an id").to_owned())
    })
    .await;
    api.post(&format!("/v1/deliveries/{id}/retry"), json!({})).await.expect(202);
    in_state(&api, "succeeded", 1).await;
    api.post(&format!("/v1/deliveries/{id}/retry"), json!({})).await.refused(409, "delivery_succeeded");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_is_explained_from_the_stream_to_each_subscription() {
    let (receiver, _gateway, api) = world("mending", Database::Sqlite, "0s").await;
    subscribe(&api, &receiver, "skip").await;
    let queues = api.get("/v1/queues").await.expect(200);
    let queue = queues["items"][0]["id"].as_str().expect("an id");
    let endpoint = api.get("/v1/webhook-endpoints").await.expect(200)["items"][0]["id"].clone();
    let action = json!({ "type": "webhook", "webhookEndpointId": endpoint });
    for (name, more) in [
        ("filtered", json!({ "filter": "account.name == 'nobody'" })),
        ("failing", json!({ "filter": "account.name > 1" })),
        ("other", json!({ "eventTypes": ["account.updated"] })),
    ] {
        let mut body = json!({ "name": name, "queueId": queue, "action": action });
        body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        api.create("/v1/subscriptions", body).await;
    }
    let elsewhere = api.create("/v1/queues", json!({ "name": "elsewhere", "mode": "in_order", "eventTypes": ["invoice.*"] })).await;
    api.create("/v1/subscriptions", json!({ "name": "elsewhere", "queueId": elsewhere, "action": action })).await;
    let cycle = api.bill_cycle(1).await;
    let made = api.post("/v1/accounts", json!({ "name": "Acme", "currency": "EUR", "billCycle": cycle })).await.expect(201);
    api.create("/v1/subscriptions", json!({ "name": "late", "queueId": queue, "action": action })).await;
    let path = format!("/v1/events/{}/explanation", made["events"][0]["id"].as_str().expect("an id"));
    let told = eventually("the whole way", async || {
        let told = api.get(&path).await.expect(200);
        let delivered = told.to_string().contains("\"succeeded\"") && told.to_string().contains("\"dead\"");
        (delivered && told["onStream"] == true && told["inWarehouse"] == true).then_some(told)
    })
    .await;
    let all: Vec<&Value> = told["queues"]
        .as_array()
        .expect("queues")
        .iter()
        .flat_map(|queue| queue["subscriptions"].as_array().expect("subscriptions"))
        .collect();
    let verdict = |name: &str| {
        all.iter().find(|one| one["name"] == name).map(|one| (one["verdict"].as_str().unwrap_or(""), one["delivery"]["state"].as_str()))
    };
    assert_eq!(verdict("s"), Some(("matched", Some("succeeded"))));
    assert_eq!(verdict("filtered"), Some(("filteredOut", None)));
    assert_eq!(verdict("failing"), Some(("filterFailed", Some("dead"))));
    assert_eq!(verdict("other"), Some(("notChosen", None)));
    assert_eq!(verdict("elsewhere"), Some(("notRegistered", None)));
    assert_eq!(verdict("late"), Some(("tooYoung", None)));
    api.get("/v1/events/none/explanation").await.refused(404, "event_not_found");
}
