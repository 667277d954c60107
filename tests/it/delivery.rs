//! Retries, order and dead letters, and how the API reports them.

use std::time::Duration;

use billwire_tests::{
    eventually,
    gateway::{BOTH, Setup},
    receiver::{Answer, Receiver},
    story::subscribe,
};
use reqwest::Method;
use serde_json::{Value, json};

async fn changes(api: &billwire_tests::api::Api, count: usize) -> String {
    let cycles = [api.bill_cycle(1).await, api.bill_cycle(15).await];
    let account = api.account(&cycles[0]).await;
    for i in 0..count {
        api.post(&format!("/v1/accounts/{account}/bill-cycle"), json!({ "billCycle": cycles[(i + 1) % 2] })).await.expect(200);
    }
    account
}

fn sequences(receiver: &Receiver, key: &str) -> Vec<i64> {
    let of_key = receiver.calls().into_iter().map(|c| c.json()).filter(|event| event["partitionkey"] == key);
    of_key.filter_map(|event| event["sequence"].as_str()?.parse().ok()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_head_holds_its_lane_and_nothing_overtakes_it() {
    for database in BOTH {
        let mut setup = Setup::new("lane", database);
        let receiver = Receiver::start().await;
        receiver.known_to(&mut setup);
        setup.set("BILLWIRE_WEBHOOK_RETRY_PLAN", "0s,1s,1s,1s");
        let _gateway = setup.start().await;
        let api = setup.api();
        subscribe(&api, &receiver, "lane", "in_order").await;
        let quiet = changes(&api, 0).await;
        eventually("the quiet account", async || sequences(&receiver, &quiet).contains(&1).then_some(())).await;
        receiver.forget();
        receiver.script([Answer::Status(500), Answer::Status(503)]);

        let account = changes(&api, 10).await;
        eventually("21 events in order", async || (sequences(&receiver, &account).last() == Some(&21)).then_some(())).await;
        let mut got = sequences(&receiver, &account);
        got.dedup();
        assert_eq!(got, (1..=21).collect::<Vec<_>>(), "the failing head comes again before anything behind it");

        let failed = eventually("a delivery with attempts", async || {
            let list = api.get("/v1/deliveries?state=succeeded&limit=200").await.json();
            list["items"].as_array()?.iter().find(|d| d["attemptCount"].as_u64() > Some(1)).cloned()
        })
        .await;
        let whole = api.get(&format!("/v1/deliveries/{}", failed["id"].as_str().expect("an id"))).await.expect(200);
        let attempts = whole["attempts"].as_array().expect("attempts");
        assert_eq!(attempts.len() as u64, whole["attemptCount"].as_u64().expect("a count"));
        assert!(attempts[0]["status"].as_u64() >= Some(500));
        assert_eq!(attempts[attempts.len() - 1]["status"], 204);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_carries_the_same_bytes_id_and_trace_but_its_own_timestamp() {
    let mut setup = Setup::new("same-bytes", BOTH[0]);
    let receiver = Receiver::start().await;
    receiver.known_to(&mut setup);
    setup.set("BILLWIRE_WEBHOOK_RETRY_PLAN", "0s,2s,2s");
    let _gateway = setup.start().await;
    let api = setup.api();
    subscribe(&api, &receiver, "same", "out_of_order").await;
    receiver.script([Answer::Status(500)]);
    let (cycle, trace) = (json!({ "name": "c", "period": "day" }), "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
    let made = api.send(Method::POST, "/v1/bill-cycles", Some(&cycle), &[("traceparent", trace)]).await.expect(201);
    let event = made["events"][0]["id"].as_str().expect("an event").replace('-', "");
    eventually("a second try", async || (receiver.count() >= 2).then_some(())).await;
    let calls = receiver.calls();
    assert_eq!(calls[0].body, calls[1].body);
    assert_eq!(calls[0].header("webhook-id"), calls[1].header("webhook-id"));
    assert_ne!(calls[0].header("webhook-timestamp"), calls[1].header("webhook-timestamp"));
    let parent = format!("00-4bf92f3577b34da6a3ce929d0e0e4736-{}-01", &event[16..]);
    assert_eq!([calls[0].header("traceparent"), calls[1].header("traceparent")], [parent.as_str(); 2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_that_uses_up_its_plan_is_a_dead_letter_and_its_lane_goes_on() {
    for database in BOTH {
        let mut setup = Setup::new("dead", database);
        let receiver = Receiver::start().await;
        receiver.known_to(&mut setup);
        setup.set("BILLWIRE_WEBHOOK_RETRY_PLAN", "0s,200ms");
        let _gateway = setup.start().await;
        let api = setup.api();
        subscribe(&api, &receiver, "dead", "in_order").await;
        let cycle = api.bill_cycle(1).await;
        eventually("the cycle", async || (receiver.count() == 1).then_some(())).await;
        receiver.script([Answer::Status(500), Answer::Status(500)]);
        let account = api.account(&cycle).await;
        let dead = eventually("a dead letter", async || {
            let list = api.get("/v1/deliveries?state=dead").await.json();
            list["items"].as_array()?.first().cloned()
        })
        .await;
        assert_eq!((&dead["orderingKey"], &dead["attemptCount"]), (&json!(account), &json!(2)));
        api.post(&format!("/v1/accounts/{account}/status"), json!({ "status": "suspended" })).await.expect(200);
        eventually("the lane to go on", async || sequences(&receiver, &account).contains(&3).then_some(())).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_is_away_gets_everything_in_order_when_it_is_back_even_over_a_restart() {
    for database in BOTH {
        let mut setup = Setup::new("away", database);
        let receiver = Receiver::start().await;
        receiver.known_to(&mut setup);
        // A retry plan that outlasts any pause of a busy machine.
        setup.set("BILLWIRE_WEBHOOK_RETRY_PLAN", vec!["500ms"; 1000].join(","));
        let gateway = setup.start().await;
        let api = setup.api();
        subscribe(&api, &receiver, "away", "in_order").await;
        receiver.always(Some(Answer::Status(503)));
        let account = changes(&api, 20).await;
        eventually("a failed try", async || (receiver.count() > 2).then_some(())).await;
        gateway.kill();
        let _gateway = setup.start().await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        receiver.forget();
        receiver.always(None);
        eventually("everything", async || (sequences(&receiver, &account).last() == Some(&41)).then_some(())).await;
        let mut got = sequences(&receiver, &account);
        got.dedup();
        assert_eq!(got, (1..=41).collect::<Vec<_>>());
        eventually("nothing waiting", async || {
            let waiting: Value = api.get("/v1/deliveries?state=waiting").await.json();
            waiting["items"].as_array()?.is_empty().then_some(())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_subscription_gets_what_is_committed_after_it_and_nothing_before() {
    for database in BOTH {
        let mut setup = Setup::new("new-subscription", database);
        let receiver = Receiver::start().await;
        receiver.known_to(&mut setup);
        let _gateway = setup.start().await;
        let api = setup.api();
        let before = changes(&api, 3).await;
        subscribe(&api, &receiver, "late", "in_order").await;
        let after = changes(&api, 3).await;
        eventually("seven events", async || (sequences(&receiver, &after).len() == 7).then_some(())).await;
        assert_eq!(sequences(&receiver, &before), Vec::<i64>::new());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sick_receiver_does_not_hold_a_healthy_one_back() {
    let mut setup = Setup::new("apart", BOTH[0]);
    let (sick, healthy) = (Receiver::start().await, Receiver::start().await);
    healthy.known_to(&mut setup);
    // Both receivers have their own names. The failing one's certificate is signed by another authority, which makes every call fail.
    setup.set(
        "BILLWIRE_WEBHOOK_CONNECT_TO",
        format!("{}={},sick.receiver.example={}", billwire_tests::receiver::HOST, healthy.address, sick.address),
    );
    let _gateway = setup.start().await.leaving("what the sick receiver does not take waits");
    let api = setup.api();
    subscribe(&api, &healthy, "healthy", "in_order").await;
    let queues = api.get("/v1/queues").await.json();
    let endpoint = api.create("/v1/webhook-endpoints", json!({ "name": "sick", "url": "https://sick.receiver.example/" })).await;
    let action = json!({ "type": "webhook", "webhookEndpointId": endpoint });
    api.create("/v1/subscriptions", json!({ "name": "sick", "queueId": queues["items"][0]["id"], "action": action })).await;
    let account = changes(&api, 50).await;
    eventually("101 events at the healthy one", async || (sequences(&healthy, &account).len() == 101).then_some(())).await;
    assert_eq!(sick.count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn receivers_of_either_protocol_get_everything_over_connections_that_are_kept() {
    let mut setup = Setup::new("protocols", BOTH[0]);
    let receivers = [Receiver::start().await, Receiver::reached_as(vec!["http2.receiver.example".to_owned()], true, None).await];
    Receiver::all_known_to(&receivers, &mut setup);
    let _gateway = setup.start().await;
    let api = setup.api();
    for (receiver, name) in receivers.iter().zip(["http1", "http2"]) {
        subscribe(&api, receiver, name, "out_of_order").await;
    }
    for _ in 0..2 {
        let account = changes(&api, 50).await;
        for receiver in &receivers {
            eventually("101 events", async || (sequences(receiver, &account).len() == 101).then_some(())).await;
        }
    }
    let [http1, http2] = receivers.map(|receiver| receiver.connections());
    assert!(http1 <= 64, "no more than calls that may be under way: {http1}");
    assert_eq!(http2, 1, "all calls share one");
}
