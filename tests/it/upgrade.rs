//! A database of the version before opens in this one, and what waited in it goes on. `tests/vectors/database/make.py` made the databases.

use std::collections::BTreeSet;

use billwire_tests::{
    eventually,
    gateway::{BOTH, Database, Setup},
    receiver::Receiver,
    root,
};
use serde_json::json;
use sqlx::{AssertSqlSafe, Executor, PgPool, SqlitePool};

/// Writes the database of the version before to where `setup` has its database.
async fn restore(setup: &mut Setup, database: Database) {
    let read = |name: &str| std::fs::read_to_string(root().join("tests/vectors/database").join(name)).expect("a database");
    match database {
        Database::Sqlite => {
            let url = format!("sqlite://{}", setup.folder.0.join("old.db").display());
            let pool = SqlitePool::connect(&format!("{url}?mode=rwc")).await.expect("a database");
            pool.execute(sqlx::raw_sql(AssertSqlSafe(format!("PRAGMA foreign_keys = OFF; {}", read("0.1.0-sqlite.sql")))))
                .await
                .expect("restored");
            pool.close().await;
            setup.database_url = Some(url);
        }
        Database::Postgres => {
            let pool = PgPool::connect(setup.database_url.as_ref().expect("a URL")).await.expect("a database");
            pool.execute(sqlx::raw_sql(AssertSqlSafe(read("0.1.0-postgres.sql")))).await.expect("restored");
            pool.close().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_of_the_version_before_opens_and_what_waited_in_it_is_delivered() {
    for database in BOTH {
        let mut setup = Setup::new("upgrade", database);
        restore(&mut setup, database).await;
        let receiver = Receiver::start().await;
        receiver.known_to(&mut setup);
        let gateway = setup.start().await;
        let api = setup.api();

        let account = api.get("/v1/accounts/CRM-1").await.expect(200);
        assert_eq!((&account["name"], &account["version"]), (&json!("Acme"), &json!(1)));
        let queue = api.get("/v1/queues").await.expect(200)["items"][0]["id"].as_str().expect("an id").to_owned();
        api.post(&format!("/v1/queues/{queue}/resume"), json!({})).await.expect(200);
        api.patch("/v1/accounts/CRM-1", json!({ "name": "Acme Telecom" })).await.expect(200);

        let events = api.get("/v1/events?limit=200").await.expect(200);
        let items = events["items"].as_array().expect("items");
        let kinds: BTreeSet<&str> = items.iter().filter_map(|event| event["type"].as_str()).collect();
        assert!(
            ["account.created", "contact.created", "custom.reading", "chargeable_event.created"].iter().all(|kind| kinds.contains(kind))
        );
        // The subscription came after the bill cycle.
        let subscribed = items.iter().filter(|event| event["type"] != "bill_cycle.created");
        let expected: BTreeSet<String> = subscribed.map(|event| event["id"].to_string()).collect();
        let arrived = || receiver.calls().iter().map(|call| call.json()["id"].to_string()).collect::<BTreeSet<String>>();
        eventually("every event that waited", async || (arrived() == expected).then_some(())).await;
        assert!(receiver.calls().iter().all(|call| call.header("authorization") == "Bearer t0ken"), "the secret opens");
        assert!(gateway.stop().await.success());
    }
}
