//! Lists that find nothing among many rows.

use std::time::{Duration, Instant};

use billwire_tests::gateway::{Database, Setup};
use sqlx::{Connection, Executor, SqliteConnection};
use uuid::Uuid;

#[tokio::test(flavor = "multi_thread")]
async fn a_list_by_key_or_object_without_a_match_is_quick_on_sqlite() {
    let setup = Setup::new("event-lists", Database::Sqlite);
    let gateway = setup.start().await;
    let cycle = setup.api().bill_cycle(1).await;
    setup.api().account(&cycle).await;
    assert!(gateway.stop().await.success());
    let url = format!("sqlite://{}", setup.data_dir().join("billwire.db").display());
    let mut database = SqliteConnection::connect(&url).await.expect("the database");
    let many = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200000) \
                INSERT INTO event (id, tenant, ordering_key, sequence, kind, object_id, transaction_id, occurred_at, recorded_at, body) \
                SELECT randomblob(16), tenant, 'k' || (i % 1000), i, kind, 'o' || (i % 5000), transaction_id, occurred_at + i, recorded_at, body \
                FROM n, (SELECT * FROM event WHERE kind = 'account.created' LIMIT 1)";
    database.execute(many).await.expect("events");
    let many = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200000) \
                INSERT INTO business_transaction (id, tenant, operation, account_id, occurred_at, object_id, body) \
                SELECT randomblob(16), tenant, operation, account_id, occurred_at + i, 'o' || (i % 5000), body \
                FROM n, (SELECT * FROM business_transaction WHERE operation = 'createAccount' LIMIT 1)";
    database.execute(many).await.expect("business transactions");
    database.close().await.expect("closed");
    let gateway = setup.start().await.leaving("the events are not published");
    let api = setup.api();
    let none = Uuid::now_v7();
    for query in [
        format!("events?objectId={none}"),
        format!("events?key={none}"),
        format!("events?type=account.created&key={none}"),
        format!("events?objectId={none}&type=account.created"),
        format!("business-transactions?objectId={none}"),
        format!("business-transactions?objectId={none}&operation=createAccount"),
        format!("business-transactions?objectId={none}&from=2020-01-01T00:00:00Z"),
    ] {
        let mut quickest = Duration::MAX;
        for _ in 0..5 {
            let begin = Instant::now();
            let page = api.get(&format!("/v1/{query}")).await.expect(200);
            quickest = quickest.min(begin.elapsed());
            assert_eq!(page["items"].as_array().map(Vec::len), Some(0), "{query}");
        }
        println!("{query}: {quickest:?}");
        assert!(quickest < Duration::from_millis(100), "{query}: {quickest:?}");
    }
    drop(gateway);
}
