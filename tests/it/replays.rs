//! Replays of past events, and the status of a queue.

use std::collections::BTreeMap;

use billwire_tests::{
    PATIENCE,
    api::Api,
    eventually,
    gateway::{BOTH, Database, Gateway, Setup},
    receiver::{Answer, Receiver},
};
use chrono::{TimeDelta, Utc};
use serde_json::{Value, json};

async fn world(name: &str, database: Database) -> (Receiver, Gateway, Api) {
    let mut setup = Setup::new(name, database);
    setup.set("BILLWIRE_WEBHOOK_RETRY_PLAN", "0s,100ms");
    let receiver = Receiver::start().await;
    receiver.known_to(&mut setup);
    let gateway = setup.start().await;
    let api = setup.api();
    (receiver, gateway.keeping(setup), api)
}

async fn subscribe(api: &Api, receiver: &Receiver, more: Value) -> (String, String) {
    let endpoint = api.create("/v1/webhook-endpoints", json!({ "name": "e", "url": receiver.url() })).await;
    let queue = api.create("/v1/queues", json!({ "name": "q", "mode": "in_order", "eventTypes": ["account.*"] })).await;
    let mut body = json!({ "name": "s", "queueId": queue, "action": { "type": "webhook", "webhookEndpointId": endpoint } });
    body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    (queue, api.create("/v1/subscriptions", body).await)
}

async fn accounts(api: &Api, count: usize) -> Vec<String> {
    let cycle = api.bill_cycle(1).await;
    let mut made = Vec::new();
    for _ in 0..count {
        let account = api.account(&cycle).await;
        for status in ["suspended", "active"] {
            api.post(&format!("/v1/accounts/{account}/status"), json!({ "status": status })).await.expect(200);
        }
        made.push(account);
    }
    made
}

async fn finished(api: &Api, replay: &Value) -> Value {
    let path = format!("/v1/replays/{}", replay["id"].as_str().expect("an id"));
    eventually("the replay to end", async || Some(api.get(&path).await.expect(200)).filter(|replay| replay["state"] == "completed")).await
}

