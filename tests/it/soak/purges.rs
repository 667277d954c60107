//! The stream is purged again and again while clients work and everything is delivered.

use billwire_tests::gateway::Database;

use super::{length, pace, time};
use crate::drills::{Scene, stream::billing};

async fn purged(database: Database) {
    let (purges, every) = (length("PURGES", 5), time("PURGE_EVERY", 700));
    let (mut scene, gateway) = Scene::new("purges", database).await;
    pace(&mut scene);
    scene.start_work().await;
    let (stream, mut messages) = (billing(&scene.setup).await, 0);
    for _ in 0..purges {
        tokio::time::sleep(every).await;
        messages += stream.purge().await.expect("a purge").purged;
    }
    println!("{purges} purges of {messages} messages on {database:?}");
    scene.end_with_holes(gateway).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn purges_under_deliveries_lose_reorder_and_double_nothing_on_sqlite() {
    purged(Database::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn purges_under_deliveries_lose_reorder_and_double_nothing_on_postgres() {
    purged(Database::Postgres).await;
}
