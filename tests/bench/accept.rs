//! Accepted operations: `updateAccountBillCycle` over 32 connections, compared with the same SQL alone.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use billwire_tests::{
    api::Api,
    gateway::{Database, Gateway, Setup},
};
use serde_json::json;

use crate::{
    bare,
    report::{Report, ms, quantile},
};

pub const CONNECTIONS: usize = 32;
const ACCOUNTS: usize = 1000;
const WARM: Duration = Duration::from_secs(2);
const RUN: Duration = Duration::from_secs(10);

/// A memory figure of a process, in MiB, from the given line of `/proc/<pid>/status`.
pub fn memory(gateway: &Gateway, line: &str) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", gateway.pid())).unwrap_or_default();
    let kib: f64 = status.lines().find(|l| l.starts_with(line)).and_then(|l| l.split_whitespace().nth(1)?.parse().ok()).unwrap_or(0.0);
    kib / 1024.0
}

/// Starts a release gateway configured for measuring.
pub fn setup(name: &str, database: Database) -> Setup {
    let mut setup = Setup::new(name, database);
    setup.leaving = Some("a benchmark ends with its measurement");
    setup.set("BILLWIRE_LOG", "warn").set("BILLWIRE_LEASE_MS", "5000").set("BILLWIRE_WAREHOUSE_AGE_MS", "2000");
    // The limits count, and none is reached.
    setup.set("BILLWIRE_REQUESTS_PER_KEY", "1000000").set("BILLWIRE_REQUESTS_PER_TENANT", "1000000");
    setup
}

pub async fn populate(api: &Api) -> (Arc<Vec<String>>, Arc<Vec<String>>) {
    let cycles = vec![api.bill_cycle(1).await, api.bill_cycle(15).await];
    let mut accounts = Vec::with_capacity(ACCOUNTS);
    for _ in 0..ACCOUNTS / 50 {
        accounts.extend(futures::future::join_all((0..50).map(|_| api.account(&cycles[0]))).await);
    }
    (Arc::new(accounts), Arc::new(cycles))
}

/// Runs `connections` clients until `stop`; returns the end time and latency of each operation.
pub async fn work(
    api: &Api,
    accounts: &Arc<Vec<String>>,
    cycles: &Arc<Vec<String>>,
    connections: usize,
    stop: &Arc<AtomicBool>,
) -> Vec<(Instant, Duration)> {
    let workers = (0..connections).map(|worker| {
        let (api, accounts, cycles, stop) = (api.clone(), accounts.clone(), cycles.clone(), stop.clone());
        tokio::spawn(async move {
            let mut done = Vec::new();
            let mut n = worker * 7919;
            while !stop.load(Ordering::Relaxed) {
                n += 1;
                let path = format!("/v1/accounts/{}/bill-cycle", accounts[(n * 31) % accounts.len()]);
                let began = Instant::now();
                api.post(&path, json!({ "billCycle": cycles[n % 2] })).await.expect(200);
                done.push((Instant::now(), began.elapsed()));
            }
            done
        })
    });
    let mut all = Vec::new();
    for worker in workers.collect::<Vec<_>>() {
        all.extend(worker.await.expect("a worker"));
    }
    all
}

pub async fn measure(database: Database, report: &mut Report) {
    let setup = setup("bench-accept", database);
    let gateway = setup.start().await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let idle = memory(&gateway, "VmRSS");
    let api = setup.api();
    let (accounts, cycles) = populate(&api).await;
    let stop = Arc::new(AtomicBool::new(false));
    let began = Instant::now();
    let timer = {
        let stop = stop.clone();
        tokio::spawn(async move {
            tokio::time::sleep(WARM + RUN).await;
            stop.store(true, Ordering::Relaxed);
        })
    };
    let all = work(&api, &accounts, &cycles, CONNECTIONS, &stop).await;
    timer.await.expect("the timer");
    let mut latencies: Vec<Duration> =
        all.iter().filter(|(at, _)| *at > began + WARM && *at <= began + WARM + RUN).map(|(_, l)| *l).collect();
    latencies.sort();
    let ours = latencies.len() as f64 / RUN.as_secs_f64();
    let (peak, name) = (memory(&gateway, "VmHWM"), format!("{database:?}"));
    gateway.stop().await;
    let bare = bare::sql(&setup, &accounts, &cycles, CONNECTIONS, RUN).await;
    let target = if database == Database::Postgres { ">= 60 %" } else { "> 100 %" };
    let figure = format!("{ours:.0}/s, p50 {}, p99 {}", ms(quantile(&latencies, 0.5)), ms(quantile(&latencies, 0.99)));
    report.row(
        &format!("accepted `updateAccountBillCycle`, {name}, {CONNECTIONS} connections"),
        &figure,
        &format!("{bare:.0}/s the same SQL bare"),
        &format!("{:.0} %", 100.0 * ours / bare),
        target,
    );
    report.row(&format!("memory, {name}"), &format!("{idle:.0} MiB idle, {peak:.0} MiB peak under that load"), "-", "-", "idle < 60 MB");
}
