//! Single custom events to one endpoint, with nothing beside it, and with many queues, subscriptions and tenants that do not match.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use billwire_tests::{
    api::Api,
    eventually,
    gateway::{Database, Gateway, Setup},
    receiver::Receiver,
};
use futures::{StreamExt, stream};
use serde_json::{Value, json};

use crate::{
    accept::{CONNECTIONS, memory, setup},
    posts,
    report::Report,
};

const WARM: Duration = Duration::from_secs(2);
const RUN: Duration = Duration::from_secs(10);
/// When it is looked how much memory was given back.
const AFTER: Duration = Duration::from_secs(15);
/// Ordering keys of the events.
const KEYS: usize = 1_000;
/// Characters of text in an event's data: a message then has about 1 300 bytes.
const TEXT: usize = 300;

/// What stands beside the queue that is measured.
#[derive(Clone, Copy)]
pub struct Beside {
    /// Queues.
    pub queues: usize,
    /// The tenants they belong to; 0: the same tenant.
    pub tenants: usize,
    /// Subscriptions of each queue.
    pub subscriptions: usize,
}

/// Measures acceptance and delivery, memory and load at rest.
pub async fn measure(database: Database, beside: Beside, report: &mut Report) {
    let mut setup = setup("bench-many", database);
    let receiver = Receiver::start().await;
    receiver.known_to(&mut setup);
    let gateway = setup.start().await;
    let api = setup.api();
    reading(&api).await;
    crowd(&setup, beside).await;
    let endpoint = api.create("/v1/webhook-endpoints", json!({ "name": "e", "url": receiver.url() })).await;
    let queue = api.create("/v1/queues", json!({ "name": "q", "mode": "in_order", "eventTypes": ["custom.reading"] })).await;
    let action = json!({ "type": "webhook", "webhookEndpointId": endpoint });
    api.create("/v1/subscriptions", json!({ "name": "s", "queueId": queue, "action": action })).await;
    receiver.keep_calls(false);
    tokio::time::sleep(Duration::from_secs(3)).await;
    let (idle_cpu, idle) = (load_at_rest(&gateway).await, memory(&gateway, "VmRSS"));

    let stop = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..CONNECTIONS).map(|client| tokio::spawn(submit(api.clone(), client, stop.clone()))).collect();
    tokio::time::sleep(WARM).await;
    let (began, before) = (Instant::now(), receiver.count());
    tokio::time::sleep(RUN).await;
    let delivered = (receiver.count() - before) as f64 / began.elapsed().as_secs_f64();
    stop.store(true, Ordering::Relaxed);
    let mut accepted = Vec::new();
    for client in clients {
        accepted.extend(client.await.expect("a client"));
    }
    let in_run = accepted.iter().filter(|at| **at >= began && **at < began + RUN).count();
    eventually("all events at the receiver", async || (receiver.count() >= accepted.len()).then_some(())).await;
    let peak = memory(&gateway, "VmHWM");
    tokio::time::sleep(AFTER).await;
    let after = memory(&gateway, "VmRSS");
    gateway.stop().await;
    let limit = posts::per_second(&receiver, 1, CONNECTIONS, 1300, 40_000).await;
    let Beside { queues, tenants, subscriptions } = beside;
    let whose = if tenants == 0 { "the same tenant".to_owned() } else { format!("{tenants} tenants") };
    let name = format!("{database:?}, beside it {queues} queues of {whose} with {subscriptions} subscriptions each");
    let accepted = in_run as f64 / RUN.as_secs_f64();
    report.row(
        &format!("single custom events, {CONNECTIONS} connections, one endpoint, {name}"),
        &format!("{accepted:.0} accepted/s, {delivered:.0} delivered/s"),
        &format!("{limit:.0}/s bare HTTPS POSTs"),
        &format!("{:.0} %", 100.0 * delivered / limit),
        if database == Database::Postgres { "4000/s" } else { "5000/s" },
    );
    report.row(
        &format!("at rest and under that load, {name}"),
        &format!("{idle_cpu:.1} % of a core and {idle:.0} MiB at rest, {peak:.0} MiB peak, {after:.0} MiB {} s later", AFTER.as_secs()),
        "-",
        "-",
        "2 %, 120 MiB; 150 MiB",
    );
}

