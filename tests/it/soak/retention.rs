//! Years of history are purged while clients work: by a gateway that is killed again and again, and for long.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use billwire_tests::{
    api::Api,
    eventually,
    gateway::{BOTH, Database, Setup},
    history::{self, History, execute},
    reserved_port,
};
use sqlx::{PgPool, Row, SqlitePool};

use super::{pace, time};
use crate::drills::Scene;

/// Old events, each with its business transaction and a finished delivery.
const OLD: usize = 4_000;
/// Every so many of the deliveries is a dead letter.
const DEAD_EVERY: usize = 100;
/// How often the gateway is killed.
const KILLS: usize = 3;

/// How many of the old events, deliveries and business transactions are left.
async fn left(setup: &Setup) -> [usize; 3] {
    let sql = "SELECT (SELECT COUNT(*) FROM event WHERE kind = 'old.happened'), (SELECT COUNT(*) FROM delivery WHERE event_type = 'old.happened'), \
               (SELECT COUNT(*) FROM business_transaction WHERE operation = 'old')";
    let counts: [i64; 3] = match &setup.database_url {
        Some(url) => {
            let pool = PgPool::connect(url).await.expect("the database");
            let row = sqlx::query(sql).fetch_one(&pool).await.expect("counts");
            [row.get(0), row.get(1), row.get(2)]
        }
        None => {
            let url = format!("sqlite://{}", setup.data_dir().join("billwire.db").display());
            let pool = SqlitePool::connect(&url).await.expect("the database");
            let row = sqlx::query(sql).fetch_one(&pool).await.expect("counts");
            pool.close().await;
            [row.get(0), row.get(1), row.get(2)]
        }
    };
    counts.map(|count| usize::try_from(count).expect("a count"))
}

#[tokio::test(flavor = "multi_thread")]
async fn history_is_purged_under_work_by_a_gateway_that_is_killed() {
    for database in BOTH {
        let (mut scene, gateway) = Scene::new("purge", database).await;
        assert!(gateway.stop().await.success());
        let old = History { events: OLD, oldest: 600, youngest: 500, delivered: 600, dead_every: DEAD_EVERY, bytes: 100 };
        history::write(&scene.setup, old).await;
        assert_eq!(left(&scene.setup).await, [OLD; 3]);
        scene.setup.leaving = Some("the old deliveries' dead letters");
        let mut gateway = scene.setup.start().await;
        scene.start_work().await;
        let owed = OLD / DEAD_EVERY;
        for _ in 0..KILLS {
            let before = left(&scene.setup).await.iter().sum::<usize>();
            eventually("some of it to go", async || {
                let now = left(&scene.setup).await.iter().sum::<usize>();
                (now < before || now == 3 * owed).then_some(())
            })
            .await;
            scene.rest().await;
            gateway.kill();
            gateway = scene.setup.start().await;
            scene.start_work().await;
        }
        eventually("all to go that is not owed", async || (left(&scene.setup).await == [owed; 3]).then_some(())).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(left(&scene.setup).await, [owed; 3], "dead letters keep their events, and events their business transactions");
        for table in [
            "delivery WHERE event_type = 'old.happened'",
            "event WHERE kind = 'old.happened'",
            "business_transaction WHERE operation = 'old'",
        ] {
            execute(&scene.setup, &format!("DELETE FROM {table}")).await;
        }
        scene.end(gateway).await;
    }
}

/// Old events for each second of the long purge: more than is purged in one.
const PER_SECOND: u64 = 1_000;
/// At most so many, however long it takes.
const OLD_MAX: u64 = 2_000_000;
/// How long a step may hold the writer.
const STEP_MAX: Duration = Duration::from_millis(50);

/// The upper bounds of the buckets of steps, in seconds, and how many steps took no longer.
async fn steps(monitor: &Api) -> Vec<(f64, u64)> {
    let metrics = monitor.get("/metrics").await.text;
    let bucket = |line: &str| {
        let (bound, count) = line.strip_prefix("billwire_purge_step_seconds_bucket{le=\"")?.split_once("\"} ")?;
        Some((bound.parse().unwrap_or(f64::INFINITY), count.parse().ok()?))
    };
    metrics.lines().filter_map(bucket).collect()
}

/// Purges under load for a while; says how long the steps held the writer.
async fn purged_for_long(database: Database) {
    let lasts = time("RETENTION", 5_000);
    let mut setup = Setup::new("purge-long", database);
    let address = SocketAddr::from(([127, 0, 0, 1], reserved_port()));
    setup.set("BILLWIRE_MONITORING_LISTEN", address.to_string());
    let monitor = Api::new(&format!("http://{address}"), "no-key");
    let (mut scene, gateway) = Scene::on(setup).await;
    pace(&mut scene);
    assert!(gateway.stop().await.success());
    let events = usize::try_from((lasts.as_secs() * PER_SECOND).min(OLD_MAX)).expect("a number");
    history::write(&scene.setup, History { events, oldest: 600, youngest: 500, delivered: 600, dead_every: 0, bytes: 1_000 }).await;
    let gateway = scene.setup.start().await;
    scene.start_work().await;
    // The purge looks for work every few seconds.
    eventually("the first step", async || steps(&monitor).await.last().is_some_and(|all| all.1 > 0).then_some(())).await;
    let begun = Instant::now();
    while begun.elapsed() < lasts && left(&scene.setup).await != [0; 3] {
        tokio::time::sleep((lasts / 50).max(Duration::from_millis(100))).await;
    }
    let (took, steps, rest) = (begun.elapsed(), steps(&monitor).await, left(&scene.setup).await);
    let all = steps.last().map_or(0, |last| last.1);
    let within = |share: f64| steps.iter().find(|(_, count)| *count as f64 >= all as f64 * share).map_or(f64::NAN, |found| found.0);
    let long = all - steps.iter().take_while(|(bound, _)| *bound <= STEP_MAX.as_secs_f64()).last().map_or(0, |last| last.1);
    println!(
        "{database:?}: {} of {} rows purged in {took:.0?} in {all} steps: p50 <= {} s, p99 <= {} s, all <= {} s; {long} took longer than {STEP_MAX:?}",
        3 * events - rest.iter().sum::<usize>(),
        3 * events,
        within(0.5),
        within(0.99),
        within(1.0),
    );
    assert!(all > 0);
    if std::env::var("BILLWIRE_TEST_SOAK_RETENTION_MS").is_ok() {
        assert!(within(0.99) <= STEP_MAX.as_secs_f64(), "of a hundred steps, ninety-nine hold the writer for {STEP_MAX:?} at most");
    }
    for table in ["delivery WHERE event_type = 'old.happened'", "event WHERE kind = 'old.happened'"] {
        execute(&scene.setup, &format!("DELETE FROM {table}")).await;
    }
    execute(&scene.setup, "DELETE FROM business_transaction WHERE operation = 'old'").await;
    scene.end(gateway).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_steps_of_a_long_purge_are_short_on_sqlite() {
    purged_for_long(Database::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_steps_of_a_long_purge_are_short_on_postgres() {
    purged_for_long(Database::Postgres).await;
}
