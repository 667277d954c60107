//! Webhook endpoints from outside: signatures during a rotation, receivers that are gone or fail, limits and retry plans by the test clock.

use std::{collections::BTreeMap, time::Instant};

use billwire_tests::{
    api::Api,
    eventually,
    gateway::{BOTH, Database, Gateway, Setup},
    peers::Peer,
    receiver::{Answer, Call, Receiver},
};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

async fn world(name: &str, database: Database, settings: &[(&str, &str)]) -> (Receiver, Gateway, Api) {
    let mut setup = Setup::new(name, database);
    for (name, value) in settings {
        setup.set(name, (*value).to_owned());
    }
    let receiver = Receiver::start().await;
    receiver.known_to(&mut setup);
    let gateway = setup.start().await;
    let api = setup.api();
    (receiver, gateway.keeping(setup), api)
}

/// Creates an endpoint, and a queue for accounts with a subscription that calls it. Returns the endpoint's path.
async fn subscribe(api: &Api, receiver: &Receiver, mode: &str, more: Value) -> String {
    let mut body = json!({ "name": "e", "url": receiver.url() });
    body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    let endpoint = api.create("/v1/webhook-endpoints", body).await;
    let queue = api.create("/v1/queues", json!({ "name": "q", "mode": mode, "eventTypes": ["account.*"] })).await;
    let action = json!({ "type": "webhook", "webhookEndpointId": endpoint });
    api.create("/v1/subscriptions", json!({ "name": "s", "queueId": queue, "action": action })).await;
    format!("/v1/webhook-endpoints/{endpoint}")
}

async fn calls(receiver: &Receiver, count: usize) -> Vec<Call> {
    eventually("the calls", async || Some(receiver.calls()).filter(|calls| calls.len() >= count)).await
}

const FIRST: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const SECOND: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
const THIRD: &str = "whsec_plJ3nmyCDGBKInavdOK15jsl7OXbOVs2";

