//! The stream loses many events that are delivered to nobody yet. How long until that is found, and until all are on the stream again?

use std::{
    collections::{BTreeSet, HashMap},
    net::SocketAddr,
    time::{Duration, Instant},
};

use billwire_tests::{
    api::Api,
    eventually,
    gateway::{Database, Gateway, Setup},
    receiver::Receiver,
    reserved_port,
};
use serde_json::{Value, json};

use super::length;
use crate::drills::stream::{billing, with_nats_of_its_own};

/// Ordering keys.
const KEYS: usize = 500;
/// Events of one request.
const AT_ONCE: usize = 1_000;
/// How long a hole may stay unnoticed.
const FOUND_MAX: Duration = Duration::from_secs(60);
/// How long it may take to publish 100 000 events again.
const REFILLED_MAX: Duration = Duration::from_secs(120);

/// Messages on the stream.
async fn messages(setup: &Setup) -> u64 {
    billing(setup).await.get_info().await.expect("its state").state.messages
}

/// The gateway's counter of lost events.
async fn lost(monitor: &Api) -> u64 {
    let metrics = monitor.get("/metrics").await.text;
    let name = "billwire_audit_findings_total{finding=\"lost_events\"} ";
    metrics.lines().find_map(|line| line.strip_prefix(name)?.parse().ok()).unwrap_or(0)
}

/// Every event arrives, and the first arrivals of each key are in order.
async fn all_arrive(receiver: &Receiver, events: usize) {
    let (mut seen, mut last) = (BTreeSet::new(), HashMap::<String, i64>::new());
    eventually("all webhooks", async || {
        for call in receiver.take() {
            let event = call.json();
            let text = |name: &str| event[name].as_str().expect(name).to_owned();
            if text("type") == "custom.reading" && seen.insert(text("id")) {
                let (key, sequence) = (text("partitionkey"), text("sequence").parse().expect("a number"));
                let before = last.insert(key.clone(), sequence).unwrap_or(0);
                assert_eq!(sequence, before + 1, "key {key}");
            }
        }
        (seen.len() >= events).then_some(())
    })
    .await;
    assert_eq!(seen.len(), events);
}

async fn refilled(database: Database) {
    let events = usize::try_from(length("REFILL_EVENTS", 2_000)).expect("a number");
    let (mut scene, _server) = with_nats_of_its_own("refill", database).await;
    let address = SocketAddr::from(([127, 0, 0, 1], reserved_port()));
    scene.setup.set("BILLWIRE_MONITORING_LISTEN", address.to_string()).set("BILLWIRE_LOG", "warn");
    let monitor = Api::new(&format!("http://{address}"), "no-key");
    let gateway: Gateway = scene.setup.start_with(&["serve", "--roles", "api,relay"]).await.leaving("nobody delivers yet");
    let schema = json!({ "name": "reading", "title": "Reading", "orderingKey": "key", "schema": { "type": "object" } });
    scene.api.post("/v1/event-types", schema).await.expect(201);
    let queue = json!({ "name": "readings", "mode": "in_order", "eventTypes": ["custom.reading"] });
    let queue = scene.api.create("/v1/queues", queue).await;
    let endpoint = scene.api.create("/v1/webhook-endpoints", json!({ "name": "r", "url": scene.receiver.url() })).await;
    let action = json!({ "type": "webhook", "webhookEndpointId": endpoint });
    scene.api.create("/v1/subscriptions", json!({ "name": "readings", "queueId": queue, "action": action })).await;
    let before = messages(&scene.setup).await;
    for part in 0..events.div_ceil(AT_ONCE) {
        let numbers = part * AT_ONCE..((part + 1) * AT_ONCE).min(events);
        let items: Vec<Value> = numbers
            .map(|n| json!({ "type": "custom.reading", "key": format!("k{}", n % KEYS), "data": { "n": n, "text": "x".repeat(300) } }))
            .collect();
        scene.api.post("/v1/events", json!({ "items": items })).await.expect(202);
    }
    let whole = before + events as u64;
    eventually("all on the stream", async || (messages(&scene.setup).await >= whole).then_some(())).await;
    assert_eq!(lost(&monitor).await, 0);

    let begun = Instant::now();
    billing(&scene.setup).await.purge().await.expect("a purge");
    eventually("the hole to be found", async || (lost(&monitor).await > 0).then_some(())).await;
    let found = begun.elapsed();
    eventually("all on the stream again", async || (messages(&scene.setup).await >= events as u64).then_some(())).await;
    let refilled = begun.elapsed() - found;
    println!("{database:?}: {events} events lost by nobody's reader: found after {found:.1?}, published again after {refilled:.1?} more");
    assert!(found <= FOUND_MAX, "{found:?}");
    assert!(refilled <= REFILLED_MAX.mul_f64((events as f64 / 100_000.0).max(1.0)), "{refilled:?}");

    assert!(gateway.stop().await.success());
    let gateway = scene.setup.start().await;
    all_arrive(&scene.receiver, events).await;
    println!("{database:?}: all delivered, in order, {:.1?} after the purge", begun.elapsed());
    assert!(gateway.stop().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_purge_of_what_nobody_has_read_is_found_and_refilled_in_time_on_sqlite() {
    refilled(Database::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_purge_of_what_nobody_has_read_is_found_and_refilled_in_time_on_postgres() {
    refilled(Database::Postgres).await;
}
