//! Lists of large items: a page is bounded in bytes, and all pages that are read and sent at once are bounded in memory.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use billwire_tests::{
    api::Api,
    gateway::{BOTH, Gateway, Setup},
};
use serde_json::{Value, json};
use tokio::task::JoinSet;

/// Calls at the same time.
const CALLS: usize = 200;
/// Events, each of about 100 kB.
const EVENTS: usize = 50;
/// What the process may take more than at rest: `BILLWIRE_PAGES_BYTES`, and what connections, the allocator and the database keep.
const GROWTH_MAX_MB: u64 = 350;

/// The most memory that the process has had since it was last asked, in MiB.
fn peak_mb(gateway: &Gateway) -> u64 {
    let process = format!("/proc/{}", gateway.pid());
    let status = std::fs::read_to_string(format!("{process}/status")).expect("a process");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("its peak");
    std::fs::write(format!("{process}/clear_refs"), "5").expect("reset");
    peak.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") / 1024
}

/// Follows a list to its end; gives the items' ids in order, and the number of pages. Each page respects its bytes.
async fn follow(api: &Api, list: &str, page_bytes: usize) -> (Vec<String>, usize) {
    let (mut ids, mut pages, mut cursor) = (Vec::new(), 0, String::new());
    loop {
        let answer = api.get(&format!("{list}{cursor}")).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        assert_eq!(answer.headers["content-length"].to_str().ok(), Some(&*answer.text.len().to_string()));
        let page = answer.json();
        let items = page["items"].as_array().expect("items");
        assert!(answer.text.len() <= page_bytes + 10_000 || items.len() == 1, "{} bytes, {} items", answer.text.len(), items.len());
        ids.extend(items.iter().map(|item| item["id"].as_str().expect("an id").to_owned()));
        pages += 1;
        match page["nextCursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return (ids, pages),
        }
    }
}

/// Registers a type for notes and submits some of this length.
async fn notes(api: &Api, count: usize, length: usize) {
    let schema = json!({ "type": "object", "properties": { "lines": { "type": "array" } } });
    let kind = json!({ "name": "noted", "title": "Noted", "orderingKey": "key", "schema": schema });
    api.post("/v1/event-types", kind).await.expect(201);
    let note = |n: usize| json!({ "type": "custom.noted", "key": format!("k{n}"), "data": { "lines": ["x".repeat(length)] } });
    for n in (0..count).step_by(5) {
        let items: Vec<Value> = (n..count.min(n + 5)).map(note).collect();
        let told = api.post("/v1/events", json!({ "items": items })).await.expect(202);
        assert!(told["items"].as_array().expect("items").iter().all(|item| item["status"] == "recorded"), "{told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_lists_of_large_events_at_once_take_bounded_memory_and_each_sees_every_event_once() {
    for database in BOTH {
        let setup = Setup::new("large-pages", database);
        let gateway = setup.start().await;
        let api = setup.api();
        notes(&api, EVENTS, 100_000).await;
        let (all, pages) = follow(&api, "/v1/events?type=custom.noted&limit=200", 4 << 20).await;
        assert_eq!((all.iter().collect::<BTreeSet<_>>().len(), all.len(), pages), (EVENTS, EVENTS, 2));
        let (before, began) = (peak_mb(&gateway), Instant::now());
        let mut calls = JoinSet::new();
        for _ in 0..CALLS {
            let api = api.clone();
            calls.spawn(async move { follow(&api, "/v1/events?type=custom.noted&limit=200", 4 << 20).await });
        }
        while let Some(seen) = calls.join_next().await {
            assert_eq!(seen.expect("a list"), (all.clone(), 2));
        }
        let (peak, took) = (peak_mb(&gateway), began.elapsed());
        println!("{database:?}: {before} MiB before, {peak} MiB at most, {took:.1?}");
        assert!(peak < before + GROWTH_MAX_MB, "{before} MiB before, {peak} MiB at most");
        assert!(took < Duration::from_secs(120), "{took:?}");
        // The history of transactions has the same bodies.
        let (transactions, pages) = follow(&api, "/v1/business-transactions?operation=submitEvents&limit=200", 4 << 20).await;
        assert_eq!((transactions.len(), pages), (EVENTS, 2));
        assert!(gateway.stop().await.success());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_list_is_bounded_in_bytes_and_whoever_follows_it_sees_everything_once() {
    for database in BOTH {
        let mut setup = Setup::new("small-pages", database);
        setup.set("BILLWIRE_PAGE_BYTES", "3000");
        let gateway = setup.start().await;
        let api = setup.api();
        let cycle = api.bill_cycle(1).await;
        let account = api.account(&cycle).await;
        let charge = |n: usize| {
            let amount = json!({ "amount": format!("{n}.00"), "currency": "EUR" });
            let (kind, description) = ("data", "d".repeat(n * 20));
            json!({ "account": account, "type": kind, "occurredAt": "2026-01-15T10:00:00Z", "description": description, "amount": amount })
        };
        let items: Vec<Value> = (1..=12).map(charge).collect();
        let told = api.post("/v1/chargeable-events", json!({ "items": items })).await.expect(200);
        assert!(told["items"].as_array().expect("items").iter().all(|item| item["status"] == "recorded"), "{told}");
        for n in 0..6 {
            api.create("/v1/queues", json!({ "name": format!("q{n}"), "mode": "in_order", "eventTypes": ["account.*"] })).await;
            let template = json!({ "name": format!("t{n}"), "subject": "s", "text": "t".repeat(1 + n * 500) });
            api.create("/v1/notification-templates", template).await;
        }
        for (list, count) in [
            ("/v1/chargeable-events?limit=200", 12),
            ("/v1/chargeable-events?sort=netAmount&order=ascending&limit=200", 12),
            ("/v1/notification-templates?limit=200", 6),
            ("/v1/queues?limit=200", 6),
            ("/v1/events?limit=200", 26),
            ("/v1/business-transactions?limit=200", 15),
        ] {
            let (ids, pages) = follow(&api, list, 3000).await;
            let different = ids.iter().collect::<BTreeSet<_>>().len();
            assert_eq!(different, ids.len(), "{list}");
            assert!(different >= count.min(6) && pages > 1 || list.contains("queues"), "{list}: {different} items on {pages} pages");
        }
        // The tail of the stream is bounded alike.
        let start = api.get("/v1/events/tail").await.expect(200)["nextCursor"].as_str().expect("a cursor").to_owned();
        notes(&api, 12, 1000).await;
        let (mut seen, mut cursor, mut pages) = (BTreeSet::new(), start, 0);
        while seen.len() < 12 {
            let page = api.get(&format!("/v1/events/tail?waitSeconds=5&limit=200&cursor={cursor}")).await.expect(200);
            let items = page["items"].as_array().expect("items");
            let mut notes = items.iter().filter(|item| item["type"] == "custom.noted");
            assert!(notes.all(|item| seen.insert(item["id"].as_str().expect("an id").to_owned())), "an event came twice");
            assert!(items.len() <= 3, "{} events of a kilobyte on a page of 3000 bytes", items.len());
            cursor = page["nextCursor"].as_str().expect("a cursor").to_owned();
            pages += 1;
            assert!(pages < 60, "{} events on {pages} pages", seen.len());
        }
        assert!(gateway.stop().await.success());
    }
}
