//! Many events over many lanes with several consumer processes, killed and paused at random: no loss, no reordering.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use billwire_tests::{
    PATIENCE,
    gateway::{Database, Gateway, Setup, signal},
    receiver::Receiver,
};
use serde_json::{Value, json};

use super::{Dice, length};

const LANES: usize = 1000;
const PROCESSES: usize = 4;

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_lanes_keep_order_and_miss_nothing_while_four_processes_are_killed_and_paused() {
    let events = usize::try_from(length("EVENTS", 20_000)).expect("a number");
    let mut dice = Dice::new();
    let mut setup = Setup::new("soak", Database::Postgres);
    let receiver = Receiver::start().await;
    receiver.known_to(&mut setup);
    setup.set("BILLWIRE_LOG", "warn");
    let gateway = setup.start_with(&["serve", "--roles", "api,relay,clock"]).await;
    let api = setup.api();
    let schema = json!({ "type": "object", "properties": { "n": { "type": "integer" } } });
    api.post("/v1/event-types", json!({ "name": "reading", "title": "Reading", "orderingKey": "key", "schema": schema })).await.expect(201);
    let endpoint = api.create("/v1/webhook-endpoints", json!({ "name": "e", "url": receiver.url() })).await;
    let queue = json!({ "name": "q", "mode": "in_order", "eventTypes": ["custom.reading"] });
    let queue = api.create("/v1/queues", queue).await;
    let action = json!({ "type": "webhook", "webhookEndpointId": endpoint });
    api.create("/v1/subscriptions", json!({ "name": "s", "queueId": queue, "action": action })).await;
    let mut processes: Vec<Option<Gateway>> = (0..PROCESSES).map(|number| Some(setup.consumers(number))).collect();

    let sending = {
        let api = api.clone();
        tokio::spawn(async move {
            for part in 0..events / LANES {
                let items: Vec<Value> = (0..LANES)
                    .map(|lane| json!({ "type": "custom.reading", "key": format!("lane-{lane}"), "data": { "n": part } }))
                    .collect();
                let answer = api.post("/v1/events", json!({ "items": items })).await.expect(202);
                assert!(answer["items"].as_array().expect("items").iter().all(|item| item["status"] == "recorded"));
            }
        })
    };
    let mut seen: HashMap<String, i64> = HashMap::new();
    let (mut firsts, mut repeats, mut kills, mut pauses) = (0, 0, 0, 0);
    let began = Instant::now();
    let mut last_progress = Instant::now();
    while firsts < events {
        tokio::time::sleep(Duration::from_millis(400 + dice.roll(600))).await;
        let number = dice.roll(PROCESSES as u64) as usize;
        let process = processes[number].take().expect("running");
        if dice.roll(2) == 0 {
            process.kill();
            processes[number] = Some(setup.consumers(number));
            kills += 1;
        } else {
            // Longer than the lease, so that another process takes over while the paused one still believes it holds the lease.
            signal(&process.pid(), "-STOP");
            tokio::time::sleep(Duration::from_millis(300 + dice.roll(900))).await;
            signal(&process.pid(), "-CONT");
            processes[number] = Some(process);
            pauses += 1;
        }
        // The first arrival of an event must be the next in its lane: everything before it has already arrived.
        for call in receiver.take() {
            let event = call.json();
            let lane = event["partitionkey"].as_str().expect("a lane").to_owned();
            let sequence: i64 = event["sequence"].as_str().expect("a sequence").parse().expect("a number");
            let last = seen.entry(lane.clone()).or_default();
            match sequence - *last {
                1 => {
                    *last = sequence;
                    firsts += 1;
                    last_progress = Instant::now();
                }
                more if more > 1 => panic!("{lane}: {sequence} came after {last}"),
                _ => repeats += 1,
            }
        }
        assert!(last_progress.elapsed() < PATIENCE, "nothing new for {} s at {firsts} of {events}", PATIENCE.as_secs());
    }
    sending.await.expect("all were sent");
    assert_eq!((seen.len(), seen.values().sum::<i64>() as usize), (LANES, events), "each lane whole");
    println!(
        "{events} events in {:.0} s, {kills} kills, {pauses} pauses, {repeats} deliveries repeated, no inversion, none missing",
        began.elapsed().as_secs_f64()
    );
    gateway.stop().await;
    drop(processes);
}
