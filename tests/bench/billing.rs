//! Bulk charges, and a bill run over many accounts.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use billwire_tests::{
    api::Api,
    eventually,
    gateway::{Database, Setup},
};
use serde_json::{Value, json};

use crate::{
    accept::{memory, setup},
    bare,
    report::Report,
};

/// Items per call, the operation's maximum.
const BULK: usize = 1000;
/// Concurrent calls.
const CALLS: usize = 2;

async fn accounts(api: &Api, count: usize, cycle: &str) -> Arc<Vec<String>> {
    let mut accounts = Vec::with_capacity(count);
    while accounts.len() < count {
        accounts.extend(futures::future::join_all((0..50).map(|_| api.account(cycle))).await);
    }
    Arc::new(accounts)
}

fn items(accounts: &[String], from: usize, count: usize) -> Value {
    let items: Vec<Value> = (from..from + count)
        .map(|n| {
            json!({ "account": accounts[n % accounts.len()], "type": if n.is_multiple_of(3) { "voice" } else { "data" }, "quantity": "12", "unit": "MB",
                    "amount": { "amount": format!("0.{:04}", n % 9000 + 1), "currency": "EUR" }, "occurredAt": "2027-01-02T00:00:00Z" })
        })
        .collect();
    json!({ "items": items })
}

/// Records `total` charges; returns the time taken.
async fn record(api: &Api, accounts: &Arc<Vec<String>>, total: usize) -> Duration {
    let next = Arc::new(AtomicUsize::new(0));
    let began = Instant::now();
    let workers: Vec<_> = (0..CALLS)
        .map(|_| {
            let (api, accounts, next) = (api.clone(), accounts.clone(), next.clone());
            tokio::spawn(async move {
                loop {
                    let from = next.fetch_add(BULK, Ordering::Relaxed);
                    if from >= total {
                        return;
                    }
                    // The outbox is bounded; when it is full, the gateway asks callers to wait, as here.
                    loop {
                        let answer = api.post("/v1/chargeable-events", items(&accounts, from, BULK.min(total - from))).await;
                        if answer.status != 503 {
                            answer.expect(200);
                            break;
                        }
                        tokio::time::sleep(Duration::from_millis(200)).await;
                    }
                }
            })
        })
        .collect();
    for worker in workers {
        worker.await.expect("a worker");
    }
    began.elapsed()
}

async fn ready(
    name: &str,
    database: Database,
    roles: &str,
    count: usize,
) -> (Setup, billwire_tests::gateway::Gateway, Api, String, Arc<Vec<String>>) {
    let setup = setup(name, database);
    let gateway = setup.start_with(&["serve", "--roles", roles]).await;
    let api = setup.api();
    api.post("/v1/test-clock", json!({ "now": "2027-01-01T12:00:00Z" })).await.expect(200);
    let cycle = api.bill_cycle(1).await;
    let accounts = accounts(&api, count, &cycle).await;
    api.post("/v1/test-clock", json!({ "now": "2027-01-10T00:00:00Z" })).await.expect(200);
    (setup, gateway, api, cycle, accounts)
}

/// All roles in one process.
const ALL: &str = "api,relay,clock,consumers";

/// Charges through the bulk operation, compared with the same rows written directly: once with nothing else running, and once while
/// the same process publishes the events and loads the warehouse.
pub async fn charges(database: Database, report: &mut Report) {
    for (roles, beside) in [("api", "nothing"), (ALL, "relay and warehouse at work")] {
        charges_with(database, roles, beside, report).await;
    }
}

async fn charges_with(database: Database, roles: &str, beside: &str, report: &mut Report) {
    const TOTAL: usize = 40_000;
    let (setup, gateway, api, _, accounts) = ready("bench-charges", database, roles, 1000).await;
    record(&api, &accounts, 4_000).await;
    let took = record(&api, &accounts, TOTAL).await;
    let peak = memory(&gateway, "VmHWM");
    let ours = TOTAL as f64 / took.as_secs_f64();
    gateway.stop().await;
    let bare = bare::charges(&setup, &accounts, CALLS, TOTAL).await;
    report.row(
        &format!("charges recorded, {database:?}, {BULK} a call, {CALLS} calls at once, beside it {beside}"),
        &format!("{ours:.0}/s, {peak:.0} MiB peak"),
        &format!("{bare:.0}/s the same rows bare, multi-row"),
        &format!("{:.0} %", 100.0 * ours / bare),
        ">= 50 %",
    );
}

/// A bill run of `count` accounts with a hundred charges each.
pub async fn bill_run(count: usize, report: &mut Report) {
    let (setup, gateway, api, cycle, accounts) = ready("bench-bill-run", Database::Postgres, ALL, count).await;
    let total = count * 100;
    let recorded = record(&api, &accounts, total).await;
    api.post("/v1/test-clock", json!({ "now": "2027-02-01T06:00:00Z" })).await.expect(200);
    let before = memory(&gateway, "VmHWM");
    let began = Instant::now();
    let run = api.post("/v1/bill-runs", json!({ "billCycle": cycle })).await.expect(202);
    let path = format!("/v1/bill-runs/{}", run["entities"][0]["id"].as_str().expect("an id"));
    let done = loop {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let run = api.get(&path).await.expect(200);
        if run["status"] == "completed" {
            break run;
        }
    };
    let took = began.elapsed();
    let peak = memory(&gateway, "VmHWM");
    assert_eq!(done["invoices"], json!(count), "{done}");
    eventually("the stream to have caught up", async || (bare::outbox(&setup).await == 0).then_some(())).await;
    let bare = bare::aggregation(&setup).await;
    report.row(
        &format!("bill run, PostgreSQL, {count} accounts, {total} charges (recorded in {:.0} s)", recorded.as_secs_f64()),
        &format!(
            "{:.1} s, {:.0} accounts/s, {:.0} charges/s; peak {peak:.0} MiB, {before:.0} MiB of it before the run",
            took.as_secs_f64(),
            count as f64 / took.as_secs_f64(),
            total as f64 / took.as_secs_f64()
        ),
        &format!("{:.1} s: the sum of each account and type, and each charge marked, as one SQL statement", bare.as_secs_f64()),
        &format!("{:.1} x", took.as_secs_f64() / bare.as_secs_f64()),
        "flat memory, <= 3 x",
    );
    gateway.stop().await;
}
