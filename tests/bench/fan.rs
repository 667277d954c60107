//! The cost of many subscriptions, and of deliveries that wait in the delivery store for a long time.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use billwire_delivery::{
    channel::ChannelAction,
    event::{Event, Subscription},
    matching::Matching,
    routing::Queue,
};
use billwire_schemas::{
    events::selection::Selection,
    expression::Expression,
    ids::{EventId, QueueId, TenantId, fresh},
};
use billwire_tests::{eventually, gateway::Database, receiver::Receiver};
use serde_json::{Value, json};

use crate::{
    accept::{CONNECTIONS, memory, setup},
    posts,
    report::{Report, ms, quantile},
};

#[derive(Debug)]
struct Noop;

impl ChannelAction for Noop {
    const CHANNEL: &'static str = "noop";
}

fn queue(subscriptions: Vec<Arc<Subscription>>) -> Arc<Queue> {
    Arc::new(Queue {
        id: QueueId(fresh()),
        tenant: TenantId::default_tenant(),
        in_order: true,
        registered: Selection::of_types(&["*"]),
        paused: false,
        held: false,
        subscriptions,
    })
}

/// Finds the three subscriptions that match an event among many: a third select by type only, the rest also filter by account.
pub fn matching(report: &mut Report) {
    const ROUNDS: u32 = 20_000;
    let mut alone = 0.0;
    for count in [10, 1_000, 10_000] {
        let subscription = |number: usize| {
            let (types, filter): (&[&str], _) = match number {
                0 => (&["invoice.posted"], None),
                1 | 2 => (&[], Some("account.id == 'a7'".to_owned())),
                more if more % 3 == 0 => (&["payment.failed"], None),
                more => (&["invoice.*"], Some(format!("account.id == 'b{more}' && invoice.total != '0'"))),
            };
            Arc::new(Subscription {
                chosen: Selection::of_types(types),
                filter: filter.map(|source| Expression::compile(&source).map_err(|fault| fault.message)),
                ..Subscription::to_all(TenantId::default_tenant(), Noop)
            })
        };
        let matching = Matching::of(vec![queue((0..count).map(subscription).collect())]);
        let body =
            json!({ "type": "invoice.posted", "data": { "parameters": { "account.id": "a7", "invoice.total": "5.00" } } }).to_string();
        let event = Event {
            id: EventId(fresh()),
            tenant: TenantId::default_tenant(),
            kind: "invoice.posted".to_owned(),
            key: fresh().into(),
            sequence: 1,
            position: 1,
            body: body.into(),
        };
        assert_eq!(matching.matches(&event).matches.len(), 3);
        let began = Instant::now();
        let mut found = 0;
        for _ in 0..ROUNDS {
            found += std::hint::black_box(&matching).matches(std::hint::black_box(&event)).matches.len();
        }
        assert_eq!(found, 3 * ROUNDS as usize);
        let each = began.elapsed().as_secs_f64() * 1e6 / f64::from(ROUNDS);
        if count == 10 {
            alone = each;
        }
        report.row(
            &format!("matching an event that 3 of {count} subscriptions want"),
            &format!("{each:.1} µs"),
            &format!("{alone:.1} µs among 10"),
            &format!("{:.2}x", each / alone),
            "-",
        );
    }
}

