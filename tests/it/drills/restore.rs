//! The database is restored to an older moment while the stream, the receivers and the warehouse have gone on. The gateway recognises it and
//! refuses, until a person has recovered it.

use std::{path::PathBuf, time::Duration};

use billwire_tests::{
    eventually,
    gateway::{Database, Gateway, Setup, copy_postgres_database},
};
use serde_json::json;
use sqlx::{AssertSqlSafe, PgPool, SqlitePool};

use super::{Scene, outsider, run, stream};

/// A copy of a database.
pub(crate) enum Backup {
    Files(PathBuf),
    Postgres(String),
}

/// The files of SQLite.
const FILES: [&str; 3] = ["billwire.db", "billwire.db-wal", "billwire.db-shm"];

impl Backup {
    /// Copies the database of a gateway that is stopped.
    pub fn of(setup: &Setup) -> Self {
        if let Some(url) = &setup.database_url {
            return Self::Postgres(copy_postgres_database(url));
        }
        let folder = setup.folder.0.join("backup");
        // The write-ahead log of an earlier copy does not belong to this one, and would damage it.
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).expect("a folder");
        for file in FILES {
            // A clean stop leaves the first alone.
            let _ = std::fs::copy(setup.data_dir().join(file), folder.join(file));
        }
        Self::Files(folder)
    }

    /// Puts the copy in place of the database of a gateway that is stopped.
    pub fn restore(&self, setup: &mut Setup) {
        match self {
            Self::Postgres(copy) => setup.database_url = Some(copy_postgres_database(copy)),
            Self::Files(folder) => {
                for file in FILES {
                    let _ = std::fs::remove_file(setup.data_dir().join(file));
                    let _ = std::fs::copy(folder.join(file), setup.data_dir().join(file));
                }
            }
        }
    }
}

/// For how long clients work between two steps.
const WORK: Duration = Duration::from_millis(700);

pub(crate) async fn work(scene: &mut Scene) {
    scene.start_work().await;
    tokio::time::sleep(WORK).await;
    scene.rest().await;
}

/// A scene whose gateway is stopped and whose database is one of an earlier moment; with what the database lacks.
pub(crate) async fn restored(name: &str, database: Database) -> Scene {
    let (mut scene, gateway) = Scene::new(name, database).await;
    work(&mut scene).await;
    assert!(gateway.stop().await.success());
    let backup = Backup::of(&scene.setup);
    let gateway = scene.setup.start().await;
    work(&mut scene).await;
    assert!(gateway.stop().await.success());
    backup.restore(&mut scene.setup);
    scene
}

/// The gateway refuses to accept, publish and deliver, says why, and stays up.
pub(crate) async fn refuses(scene: &Scene) {
    let (api, calls) = (&scene.api, scene.receiver.calls().len());
    let published = stream(&scene.setup).await.len();
    api.get("/livez").await.expect(200);
    api.get("/readyz").await.refused(503, "restored_database");
    assert!(!api.get("/v1/accounts").await.expect(200)["items"].as_array().expect("items").is_empty(), "reads go on");
    let refused = api.post("/v1/bill-cycles", json!({ "name": "d", "period": "month", "billingDay": 1 })).await;
    assert!(refused.headers.contains_key("retry-after"));
    refused.refused(503, "restored_database");
    // Longer than anything waits for before it publishes or delivers.
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(stream(&scene.setup).await.len(), published, "nothing is published");
    assert_eq!(scene.receiver.calls().len(), calls, "nothing is delivered");
}

/// How many lines of the log say that the database was restored.
fn said(setup: &Setup) -> usize {
    let log = std::fs::read_to_string(setup.folder.0.join("gateway.log")).expect("a log");
    log.lines().filter(|line| line.contains("run `billwire recover`") && line.contains("ERROR")).count()
}

