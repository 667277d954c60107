//! Operations at a fixed rate on an empty database, and on one that has years of history and is being purged.

use std::time::{Duration, Instant};

use billwire_tests::{
    api::Api,
    gateway::{Database, Setup},
    history::{self, History},
};
use serde_json::json;

use crate::{
    accept::setup,
    report::{Report, ms, quantile},
};

/// Operations per second.
const RATE: usize = 200;
const WARM: Duration = Duration::from_secs(3);
const RUN: Duration = Duration::from_secs(40);
/// Ordering keys of the events.
const KEYS: usize = 1_000;

/// Events retained.
fn retained() -> usize {
    std::env::var("BILLWIRE_BENCH_RETAINED").ok().and_then(|text| text.parse().ok()).unwrap_or(3_000_000)
}

pub async fn measure(database: Database, report: &mut Report) {
    let events = retained();
    let (empty, _) = latencies(database, None).await;
    let history = History { events, oldest: 500, youngest: 1, delivered: 100, dead_every: 0, bytes: 1_200 };
    let (full, purge) = latencies(database, Some(history)).await;
    let (p99, p99_empty) = (quantile(&full, 0.99), quantile(&empty, 0.99));
    report.row(
        &format!("{RATE} events/s with {events} events retained and purged, {database:?}"),
        &format!(
            "p50 {}, p99 {}; {} rows purged/s, longest step {}",
            ms(quantile(&full, 0.5)),
            ms(p99),
            purge.per_second,
            ms(purge.longest)
        ),
        &format!("p50 {}, p99 {} on an empty database", ms(quantile(&empty, 0.5)), ms(p99_empty)),
        &format!("{:.2} x", p99.as_secs_f64() / p99_empty.as_secs_f64()),
        "p99 <= 1.2 x, step <= 50 ms",
    );
}

/// What the purge did meanwhile.
#[derive(Default)]
struct Purge {
    per_second: u64,
    longest: Duration,
}

async fn latencies(database: Database, history: Option<History>) -> (Vec<Duration>, Purge) {
    let mut setup = setup("bench-retained", database);
    setup.set("BILLWIRE_LOG", "warn,billwire::roles::retention=debug");
    let gateway = setup.start().await;
    let register = json!({ "name": "reading", "title": "Reading", "orderingKey": "key", "schema": { "type": "object" } });
    setup.api().post("/v1/event-types", register).await.expect(201);
    gateway.stop().await;
    if let Some(history) = history {
        history::write(&setup, history).await;
        if database == Database::Postgres {
            // What a database does after such a fill is not what years of history cost.
            for sql in ["VACUUM ANALYZE", "CHECKPOINT"] {
                history::execute(&setup, sql).await;
            }
        }
    }
    let gateway = setup.start().await;
    tokio::time::sleep(WARM).await;
    let mut all = at_rate(&setup.api()).await;
    gateway.stop().await;
    all.sort();
    (all, purge(&setup))
}

/// Submits single events at [`RATE`]; the latency of each counts from the moment at which it was due.
async fn at_rate(api: &Api) -> Vec<Duration> {
    let began = Instant::now();
    let total = RATE * RUN.as_secs() as usize;
    let mut calls = Vec::with_capacity(total);
    for n in 0..total {
        let due = began + RUN * u32::try_from(n).expect("few") / u32::try_from(total).expect("few");
        tokio::time::sleep_until(due.into()).await;
        let api = api.clone();
        calls.push(tokio::spawn(async move {
            let body = json!({ "type": "custom.reading", "key": format!("k{}", n % KEYS), "data": { "n": n, "text": "x".repeat(300) } });
            api.post("/v1/events", json!({ "items": [body] })).await.expect(202);
            due.elapsed()
        }));
    }
    let mut all = Vec::with_capacity(total);
    for call in calls {
        all.push(call.await.expect("a call"));
    }
    all
}

/// Reads from the log what was purged.
fn purge(setup: &Setup) -> Purge {
    let log = std::fs::read_to_string(setup.folder.0.join("gateway.log")).unwrap_or_default();
    let number = |line: &str, name: &str| -> Option<u64> {
        let plain: String = line.split(name).nth(1)?.chars().skip_while(|c| !c.is_ascii_digit()).take_while(char::is_ascii_digit).collect();
        plain.parse().ok()
    };
    let turns = log.lines().filter(|line| line.contains("purged what was kept long enough"));
    let (mut rows, mut longest) = (0, 0);
    for line in turns {
        println!("  {line}");
        rows += number(line, "deleted").unwrap_or(0);
        longest = longest.max(number(line, "longest_us").unwrap_or(0));
    }
    Purge { per_second: rows / (WARM + RUN).as_secs(), longest: Duration::from_micros(longest) }
}