/// Events in bulk.
pub async fn bulk(database: Database, report: &mut Report) {
    const ITEMS: usize = 100;
    let setup = setup("bench-bulk", database);
    let gateway = setup.start().await;
    let api = setup.api();
    reading(&api).await;
    let body = |n: usize| json!({ "items": (0..ITEMS).map(|item| event(n * ITEMS + item)).collect::<Vec<_>>() });
    let stop = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..4)
        .map(|client| {
            let (api, stop) = (api.clone(), stop.clone());
            tokio::spawn(async move {
                let (mut n, mut done) = (client * 1_000_003, Vec::new());
                while !stop.load(Ordering::Relaxed) {
                    n += 1;
                    api.post("/v1/events", body(n)).await.expect(202);
                    done.push(Instant::now());
                }
                done
            })
        })
        .collect();
    tokio::time::sleep(WARM).await;
    let began = Instant::now();
    tokio::time::sleep(RUN).await;
    stop.store(true, Ordering::Relaxed);
    let mut calls = 0;
    for client in clients {
        calls += client.await.expect("a client").into_iter().filter(|at| *at >= began && *at < began + RUN).count();
    }
    gateway.stop().await;
    let accepted = (calls * ITEMS) as f64 / RUN.as_secs_f64();
    report.row(&format!("custom events in bulk of {ITEMS}, 4 connections, {database:?}"), &format!("{accepted:.0}/s"), "-", "-", "12000/s");
}

async fn reading(api: &Api) {
    let schema = json!({ "type": "object", "properties": { "n": { "type": "integer" }, "text": { "type": "string" } } });
    let register = json!({ "name": "reading", "title": "Reading", "orderingKey": "key", "schema": schema });
    api.post("/v1/event-types", register).await.expect(201);
}

fn event(n: usize) -> Value {
    json!({ "type": "custom.reading", "key": format!("k{}", n % KEYS), "data": { "n": n, "text": "x".repeat(TEXT) } })
}

async fn submit(api: Api, client: usize, stop: Arc<AtomicBool>) -> Vec<Instant> {
    let (mut n, mut accepted) = (client * 7919, Vec::new());
    while !stop.load(Ordering::Relaxed) {
        n += 1;
        api.post("/v1/events", json!({ "items": [event(n)] })).await.expect(202);
        accepted.push(Instant::now());
    }
    accepted
}

/// Creates queues and subscriptions.
async fn crowd(setup: &Setup, beside: Beside) {
    if beside.queues == 0 {
        return;
    }
    for tenant in 0..beside.tenants.max(1) {
        let queues = beside.queues / beside.tenants.max(1);
        let api = if beside.tenants == 0 { setup.api() } else { tenant_api(setup, &format!("tenant-{tenant}")).await };
        let endpoint = api.create("/v1/webhook-endpoints", json!({ "name": "beside", "url": "https://example.com" })).await;
        for queue in 0..queues {
            let body = json!({ "name": format!("beside{queue}"), "mode": "in_order", "eventTypes": ["invoice.*"] });
            let queue = api.create("/v1/queues", body).await;
            let subscriptions = (0..beside.subscriptions).map(|number| {
                let action = json!({ "type": "webhook", "webhookEndpointId": endpoint });
                let filter = format!("account.id == 'a{number}'");
                let body = json!({ "name": format!("{queue}-{number}"), "queueId": queue, "filter": filter, "action": action });
                let api = api.clone();
                async move { api.create("/v1/subscriptions", body).await }
            });
            stream::iter(subscriptions).buffer_unordered(8).collect::<Vec<_>>().await;
        }
    }
}

/// An API client of another tenant.
async fn tenant_api(setup: &Setup, tenant: &str) -> Api {
    let api = setup.api();
    let made = api.post("/v1/tenants", json!({ "tenantId": tenant, "name": tenant })).await.expect(201);
    Api::new(&api.base, made["entities"][0]["after"]["adminKey"].as_str().expect("a key"))
}

/// The share of a core that the gateway uses without work, in percent.
async fn load_at_rest(gateway: &Gateway) -> f64 {
    const REST: Duration = Duration::from_secs(5);
    /// Clock ticks per second, as Linux reports processor time.
    const TICKS: f64 = 100.0;
    let used = || -> f64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", gateway.pid())).expect("a process");
        let members: Vec<&str> = stat.rsplit(") ").next().unwrap_or_default().split(' ').collect();
        members[11].parse::<f64>().expect("a number") + members[12].parse::<f64>().expect("a number")
    };
    let before = used();
    tokio::time::sleep(REST).await;
    (used() - before) / TICKS / REST.as_secs_f64() * 100.0
}
