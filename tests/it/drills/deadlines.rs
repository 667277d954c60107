//! Locks of outsiders: who needs the lock is refused in time, and nobody else notices.

use std::time::{Duration, Instant};

use billwire_tests::{
    eventually,
    gateway::{Database, signal},
};
use serde_json::json;
use sqlx::{Connection, Executor, PgConnection, Row, SqliteConnection};

use super::{Scene, outsider, run};
use crate::plain;

/// How long an outsider holds a lock.
const HELD: Duration = Duration::from_secs(13);

#[tokio::test(flavor = "multi_thread")]
async fn an_outsiders_lock_on_one_ordering_key_refuses_its_operations_alone() {
    let (mut scene, gateway) = Scene::new("locked-row", Database::Postgres).await;
    scene.start_work().await;
    let account = scene.api.get("/v1/accounts/a0").await.expect(200)["id"].as_str().unwrap().to_owned();
    let mut outsider = outsider(&scene.setup).await;
    run(&mut outsider, &format!("BEGIN; SELECT * FROM ordering_key WHERE key = '{account}' FOR UPDATE")).await;
    let locked = Instant::now();
    tokio::time::sleep(HELD).await;
    let answered = scene.since(locked);
    run(&mut outsider, "COMMIT").await;
    let (of_locked, others): (Vec<_>, Vec<_>) = answered.into_iter().partition(|one| one.client == 0);
    assert!(of_locked.len() >= 2, "only {} answers while the key was locked", of_locked.len());
    for one in &of_locked {
        assert_eq!(one.told(), "503 busy, Retry-After", "{}", one.answer.text);
        assert!(one.took < Duration::from_secs(8), "{:?}", one.took);
    }
    for client in 1..super::CLIENTS {
        let of: Vec<_> = others.iter().filter(|one| one.client == client).collect();
        let longest = of.iter().map(|one| one.took).max().unwrap_or(HELD);
        assert!(of.iter().all(|one| one.is_accepted()), "client {client} was refused");
        // On a busy machine; on an idle one there are a hundred, and the first takes half a second.
        assert!(of.len() >= 4 && longest < HELD / 2, "client {client}: {} answers, at most {longest:?}", of.len());
        println!("client {client}: {} answers, at most {longest:?}", of.len());
    }
    scene.all_work("work to go on by itself").await;
    scene.end(gateway).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sqlite_locked_by_another_process_refuses_operations_after_five_seconds() {
    let (mut scene, gateway) = Scene::new("locked-file", Database::Sqlite).await;
    scene.start_work().await;
    let url = format!("sqlite://{}", scene.setup.data_dir().join("billwire.db").display());
    let mut outsider = SqliteConnection::connect(&url).await.expect("a connection");
    outsider.execute("BEGIN IMMEDIATE").await.expect("the lock");
    let locked = Instant::now();
    tokio::time::sleep(HELD).await;
    let answered = scene.since(locked);
    outsider.execute("COMMIT").await.expect("the end");
    assert!(answered.len() >= super::CLIENTS, "{} answers", answered.len());
    for one in &answered {
        assert_eq!(one.told(), "503 busy, Retry-After", "{}", one.answer.text);
        assert!(one.took > Duration::from_secs(4) && one.took < Duration::from_secs(8), "{:?}", one.took);
    }
    scene.all_work("work to go on by itself").await;
    scene.end(gateway).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_process_holds_no_transaction_open() {
    let mut setup = billwire_tests::gateway::Setup::new("stopped", Database::Postgres);
    setup.set("BILLWIRE_DATABASE_IDLE_TIMEOUT_MS", "1000");
    let (mut scene, gateway) = Scene::on(setup).await;
    scene.start_work().await;
    let mut outsider = outsider(&scene.setup).await;
    for _ in 0..4 {
        signal(&gateway.pid(), "-STOP");
        let idle = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in transaction%'";
        let mut first = None;
        eventually("open transactions to end", async || {
            let open: i64 = sqlx::query(idle).fetch_one(&mut outsider).await.expect("a count").get(0);
            first.get_or_insert(open);
            (open == 0).then_some(())
        })
        .await;
        println!("{first:?} open transactions when stopped");
        signal(&gateway.pid(), "-CONT");
        scene.all_work("work to go on").await;
    }
    assert!(scene.told().keys().all(|told| told.starts_with("503 ") || told.starts_with("20")), "{:?}", scene.told());
    scene.end(gateway).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_that_everyone_needs_refuses_everyone_within_the_operations_deadline() {
    let (mut scene, gateway) = Scene::new("locked-table", Database::Postgres).await;
    scene.start_work().await;
    let mut outsider = outsider(&scene.setup).await;
    run(&mut outsider, "BEGIN; LOCK TABLE business_transaction IN EXCLUSIVE MODE").await;
    let locked = Instant::now();
    tokio::time::sleep(HELD + HELD / 2).await;
    let answered = scene.since(locked);
    run(&mut outsider, "COMMIT").await;
    assert!(answered.len() >= super::CLIENTS, "{} answers", answered.len());
    for one in &answered {
        assert_eq!(one.told(), "503 busy, Retry-After", "{}", one.answer.text);
        assert!(one.took < Duration::from_secs(20), "{:?}", one.took);
    }
    println!("{} answers, at most {:?}", answered.len(), answered.iter().map(|one| one.took).max());
    scene.all_work("work to go on by itself").await;
    scene.end(gateway).await;
}

/// An address that a server refused for good is a row of its own: no change of configuration and no recorded event holds it up, and nothing is
/// read again because of it.
#[tokio::test(flavor = "multi_thread")]
async fn an_address_is_suppressed_beside_changes_of_configuration_and_recorded_events() {
    let (setup, gateway, api) = plain("suppressed", Database::Postgres).await;
    let mut outsider = outsider(&setup).await;
    let revision = async |outsider: &mut PgConnection| -> i64 {
        let sql = "SELECT COALESCE(SUM(last_sequence), 0)::bigint FROM ordering_key WHERE key = 'configuration'";
        sqlx::query(sql).fetch_one(outsider).await.expect("a revision").get(0)
    };
    let before = revision(&mut outsider).await;
    run(
        &mut outsider,
        "INSERT INTO ordering_key (tenant, key, last_sequence) VALUES ('default', 'configuration', 0) ON CONFLICT DO NOTHING",
    )
    .await;
    run(&mut outsider, "BEGIN; LOCK TABLE event IN ROW EXCLUSIVE MODE; SELECT * FROM ordering_key WHERE key = 'configuration' FOR UPDATE")
        .await;
    let address = json!({ "address": "gone@example.com" });
    api.post("/v1/suppressed-addresses", address.clone()).await.expect(201);
    run(&mut outsider, "COMMIT").await;
    api.post("/v1/suppressed-addresses", address).await.refused(409, "address_suppressed");
    assert_eq!(revision(&mut outsider).await, before, "no change of configuration");
    assert!(gateway.stop().await.success());
}