async fn refused(database: Database) {
    let scene = restored("restored", database).await;
    for starts in 1..=2 {
        let gateway = scene.setup.start().await.leaving("the database is an older one");
        refuses(&scene).await;
        assert_eq!(said(&scene.setup), starts, "one line for each start");
        assert!(gateway.stop().await.success());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_database_is_refused_at_start_on_sqlite() {
    refused(Database::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_database_is_refused_at_start_on_postgres() {
    refused(Database::Postgres).await;
}

/// Puts a copy in place of the database of a gateway that runs.
async fn restored_under(name: &str) -> (Scene, Gateway) {
    let (mut scene, gateway) = Scene::new(name, Database::Postgres).await;
    work(&mut scene).await;
    assert!(gateway.stop().await.success());
    let live = scene.setup.database_url.clone().expect("a URL");
    let backup = copy_postgres_database(&live);
    let gateway = scene.setup.start().await.leaving("the database is an older one");
    work(&mut scene).await;
    eventually("everything to be delivered", async || {
        let published = stream(&scene.setup).await.len();
        (scene.receiver.calls().len() >= published).then_some(())
    })
    .await;
    let name = |url: &str| url.rsplit_once('/').expect("a database").1.to_owned();
    let (live_name, backup_name) = (name(&live), name(&backup));
    scene.setup.database_url = Some(live.replace(&live_name, "postgres"));
    let mut admin = outsider(&scene.setup).await;
    run(&mut admin, &format!("ALTER DATABASE {live_name} ALLOW_CONNECTIONS false")).await;
    run(
        &mut admin,
        &format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{live_name}' AND usename = current_user"),
    )
    .await;
    run(&mut admin, &format!("ALTER DATABASE {live_name} RENAME TO {live_name}_gone")).await;
    run(&mut admin, &format!("ALTER DATABASE {backup_name} RENAME TO {live_name}")).await;
    scene.setup.database_url = Some(live);
    (scene, gateway)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_restored_under_a_running_gateway_is_refused() {
    let (scene, gateway) = restored_under("restored-under").await;
    let published = stream(&scene.setup).await.len();
    eventually("a refusal", async || {
        let answer = scene.api.post("/v1/bill-cycles", json!({ "name": "d", "period": "month", "billingDay": 1 })).await;
        (answer.status == 503 && answer.json()["code"] == "restored_database").then_some(())
    })
    .await;
    assert_eq!(stream(&scene.setup).await.len(), published, "what was accepted meanwhile is not published");
    refuses(&scene).await;
    assert!(gateway.stop().await.success());
}

/// The stream is gone: the warehouse has batches that the database has never assigned.
#[tokio::test(flavor = "multi_thread")]
async fn a_restored_database_is_refused_where_only_the_warehouse_is_left() {
    let scene = restored("warehouse-left", Database::Sqlite).await;
    std::fs::remove_dir_all(scene.setup.data_dir().join("nats")).expect("the stream");
    let gateway = scene.setup.start().await.leaving("the database is an older one");
    scene.api.get("/readyz").await.refused(503, "restored_database");
    assert!(gateway.stop().await.success());
}

/// Runs statements on the database of a gateway that is stopped.
async fn execute(setup: &Setup, statements: &[&str]) {
    for sql in statements {
        match &setup.database_url {
            Some(url) => {
                let pool = PgPool::connect(url).await.expect("the database");
                sqlx::query(AssertSqlSafe((*sql).to_owned())).execute(&pool).await.expect(sql);
                pool.close().await;
            }
            None => {
                let url = format!("sqlite://{}", setup.data_dir().join("billwire.db").display());
                let pool = SqlitePool::connect(&url).await.expect("the database");
                sqlx::query(AssertSqlSafe((*sql).to_owned())).execute(&pool).await.expect(sql);
                pool.close().await;
            }
        }
    }
}

async fn unmarked(database: Database) {
    let (mut scene, gateway) = Scene::new("unmarked", database).await;
    work(&mut scene).await;
    assert!(gateway.stop().await.success());
    // As after a crash between the publish and the commit that marks it: SQL has the events, and does not know that they are published.
    execute(
        &scene.setup,
        &[
            "INSERT INTO outbox (position) SELECT position FROM published ORDER BY sequence DESC LIMIT 40",
            "DELETE FROM published WHERE position IN (SELECT position FROM outbox)",
            "UPDATE settled SET sequence = (SELECT MAX(sequence) FROM published) WHERE sequence > (SELECT MAX(sequence) FROM published)",
            "UPDATE setting SET value = (SELECT CAST(MAX(sequence) AS VARCHAR) FROM published) WHERE key = 'stream_last_sequence'",
        ],
    )
    .await;
    let gateway = scene.setup.start().await;
    work(&mut scene).await;
    let published = stream(&scene.setup).await;
    let mut ids: Vec<&str> = published.iter().filter_map(|event| event["id"].as_str()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), published.len(), "published twice");
    assert_eq!(said(&scene.setup), 0);
    scene.end(gateway).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_published_and_not_marked_is_no_restored_database_on_sqlite() {
    unmarked(Database::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_published_and_not_marked_is_no_restored_database_on_postgres() {
    unmarked(Database::Postgres).await;
}

/// Restored to a moment since which nothing was published: no fault.
#[tokio::test(flavor = "multi_thread")]
async fn a_backup_of_the_same_moment_is_accepted() {
    let (mut scene, gateway) = Scene::new("same-moment", Database::Postgres).await;
    work(&mut scene).await;
    assert!(gateway.stop().await.success());
    Backup::of(&scene.setup).restore(&mut scene.setup);
    let gateway = scene.setup.start().await;
    work(&mut scene).await;
    scene.end(gateway).await;
}
