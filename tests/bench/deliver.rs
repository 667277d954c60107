//! Latency from commit to webhook, and draining a backlog to webhooks and warehouse.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use billwire_tests::{eventually, gateway::Database, receiver::Receiver, story::subscribe};
use serde_json::json;

use crate::{
    accept::{CONNECTIONS, memory, populate, setup, work},
    bare, posts,
    report::{Report, ms, quantile},
};

/// Latency from an operation's reply (just after its commit) to the arrival of its lifecycle event at the receiver.
pub async fn latency(report: &mut Report) {
    let mut setup = setup("bench-latency", Database::Postgres);
    let receiver = Receiver::start().await;
    receiver.known_to(&mut setup);
    let gateway = setup.start().await;
    let api = setup.api();
    let (accounts, cycles) = populate(&api).await;
    subscribe(&api, &receiver, "all", "in_order").await;
    tokio::time::sleep(Duration::from_secs(5)).await;

    let quiet = probe(&api, &accounts, &cycles, &receiver, 50, Duration::from_secs(10)).await;
    let stop = Arc::new(AtomicBool::new(false));
    let load = {
        let (api, accounts, cycles, stop) = (api.clone(), accounts.clone(), cycles.clone(), stop.clone());
        tokio::spawn(async move { work(&api, &accounts, &cycles, CONNECTIONS, &stop).await })
    };
    tokio::time::sleep(Duration::from_secs(1)).await;
    let loaded = probe(&api, &accounts, &cycles, &receiver, 20, Duration::from_secs(5)).await;
    stop.store(true, Ordering::Relaxed);
    load.await.expect("the load");
    let figure = |l: &[Duration]| format!("p50 {}, p99 {}", ms(quantile(l, 0.5)), ms(quantile(l, 0.99)));
    report.row("commit to webhook, 50 operations/s, PostgreSQL, in order", &figure(&quiet), "-", "-", "p50 < 15 ms");
    report.row(&format!("commit to webhook while {CONNECTIONS} connections saturate it"), &figure(&loaded), "-", "-", "-");
    let peak = memory(&gateway, "VmHWM");
    report.row("memory after that", &format!("{peak:.0} MiB peak"), "-", "-", "-");
    gateway.stop().await;
}

async fn probe(
    api: &billwire_tests::api::Api,
    accounts: &Arc<Vec<String>>,
    cycles: &Arc<Vec<String>>,
    receiver: &Receiver,
    per_second: u32,
    run: Duration,
) -> Vec<Duration> {
    receiver.forget();
    let replied: Arc<Mutex<HashMap<String, Instant>>> = Arc::default();
    let mut tick = tokio::time::interval(Duration::from_secs(1) / per_second);
    let until = Instant::now() + run;
    let mut n = 0;
    let mut sent = Vec::new();
    while Instant::now() < until {
        tick.tick().await;
        n += 1;
        let (api, path) = (api.clone(), format!("/v1/accounts/{}/bill-cycle", accounts[n % accounts.len()]));
        let (body, replied) = (json!({ "billCycle": cycles[n % 2] }), replied.clone());
        sent.push(tokio::spawn(async move {
            let answer = api.post(&path, body).await.expect(200);
            let id = answer["events"][1]["id"].as_str().expect("an event").to_owned();
            replied.lock().unwrap().insert(id, Instant::now());
        }));
    }
    for one in sent {
        one.await.expect("an operation");
    }
    let replied = replied.lock().unwrap().clone();
    let mut found: Vec<Duration> = eventually("the probes' webhooks", async || {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let arrived: Vec<Duration> = receiver
            .calls()
            .iter()
            .filter_map(|c| Some(c.at.saturating_duration_since(*replied.get(c.headers.get("webhook-id")?.to_str().ok()?)?)))
            .collect();
        (arrived.len() >= replied.len()).then_some(arrived)
    })
    .await;
    found.sort();
    found
}