/// Which of the secrets verify a call, according to the Python and JavaScript libraries, which must agree.
fn verifies(peers: &mut [(Peer, Peer)], call: &Call) -> Vec<bool> {
    let headers: BTreeMap<&str, &str> = ["content-type", "webhook-id", "webhook-timestamp", "webhook-signature"]
        .into_iter()
        .map(|name| (name, call.header(name)))
        .collect();
    let line = json!({ "headers": headers, "body": std::str::from_utf8(&call.body).expect("text") });
    let verdict = |peer: &mut Peer| {
        peer.say(&line);
        peer.hear()["ok"].as_bool().expect("a verdict")
    };
    peers
        .iter_mut()
        .map(|(python, javascript)| {
            let (one, other) = (verdict(python), verdict(javascript));
            assert_eq!(one, other, "the libraries disagree");
            one
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn signatures_check_with_third_party_libraries_through_a_rotation() {
    let (receiver, _gateway, api) = world("rotation", Database::Sqlite, &[]).await;
    let endpoint = subscribe(&api, &receiver, "out_of_order", json!({ "secret": FIRST })).await;
    let start = |secret: &str| (Peer::start("verify_webhooks.py", &[secret]), Peer::start("verify_webhooks.cjs", &[secret]));
    let mut peers = [start(FIRST), start(SECOND), start(THIRD)];
    let cycle = api.bill_cycle(1).await;
    let mut made = 0;
    let mut next = async |peers: &mut [(Peer, Peer)]| {
        api.account(&cycle).await;
        made += 1;
        let call = calls(&receiver, made).await.pop().expect("a call");
        verifies(peers, &call)
    };
    assert_eq!(next(&mut peers).await, [true, false, false]);
    let rotate = async |secret: &str, overlap: u32| {
        api.post(&format!("{endpoint}/rotate-secret"), json!({ "secret": secret, "overlapSeconds": overlap })).await.expect(200);
    };
    rotate(SECOND, 3600).await;
    assert_eq!(next(&mut peers).await, [true, true, false], "who has not changed over yet can still check");
    rotate(THIRD, 0).await;
    assert_eq!(next(&mut peers).await, [false, false, true]);
}

/// The value of the header `name` in a request or a response of an attempt.
fn header<'a>(message: &'a Value, name: &str) -> Option<&'a str> {
    message["headers"].as_array().expect("headers").iter().find(|header| header["name"] == name)?["value"].as_str()
}

#[tokio::test(flavor = "multi_thread")]
async fn attempts_show_what_was_sent_and_what_came_back_without_secrets() {
    for database in BOTH {
        let (receiver, _gateway, api) = world("exchanges", database, &[("BILLWIRE_WEBHOOK_RETRY_PLAN", "0s,0s")]).await;
        let secrets = json!({ "auth": { "type": "bearer", "token": "t0ps3cr3t-token" }, "headers": { "X-Own": "0wn-v4lue" } });
        let endpoint = subscribe(&api, &receiver, "in_order", secrets).await;
        receiver.script([Answer::Echo(503), Answer::Echo(200)]);
        api.account(&api.bill_cycle(1).await).await;
        let found = calls(&receiver, 2).await;
        let listed = eventually("the success", async || {
            let listed = api.get("/v1/deliveries").await.expect(200)["items"][0].clone();
            (listed["state"] == "succeeded").then_some(listed)
        })
        .await;
        assert_eq!(
            (&listed["lastAttempt"]["request"], &listed["lastAttempt"]["response"]),
            (&Value::Null, &Value::Null),
            "lists are short"
        );
        let shown = api.get(&format!("/v1/deliveries/{}", listed["id"].as_str().expect("an id"))).await.expect(200);
        let attempts = shown["attempts"].as_array().expect("attempts");
        for ((attempt, call), status) in attempts.iter().zip(&found).zip([503, 200]) {
            let (request, response) = (&attempt["request"], &attempt["response"]);
            assert_eq!((&attempt["status"], &request["url"]), (&json!(status), &json!(receiver.url())), "{attempt}");
            for name in ["webhook-id", "webhook-timestamp", "webhook-signature", "content-type"] {
                assert_eq!(header(request, name), Some(call.header(name)), "{name}");
            }
            assert_eq!((call.header("authorization"), call.header("x-own")), ("Bearer t0ps3cr3t-token", "0wn-v4lue"));
            assert_eq!((header(request, "authorization"), header(request, "x-own")), (Some("[redacted]"), Some("[redacted]")));
            assert_eq!((&response["body"], &response["truncated"]), (&json!("you said\nBearer [redacted]"), &json!(false)));
            assert_eq!(header(response, "set-cookie"), Some("[redacted]"));
        }
        assert_eq!(attempts.len(), 2);

        receiver.script([Answer::Echo(200)]);
        let tested = api.post(&format!("{endpoint}/test"), json!({ "eventType": "account.created" })).await.expect(200);
        assert_eq!(header(&tested["request"], "webhook-id"), tested["eventId"].as_str());
        assert_eq!(tested["response"]["body"], "you said\nBearer [redacted]");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_is_gone_is_called_no_more_and_gets_everything_in_order_when_a_person_enables_it() {
    for database in BOTH {
        let (receiver, _gateway, api) = world("gone", database, &[]).await;
        let endpoint = subscribe(&api, &receiver, "in_order", json!({})).await;
        receiver.script([Answer::Status(410)]);
        let cycle = api.bill_cycle(1).await;
        let account = api.account(&cycle).await;
        let disabled = eventually("the endpoint to be disabled", async || {
            Some(api.get(&endpoint).await.expect(200)).filter(|endpoint| endpoint["enabled"] == false)
        })
        .await;
        assert_eq!(disabled["disabledBecause"], "the receiver answered 410 Gone");
        for status in ["suspended", "active"] {
            api.post(&format!("/v1/accounts/{account}/status"), json!({ "status": status })).await.expect(200);
        }
        eventually("what happens meanwhile to wait", async || {
            let waiting = api.get("/v1/deliveries?state=waiting").await.expect(200);
            (waiting["items"].as_array().map(Vec::len) == Some(5)).then_some(())
        })
        .await;
        let events = api.get("/v1/events?type=webhook_endpoint.disabled").await.expect(200);
        assert_eq!(events["items"].as_array().map(Vec::len), Some(1), "told once, however many calls were under way");
        assert_eq!(receiver.count(), 1);
        receiver.forget();
        api.post(&format!("{endpoint}/enable"), json!({})).await.expect(200);
        let told = calls(&receiver, 5).await;
        let sequences: Vec<String> = told.iter().map(|call| call.json()["sequence"].as_str().expect("a sequence").to_owned()).collect();
        assert!(sequences.is_sorted() && sequences.len() == 5, "{sequences:?}");
    }
}

/// Advances business time.
async fn pass(api: &Api, now: &mut DateTime<Utc>, seconds: i64) {
    *now += TimeDelta::seconds(seconds);
    api.post("/v1/test-clock", json!({ "now": *now })).await.expect(200);
}

async fn clock(api: &Api) -> DateTime<Utc> {
    let now = Utc::now() + TimeDelta::days(1);
    api.post("/v1/test-clock", json!({ "now": now })).await.expect(200);
    now
}

/// The number of calls once it has reached `count` and stays constant.
async fn reached(receiver: &Receiver, count: usize) -> usize {
    eventually("the calls", async || (receiver.count() >= count).then_some(())).await;
    settled(receiver).await
}

/// The number of calls once it stays constant.
async fn settled(receiver: &Receiver) -> usize {
    let mut last = receiver.count();
    loop {
        // Longer than the engine's tick, at which it picks up due deliveries.
        tokio::time::sleep(std::time::Duration::from_millis(700)).await;
        let now = receiver.count();
        if now == last {
            return now;
        }
        last = now;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_fails_is_left_alone_and_asked_once_in_a_while_and_told_everything_when_it_is_back() {
    let settings = [("BILLWIRE_CIRCUIT_WAIT_MS", "60000"), ("BILLWIRE_CIRCUIT_WAIT_MAX_MS", "900000")];
    let (receiver, _gateway, api) = world("circuit", Database::Sqlite, &settings).await;
    let mut now = clock(&api).await;
    let endpoint = subscribe(&api, &receiver, "out_of_order", json!({ "retryWaits": [3600, 3600, 3600], "maxInFlight": 1 })).await;
    receiver.always(Some(Answer::Status(503)));
    let cycle = api.bill_cycle(1).await;
    for _ in 0..30 {
        api.account(&cycle).await;
    }
    assert_eq!(reached(&receiver, 10).await, 10, "after ten failures in a row it is left alone");
    let health = eventually("its health", async || {
        Some(api.get(&format!("{endpoint}/health")).await.expect(200)).filter(|health| health["state"] == "resting")
    })
    .await;
    assert!(health["failures"].as_u64().is_some_and(|failures| failures >= 10), "{health}");
    pass(&api, &mut now, 30).await;
    assert_eq!(settled(&receiver).await, 10);
    pass(&api, &mut now, 35).await;
    assert_eq!(reached(&receiver, 11).await, 11, "one call finds out that it is not back");
    receiver.always(None);
    pass(&api, &mut now, 100).await;
    assert_eq!(settled(&receiver).await, 11, "the wait has doubled");
    pass(&api, &mut now, 30).await;
    // Failed calls follow their retry plan; all others arrive at once.
    assert_eq!(reached(&receiver, 11 + 19).await, 11 + 19);
    pass(&api, &mut now, 3600 * 2).await;
    assert_eq!(reached(&receiver, 11 + 30).await, 11 + 30);
    let health = eventually("its health", async || {
        Some(api.get(&format!("{endpoint}/health")).await.expect(200)).filter(|health| health["state"] == "healthy")
    })
    .await;
    assert_eq!(health.get("failingSince"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_fails_for_too_long_is_disabled_with_an_event_over_a_restart_too() {
    let mut setup = Setup::new("give-up", Database::Sqlite);
    setup.set("BILLWIRE_GIVE_UP_HOURS", "2");
    setup.leaving = Some("the endpoint is disabled before its receiver takes anything");
    let receiver = Receiver::start().await;
    receiver.known_to(&mut setup);
    let gateway = setup.start().await;
    let api = setup.api();
    let mut now = clock(&api).await;
    let endpoint = subscribe(&api, &receiver, "out_of_order", json!({ "retryWaits": [36_000] })).await;
    receiver.always(Some(Answer::Status(401)));
    let cycle = api.bill_cycle(1).await;
    for _ in 0..6 {
        api.account(&cycle).await;
    }
    let failing = eventually("its health", async || {
        Some(api.get(&format!("{endpoint}/health")).await.expect(200)).filter(|health| health["state"] == "failing")
    })
    .await;
    assert!(failing["failingSince"].is_string());
    drop(gateway);
    let _gateway = setup.start().await;
    pass(&api, &mut now, 2 * 3600 + 60).await;
    let disabled = eventually("the endpoint to be disabled", async || {
        Some(api.get(&endpoint).await.expect(200)).filter(|endpoint| endpoint["enabled"] == false)
    })
    .await;
    assert_eq!(disabled["disabledBecause"], "every call has failed for more than 2 hours");
    let events = api.get("/v1/events?type=webhook_endpoint.disabled").await.expect(200);
    assert_eq!(events["items"].as_array().map(Vec::len), Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn retries_come_at_the_endpoint_s_plan_within_a_fifth_and_not_before() {
    let (receiver, _gateway, api) = world("plan", Database::Sqlite, &[]).await;
    clock(&api).await;
    subscribe(&api, &receiver, "out_of_order", json!({ "retryWaits": [30, 600, 7200] })).await;
    receiver.always(Some(Answer::Status(500)));
    let cycle = api.bill_cycle(1).await;
    api.account(&cycle).await;
    for (tries, plan) in [30, 600, 7200].into_iter().enumerate() {
        let delivery = eventually("the try to be recorded", async || {
            let items = api.get("/v1/deliveries").await.expect(200)["items"].clone();
            Some(items[0].clone()).filter(|delivery| delivery["attemptCount"] == tries + 1 && delivery["nextAttemptAt"].is_string())
        })
        .await;
        let moment = |value: &Value| value.as_str().expect("a moment").parse::<DateTime<Utc>>().expect("a moment");
        let (last, next) = (moment(&delivery["lastAttempt"]["at"]), moment(&delivery["nextAttemptAt"]));
        let wait = (next - last).num_milliseconds();
        assert!((plan * 800..=plan * 1200 + 1000).contains(&wait), "{wait} ms where the plan says {plan} s");
        // The clock also runs by itself meanwhile, at most a few seconds.
        pass(&api, &mut (next - TimeDelta::seconds(10)), 0).await;
        assert_eq!(settled(&receiver).await, tries + 1, "before its time");
        pass(&api, &mut (next + TimeDelta::seconds(1)), 0).await;
        assert_eq!(reached(&receiver, tries + 2).await, tries + 2);
    }
    let letters = eventually("the dead letter", async || {
        Some(api.get("/v1/dead-letters").await.expect(200)).filter(|letters| letters["items"][0].is_object())
    })
    .await;
    assert_eq!(letters["items"][0]["attemptCount"], 4);
}

/// Number of successful deliveries started in each second.
async fn starts(api: &Api) -> BTreeMap<String, usize> {
    let (mut starts, mut cursor) = (BTreeMap::<String, usize>::new(), String::new());
    loop {
        let page = api.get(&format!("/v1/deliveries?state=succeeded&limit=200{cursor}")).await.expect(200);
        for delivery in page["items"].as_array().expect("items") {
            let second = delivery["lastAttempt"]["at"].as_str().expect("a moment")[..19].to_owned();
            *starts.entry(second).or_default() += 1;
        }
        match page["nextCursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return starts,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_an_hours_outage_of_a_thousand_lanes_no_second_exceeds_twice_the_limit() {
    const LIMIT: usize = 50;
    const LANES: usize = 1000;
    let settings = [("BILLWIRE_CIRCUIT_WAIT_MS", "60000"), ("BILLWIRE_CIRCUIT_WAIT_MAX_MS", "900000")];
    let (receiver, _gateway, api) = world("outage", Database::Sqlite, &settings).await;
    receiver.keep_calls(false);
    let mut now = clock(&api).await;
    subscribe(&api, &receiver, "in_order", json!({ "maxPerSecond": LIMIT, "retryWaits": vec![600; 20] })).await;
    receiver.always(Some(Answer::Status(503)));
    let cycle = api.bill_cycle(1).await;
    for _ in 0..LANES / 50 {
        futures::future::join_all((0..50).map(|_| api.account(&cycle))).await;
    }
    for _ in 0..6 {
        pass(&api, &mut now, 600).await;
        settled(&receiver).await;
    }
    let during = receiver.count();
    assert!(during < 100, "{during} calls to a receiver that is away");
    receiver.always(None);
    pass(&api, &mut now, 901).await;
    let mut passed = Instant::now();
    eventually("a call for each lane", async || {
        // Never set the clock back, however long a step takes, because deliveries are counted per second.
        let step = i64::try_from(passed.elapsed().as_secs()).expect("few") + 1;
        passed = Instant::now();
        pass(&api, &mut now, step).await;
        (receiver.count() - during >= LANES).then_some(())
    })
    .await;
    let starts =
        eventually("a record of each", async || Some(starts(&api).await).filter(|starts| starts.values().sum::<usize>() >= LANES)).await;
    assert_eq!(starts.values().sum::<usize>(), LANES);
    let most = starts.values().max().copied().unwrap_or(0);
    assert!(most <= 2 * LIMIT, "{most} in one second: {starts:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_is_tested_with_an_example_of_any_type_as_a_delivery_would_be_sent() {
    let (receiver, _gateway, api) = world("test", Database::Sqlite, &[]).await;
    let endpoint = subscribe(&api, &receiver, "in_order", json!({ "secret": FIRST, "headers": { "X-Api-Key": "k-4711" } })).await;
    let test = async |kind: &str| api.post(&format!("{endpoint}/test"), json!({ "eventType": kind })).await.expect(200);
    let told = test("invoice.posted").await;
    assert_eq!((&told["delivered"], &told["status"]), (&json!(true), &json!(204)));
    let call = calls(&receiver, 1).await.remove(0);
    assert_eq!(
        (call.json()["type"].as_str(), call.header("webhook-id")),
        (Some("invoice.posted"), told["eventId"].as_str().expect("an id"))
    );
    assert_eq!((call.json()["id"].clone(), call.header("x-api-key")), (told["eventId"].clone(), "k-4711"));
    let mut peers = [(Peer::start("verify_webhooks.py", &[FIRST]), Peer::start("verify_webhooks.cjs", &[FIRST]))];
    assert_eq!(verifies(&mut peers, &call), [true]);
    receiver.script([Answer::Status(500)]);
    let told = test("account.created").await;
    assert_eq!((&told["delivered"], &told["status"]), (&json!(false), &json!(500)));
    api.post(&format!("{endpoint}/disable"), json!({})).await.expect(200);
    assert_eq!(test("account.created").await["delivered"], true, "one that is disabled can be tested, too");
    assert_eq!(api.get("/v1/deliveries").await.expect(200)["items"], json!([]), "a test is no delivery");
}