/// Latency from an operation's reply to the arrival at the last of many subscriptions.
pub async fn out(count: usize, report: &mut Report) {
    let mut setup = setup("bench-fan-out", Database::Postgres);
    let receiver = Receiver::start().await;
    receiver.known_to(&mut setup);
    let gateway = setup.start().await;
    let api = setup.api();
    let endpoint = api.create("/v1/webhook-endpoints", json!({ "name": "e", "url": receiver.url(), "maxInFlight": 64 })).await;
    let queue = api.create("/v1/queues", json!({ "name": "q", "mode": "out_of_order", "eventTypes": ["account.created"] })).await;
    for number in 0..count {
        let action = json!({ "type": "webhook", "webhookEndpointId": endpoint });
        api.create("/v1/subscriptions", json!({ "name": format!("s{number}"), "queueId": queue, "action": action })).await;
    }
    let cycle = api.bill_cycle(1).await;
    receiver.keep_calls(false);
    let rounds = if count > 100 { 10 } else { 50 };
    let mut took = Vec::new();
    for _ in 0..rounds {
        receiver.forget();
        api.account(&cycle).await;
        let began = Instant::now();
        while receiver.count() < count {
            tokio::time::sleep(Duration::from_micros(200)).await;
        }
        took.push(began.elapsed());
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    took.sort();
    gateway.stop().await;
    let limit = posts::per_second(&receiver, 1, CONNECTIONS, 2200, 20_000).await;
    let middle = quantile(&took, 0.5);
    report.row(
        &format!("one event to {count} subscriptions, until the last of them has it"),
        &format!("p50 {}, worst {}", ms(middle), ms(quantile(&took, 1.0))),
        &format!("{} for as many bare HTTPS POSTs", ms(Duration::from_secs_f64(count as f64 / limit))),
        &format!("{:.0} calls/s", count as f64 / middle.as_secs_f64()),
        "-",
    );
}

/// Deliveries per second when every event goes to many endpoints, on one host or several, over HTTP/1.1 or HTTP/2.
pub async fn endpoints(count: usize, hosts: usize, http2: bool, report: &mut Report) {
    const DELIVERIES: usize = 40_000;
    const BULK: usize = 200;
    let mut setup = setup("bench-endpoints", Database::Postgres);
    let names = (0..hosts).map(|number| format!("hooks{number}.receiver.example")).collect();
    let receiver = Receiver::reached_as(names, http2, None).await;
    receiver.known_to(&mut setup);
    let gateway = setup.start().await;
    let api = setup.api();
    let schema = json!({ "type": "object", "properties": { "n": { "type": "integer" }, "text": { "type": "string" } } });
    let register = json!({ "name": "reading", "title": "Reading", "orderingKey": "key", "schema": schema });
    api.post("/v1/event-types", register).await.expect(201);
    let queue = api.create("/v1/queues", json!({ "name": "q", "mode": "out_of_order", "eventTypes": ["custom.reading"] })).await;
    for number in 0..count {
        let url = format!("https://{}/hooks/{number}", receiver.hosts[number % hosts]);
        let endpoint = api.create("/v1/webhook-endpoints", json!({ "name": format!("e{number}"), "url": url })).await;
        let action = json!({ "type": "webhook", "webhookEndpointId": endpoint });
        api.create("/v1/subscriptions", json!({ "name": format!("s{number}"), "queueId": queue, "action": action })).await;
    }
    receiver.keep_calls(false);
    let submit = async |events: usize| {
        for part in 0..events.div_ceil(BULK) {
            let item =
                |n: usize| json!({ "type": "custom.reading", "key": format!("k{n}"), "data": { "n": part, "text": "x".repeat(400) } });
            let items: Vec<Value> = (0..BULK.min(events - part * BULK)).map(item).collect();
            api.post("/v1/events", json!({ "items": items })).await.expect(202);
        }
    };
    let received = async |deliveries: usize| {
        while receiver.count() < deliveries {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    // Opens the connections, and compiles what the gateway keeps compiled.
    submit(DELIVERIES / 10 / count).await;
    received(DELIVERIES / 10 / count * count).await;
    receiver.forget();
    let opened = receiver.connections();
    let began = Instant::now();
    submit(DELIVERIES / count).await;
    received(DELIVERIES).await;
    let speed = DELIVERIES as f64 / began.elapsed().as_secs_f64();
    let later = receiver.connections() - opened;
    gateway.stop().await;
    // Warnings explain a figure that is not the gateway's speed, such as that of targets that rested.
    print!("{}", std::fs::read_to_string(setup.folder.0.join("gateway.log")).unwrap_or_default());
    let at_once = (64 * count).min(1024);
    let limit = posts::per_second(&receiver, if http2 { opened + later } else { hosts }, at_once, 1000, DELIVERIES).await;
    report.row(
        &format!("fan-out to {count} endpoints on {hosts} host(s), {}, deliveries", if http2 { "HTTP/2" } else { "HTTP/1.1" }),
        &format!("{speed:.0}/s over {} connections, {later} of them opened under load", opened + later),
        &format!("{limit:.0}/s bare HTTPS POSTs"),
        &format!("{:.0} %", 100.0 * speed / limit),
        "10 000/s",
    );
}

/// Sends deliveries that have waited in the delivery store when their endpoint is enabled.
pub async fn parked(report: &mut Report) {
    const EVENTS: usize = 100_000;
    let mut setup = setup("bench-parked", Database::Postgres);
    let receiver = Receiver::start().await;
    receiver.known_to(&mut setup);
    let gateway = setup.start().await;
    let api = setup.api();
    let endpoint = api.create("/v1/webhook-endpoints", json!({ "name": "e", "url": receiver.url() })).await;
    let schema = json!({ "type": "object", "properties": { "n": { "type": "integer" } } });
    let register = json!({ "name": "reading", "title": "Reading", "orderingKey": "key", "schema": schema });
    api.post("/v1/event-types", register).await.expect(201);
    let queue = json!({ "name": "q", "mode": "in_order", "eventTypes": ["custom.reading"] });
    let queue = api.create("/v1/queues", queue).await;
    let action = json!({ "type": "webhook", "webhookEndpointId": endpoint });
    api.create("/v1/subscriptions", json!({ "name": "s", "queueId": queue, "action": action })).await;
    api.post(&format!("/v1/webhook-endpoints/{endpoint}/disable"), json!({})).await.expect(200);
    receiver.keep_calls(false);
    for part in 0..EVENTS / 1000 {
        let items: Vec<Value> =
            (0..1000).map(|n| json!({ "type": "custom.reading", "key": format!("k{n}"), "data": { "n": part } })).collect();
        api.post("/v1/events", json!({ "items": items })).await.expect(202);
    }
    eventually("everything to be parked", async || {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let told = api.get(&format!("/v1/queues/{queue}/statistics")).await.expect(200);
        (told["waiting"] == EVENTS).then_some(())
    })
    .await;
    api.post(&format!("/v1/webhook-endpoints/{endpoint}/enable"), json!({})).await.expect(200);
    eventually("the first", async || (receiver.count() > 0).then_some(())).await;
    let began = Instant::now();
    eventually("all", async || (receiver.count() >= EVENTS).then_some(())).await;
    let speed = EVENTS as f64 / began.elapsed().as_secs_f64();
    let peak = memory(&gateway, "VmHWM");
    gateway.stop().await;
    let limit = posts::per_second(&receiver, 1, CONNECTIONS, 1000, 40_000).await;
    report.row(
        &format!("{EVENTS} deliveries parked in the delivery store over 1 000 lanes, in order, sent when the endpoint is enabled"),
        &format!("{speed:.0}/s, {peak:.0} MiB peak"),
        &format!("{limit:.0}/s bare HTTPS POSTs"),
        &format!("{:.0} %", 100.0 * speed / limit),
        "-",
    );
}
