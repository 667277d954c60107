//! The effect of failing receivers on healthy ones subscribed to the same events.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use billwire_tests::{
    eventually,
    gateway::Database,
    receiver::{Answer, Misbehaviour, Receiver},
};
use serde_json::json;

use crate::{
    accept::{memory, setup},
    report::{Report, ms, quantile},
};

const PER_SECOND: u32 = 100;

/// Duration of each of the two runs: five minutes unless the environment overrides it.
fn run() -> Duration {
    let seconds = std::env::var("BILLWIRE_BENCH_ISOLATION_SECONDS").ok().and_then(|text| text.parse().ok());
    Duration::from_secs(seconds.unwrap_or(300))
}

struct Figures {
    p50: Duration,
    p99: Duration,
    memory: f64,
}

/// Latency of the healthy receivers, from an operation's reply to the arrival, with or without failing ones.
async fn latency(sick: bool) -> Figures {
    let mut setup = setup("bench-isolation", Database::Postgres);
    setup.set("BILLWIRE_CIRCUIT_WAIT_MS", "60000").set("BILLWIRE_CIRCUIT_WAIT_MAX_MS", "900000");
    let healthy = [Receiver::named("one.healthy.example", None).await, Receiver::named("two.healthy.example", None).await];
    let mut all = healthy.to_vec();
    if sick {
        let mut dead = Receiver::named("dead.sick.example", None).await;
        // Nothing listens there.
        dead.address.set_port(9);
        let slow = Receiver::named("slow.sick.example", None).await;
        slow.always(Some(Answer::Slow(Duration::from_secs(10))));
        let flapping = Receiver::named("flapping.sick.example", None).await;
        flapping.script((0..100_000).map(|n| Answer::Status(if n / 50 % 2 == 0 { 503 } else { 204 })));
        let redirecting = Receiver::named("redirecting.sick.example", None).await;
        redirecting.always(Some(Answer::Status(307)));
        all.extend([dead, slow, flapping, redirecting]);
        for (name, how) in [
            ("drip.sick.example", Misbehaviour::DripHead),
            ("head.sick.example", Misbehaviour::EndlessHead),
            ("body.sick.example", Misbehaviour::EndlessBody),
        ] {
            all.push(Receiver::named(name, Some(how)).await);
        }
        for one in &all[2..] {
            one.keep_calls(false);
        }
    }
    Receiver::all_known_to(&all, &mut setup);
    let gateway = setup.start().await;
    let api = setup.api();
    let queue = api.create("/v1/queues", json!({ "name": "q", "mode": "in_order", "eventTypes": ["account.status_changed"] })).await;
    for (number, receiver) in all.iter().enumerate() {
        let endpoint = api.create("/v1/webhook-endpoints", json!({ "name": format!("e{number}"), "url": receiver.url() })).await;
        let action = json!({ "type": "webhook", "webhookEndpointId": endpoint });
        api.create("/v1/subscriptions", json!({ "name": format!("s{number}"), "queueId": queue, "action": action })).await;
    }
    let cycle = api.bill_cycle(1).await;
    let mut accounts = Vec::new();
    for _ in 0..200 {
        accounts.push(api.account(&cycle).await);
    }
    let replied: Arc<Mutex<HashMap<String, Instant>>> = Arc::default();
    let mut tick = tokio::time::interval(Duration::from_secs(1) / PER_SECOND);
    let until = Instant::now() + run();
    let (mut n, mut sent) = (0, Vec::new());
    while Instant::now() < until {
        tick.tick().await;
        let status = if n / accounts.len() % 2 == 0 { "suspended" } else { "active" };
        let (api, path, replied) = (api.clone(), format!("/v1/accounts/{}/status", accounts[n % accounts.len()]), replied.clone());
        n += 1;
        sent.push(tokio::spawn(async move {
            let answer = api.post(&path, json!({ "status": status })).await.expect(200);
            let id = answer["events"][1]["id"].as_str().expect("an event").to_owned();
            replied.lock().unwrap().insert(id, Instant::now());
        }));
    }
    for one in sent {
        one.await.expect("an operation");
    }
    let replied = replied.lock().unwrap().clone();
    let mut found: Vec<Duration> = eventually("the healthy ones' webhooks", async || {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let arrived: Vec<Duration> = healthy
            .iter()
            .flat_map(|receiver| receiver.calls())
            .filter_map(|call| Some(call.at.saturating_duration_since(*replied.get(call.headers.get("webhook-id")?.to_str().ok()?)?)))
            .collect();
        (arrived.len() >= 2 * replied.len()).then_some(arrived)
    })
    .await;
    found.sort();
    let memory = memory(&gateway, "VmHWM");
    drop(gateway);
    Figures { p50: quantile(&found, 0.5), p99: quantile(&found, 0.99), memory }
}

pub async fn measure(report: &mut Report) {
    let without = latency(false).await;
    let with = latency(true).await;
    let share = |one: Duration, other: Duration| one.as_secs_f64() / other.as_secs_f64();
    report.row(
        &format!(
            "commit to two healthy webhooks at {PER_SECOND} events/s for {} s beside a dead, a slow (10 s), a flapping, a redirecting, a \
             dripping and two endless receivers of the same events",
            run().as_secs()
        ),
        &format!("p50 {}, p99 {}", ms(with.p50), ms(with.p99)),
        &format!("p50 {}, p99 {} without them", ms(without.p50), ms(without.p99)),
        &format!("{:.2}x, {:.2}x", share(with.p50, without.p50), share(with.p99, without.p99)),
        "<= 1.2x",
    );
    report.row(
        "peak memory of that",
        &format!("{:.0} MiB", with.memory),
        &format!("{:.0} MiB without them", without.memory),
        &format!("{:+.0} MiB", with.memory - without.memory),
        "<= +64 MiB",
    );
}