fn window() -> Value {
    json!((Utc::now() - TimeDelta::hours(1)).to_rfc3339())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_sends_the_same_bytes_in_order_once_more_and_a_dry_run_only_counts() {
    for database in BOTH {
        let (receiver, _gateway, api) = world("replay", database).await;
        let (_, subscription) = subscribe(&api, &receiver, json!({ "filter": "event.type != 'account.updated'" })).await;
        accounts(&api, 3).await;
        let live = eventually("the live calls", async || Some(receiver.calls()).filter(|calls| calls.len() >= 9)).await;
        receiver.forget();
        let order = json!({ "subscriptionId": subscription, "from": window() });
        let mut dry = order.clone();
        dry["dryRun"] = json!(true);
        let counted = finished(&api, &api.post("/v1/replays", dry).await.expect(202)).await;
        assert_eq!((&counted["matched"], &counted["delivered"], receiver.count()), (&json!(9), &json!(0), 0));
        let replay = finished(&api, &api.post("/v1/replays", order).await.expect(202)).await;
        assert_eq!((&replay["matched"], &replay["delivered"], &replay["progress"]), (&json!(9), &json!(9), &json!(1.0)));
        let again = receiver.calls();
        let by_id = |calls: &[billwire_tests::receiver::Call]| -> BTreeMap<String, bytes::Bytes> {
            calls.iter().map(|call| (call.header("webhook-id").to_owned(), call.body.clone())).collect()
        };
        assert_eq!((again.len(), by_id(&again)), (9, by_id(&live)), "the same ids and the same bytes");
        let mut last: BTreeMap<String, String> = BTreeMap::new();
        for call in &again {
            let event = call.json();
            let (key, sequence) = (event["partitionkey"].to_string(), event["sequence"].to_string());
            assert!(last.insert(key, sequence.clone()).is_none_or(|before| before < sequence), "out of order");
        }
        let of_it = api.get(&format!("/v1/deliveries?replayId={}", replay["id"].as_str().expect("an id"))).await.expect(200);
        assert_eq!(of_it["items"].as_array().map(Vec::len), Some(9));
        assert_eq!(of_it["items"][0]["subscriptionId"], subscription.as_str());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_does_not_hold_live_lanes_up_and_can_be_called_off() {
    let (receiver, _gateway, api) = world("replay-live", Database::Sqlite).await;
    let (_, subscription) = subscribe(&api, &receiver, json!({ "whenGivenUp": "block" })).await;
    let account = accounts(&api, 1).await.remove(0);
    eventually("the live calls", async || (receiver.count() >= 5).then_some(())).await;
    receiver.forget();
    // The replay's first delivery is refused permanently, so its lane is blocked.
    receiver.script([Answer::Status(400), Answer::Status(400)]);
    let replay = api.post("/v1/replays", json!({ "subscriptionId": subscription, "from": window() })).await.expect(202);
    let path = format!("/v1/replays/{}", replay["id"].as_str().expect("an id"));
    eventually("its lane to block", async || Some(api.get(&path).await.expect(200)).filter(|replay| replay["dead"] == 1)).await;
    api.post(&format!("/v1/accounts/{account}/status"), json!({ "status": "suspended" })).await.expect(200);
    eventually("what happens now to arrive", async || (receiver.count() >= 4).then_some(())).await;
    let cancelled = api.post(&format!("{path}/cancel"), json!({})).await.expect(202);
    assert_eq!(cancelled["state"], "cancelled");
    let ended = api.get(&path).await.expect(200);
    assert_eq!((&ended["discarded"], &ended["waiting"], &ended["delivered"]), (&json!(5), &json!(0), &json!(0)));
}

/// Deliveries of the last minute, as the queue reports them.
async fn delivered_in_a_minute(api: &Api, path: &str) -> (u64, Value) {
    let told = api.get(path).await.expect(200);
    // The rate is per second; the half compensates for rounding.
    ((told["deliveredPerSecond"].as_f64().unwrap_or_default() * 60.0 + 0.5) as u64, told)
}

/// A step that outlasts the lease, as on a busy machine, must not restart a queue that no other process wants.
#[tokio::test(flavor = "multi_thread")]
async fn a_queue_goes_on_under_a_lease_that_ran_out_while_nobody_else_takes_it() {
    let mut setup = Setup::new("short-lease", Database::Sqlite);
    setup.set("BILLWIRE_LEASE_MS", "6");
    let receiver = Receiver::start().await;
    receiver.known_to(&mut setup);
    let _gateway = setup.start().await;
    let api = setup.api();
    let (queue, _) = subscribe(&api, &receiver, json!({})).await;
    accounts(&api, 4).await;
    let path = format!("/v1/queues/{queue}/statistics");
    eventually("all of them in one count", async || (delivered_in_a_minute(&api, &path).await.0 >= 20).then_some(())).await;
    assert_eq!(receiver.count(), 20, "each once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_tells_what_waits_how_far_it_is_behind_and_how_much_it_delivers() {
    for database in BOTH {
        let (receiver, gateway, api) = world("statistics", database).await;
        let _gateway = gateway.leaving("the receiver asks to be called in an hour");
        let (queue, _) = subscribe(&api, &receiver, json!({})).await;
        accounts(&api, 4).await;
        let path = format!("/v1/queues/{queue}/statistics");
        let told = eventually("the rate", async || {
            let (delivered, told) = delivered_in_a_minute(&api, &path).await;
            (delivered >= 20).then_some(told)
        })
        .await;
        assert_eq!((&told["waiting"], &told["lag"], told.get("oldestWaitingAt")), (&json!(0), &json!(0), None));
        receiver.always(Some(Answer::RetryAfter(503, 3600)));
        accounts(&api, 1).await;
        let told = eventually("what waits", async || {
            Some(api.get(&path).await.expect(200)).filter(|told| told["waiting"] == 5 && told["failedPerSecond"].as_f64() > Some(0.0))
        })
        .await;
        assert!(told["oldestWaitingSeconds"].as_i64().is_some_and(|age| (0..PATIENCE.as_secs() as i64).contains(&age)), "{told}");
    }
}
