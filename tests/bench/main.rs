//! `make bench`: the gateway's performance, each figure next to a baseline measured in the same run on the same machine.
//!
//! Load generator, database, nats-server, receiver and gateway share the machine's cores, for the gateway's figures and the baselines
//! alike. Results are written to `tests/bench/RESULTS.md`.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a measuring program: a failed expectation ends the run"
)]

mod accept;
mod bare;
mod billing;
mod deliver;
mod fairness;
mod fan;
mod isolation;
mod mail;
mod many;
mod posts;
mod report;
mod retained;

use billwire_tests::gateway::Database;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let mut report = report::Report::start();
    // Runs a single part during development: `bench drain`. Only a full run is written to the results.
    let only = std::env::args().nth(1);
    let wanted = |part: &str| only.as_deref().is_none_or(|o| o == part);
    for database in [Database::Postgres, Database::Sqlite] {
        if wanted("accept") {
            accept::measure(database, &mut report).await;
        }
    }
    for database in [Database::Postgres, Database::Sqlite] {
        if wanted("charges") {
            billing::charges(database, &mut report).await;
        }
    }
    if wanted("bill-run") {
        for accounts in [1_000, 10_000] {
            billing::bill_run(accounts, &mut report).await;
        }
    }
    if wanted("latency") {
        deliver::latency(&mut report).await;
    }
    if wanted("warehouse") {
        deliver::warehouse(&mut report).await;
    }
    if wanted("drain") {
        deliver::drain(&mut report, true).await;
        deliver::drain(&mut report, false).await;
    }
    for database in [Database::Postgres, Database::Sqlite] {
        for (queues, tenants, subscriptions) in [(0, 0, 0), (20, 0, 1), (100, 0, 1), (1_000, 100, 10)] {
            if wanted("many") || only.as_deref() == Some(&format!("many-{queues}-{database:?}")) {
                many::measure(database, many::Beside { queues, tenants, subscriptions }, &mut report).await;
            }
        }
        if wanted("bulk") {
            many::bulk(database, &mut report).await;
        }
    }
    if wanted("matching") {
        fan::matching(&mut report);
    }
    if wanted("fan-out") {
        for subscriptions in [10, 1_000] {
            fan::out(subscriptions, &mut report).await;
        }
    }
    if wanted("endpoints") {
        for (count, hosts, http2) in [(10, 1), (10, 10), (100, 1), (100, 10)].into_iter().flat_map(|(c, h)| [(c, h, false), (c, h, true)]) {
            fan::endpoints(count, hosts, http2, &mut report).await;
        }
    }
    if wanted("parked") {
        fan::parked(&mut report).await;
    }
    if wanted("fairness") {
        fairness::measure(&mut report).await;
    }
    if wanted("isolation") {
        isolation::measure(&mut report).await;
    }
    if wanted("mail") {
        for connections in [1, 10] {
            mail::speed(connections, &mut report).await;
        }
        mail::apart(&mut report).await;
    }
    for database in [Database::Postgres, Database::Sqlite] {
        if wanted("retained") || only.as_deref() == Some(&format!("retained-{database:?}")) {
            retained::measure(database, &mut report).await;
        }
    }
    if only.is_none() {
        report.write();
    }
}
