//! Years of history are purged while clients work, by a gateway that is killed again and again.

use std::time::Duration;

use billwire_tests::{
    eventually,
    gateway::{BOTH, Setup},
    history::{self, History, execute},
};
use sqlx::{PgPool, Row, SqlitePool};

use super::Scene;

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