/// Loads a backlog into the warehouse, without subscriptions.
pub async fn warehouse(report: &mut Report) {
    let setup = setup("bench-warehouse", Database::Postgres);
    let gateway = setup.start_with(&["serve", "--roles", "api,relay"]).await;
    let api = setup.api();
    let (accounts, cycles) = populate(&api).await;
    let stop = Arc::new(AtomicBool::new(false));
    let timer = {
        let stop = stop.clone();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_secs(8)).await;
            stop.store(true, Ordering::Relaxed);
        })
    };
    let events = work(&api, &accounts, &cycles, CONNECTIONS, &stop).await.len() * 2;
    timer.await.expect("the timer");
    eventually("the outbox to be empty", async || (bare::outbox(&setup).await == 0).then_some(())).await;
    let pulled = bare::pull(&setup.nats_address(), events).await;
    gateway.stop().await;
    let began = Instant::now();
    let gateway = setup.start_with(&["serve"]).await;
    eventually("the warehouse", async || {
        tokio::time::sleep(Duration::from_millis(20)).await;
        (bare::loaded(&setup).await >= events as i64).then_some(())
    })
    .await;
    let speed = events as f64 / began.elapsed().as_secs_f64();
    let peak = memory(&gateway, "VmHWM");
    gateway.stop().await;
    report.row(
        &format!("warehouse: a backlog of {events} into Parquet, each exactly once, start of the program included"),
        &format!("{speed:.0} events/s, {peak:.0} MiB peak"),
        &format!("{pulled:.0}/s bare pull and acknowledge"),
        &format!("{:.0} %", 100.0 * speed / pulled),
        "-",
    );
}

/// Drains a backlog of webhooks created while no consumer ran: either alone, after the warehouse has loaded, or while the warehouse
/// loads the same events.
pub async fn drain(report: &mut Report, alone: bool) {
    let mut setup = setup("bench-drain", Database::Postgres);
    let receiver = Receiver::start().await;
    receiver.known_to(&mut setup);
    let gateway = setup.start_with(&["serve", "--roles", "api"]).await;
    let api = setup.api();
    let (accounts, cycles) = populate(&api).await;
    subscribe(&api, &receiver, "all", "in_order").await;
    let stop = Arc::new(AtomicBool::new(false));
    let timer = {
        let stop = stop.clone();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_secs(8)).await;
            stop.store(true, Ordering::Relaxed);
        })
    };
    let operations = work(&api, &accounts, &cycles, CONNECTIONS, &stop).await.len();
    timer.await.expect("the timer");
    gateway.stop().await;
    let events = operations * 2;

    receiver.keep_calls(false);
    receiver.forget();
    let gateway = setup.start_with(&["serve", "--roles", "api,relay"]).await;
    let waiting = bare::outbox(&setup).await;
    let began = Instant::now();
    eventually("the outbox to be empty", async || (bare::outbox(&setup).await == 0).then_some(())).await;
    let relayed = waiting as f64 / began.elapsed().as_secs_f64();
    let (plain, batched) = bare::jetstream(&setup.nats_address(), 1000).await;
    if !alone {
        report.row(
            "relay: outbox to stream, transactions of two messages in shared atomic batches",
            &format!("{relayed:.0} events/s"),
            &format!("{batched:.0}/s bare batches of 1000 ({plain:.0}/s plain, pipelined)"),
            &format!("{:.0} %", 100.0 * relayed / batched),
            "-",
        );
    }
    gateway.stop().await;

    if alone {
        bare::hold_slots(&setup, true).await;
    }
    let gateway = setup.start_with(&["serve"]).await;
    if alone {
        eventually("the warehouse", async || (bare::loaded(&setup).await >= events as i64).then_some(())).await;
        bare::hold_slots(&setup, false).await;
    }
    eventually("the first webhook", async || (receiver.count() > 0).then_some(())).await;
    let first = Instant::now();
    eventually("all webhooks", async || (receiver.count() >= events).then_some(())).await;
    let drained = events as f64 / first.elapsed().as_secs_f64();
    let peak = memory(&gateway, "VmHWM");
    let chain = bare::chain(&setup, &receiver, CONNECTIONS, events).await;
    gateway.stop().await;
    let bare = posts::per_second(&receiver, 1, CONNECTIONS, 2200, 40_000).await;
    report.row(
        &format!(
            "webhooks drained from a backlog of {events}, in order, TLS, signed, {}",
            if alone { "the warehouse idle" } else { "the warehouse loading the same events beside it" }
        ),
        &format!("{drained:.0}/s"),
        &format!("{bare:.0}/s bare HTTPS POSTs ({chain:.0}/s with a bare pull, row and acknowledgement to each)"),
        &format!("{:.0} % ({:.0} %)", 100.0 * drained / bare, 100.0 * drained / chain),
        ">= 50 %",
    );
    report.row("memory while draining", &format!("{peak:.0} MiB peak"), "-", "-", "-");
}
