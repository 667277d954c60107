//! Few connections, and none.

use std::time::{Duration, Instant};

use billwire_tests::{
    eventually,
    gateway::{Database, Setup},
    required,
};
use serde_json::json;
use sqlx::{AssertSqlSafe, Connection, PgConnection, Row, postgres::PgConnectOptions};

use super::{Scene, run};
use crate::soak::storage_full::Cluster;

/// A task that held one connection while it took another would wait for itself.
#[tokio::test(flavor = "multi_thread")]
async fn one_connection_is_enough() {
    let mut setup = Setup::new("one-connection", Database::Postgres);
    setup.set("BILLWIRE_DATABASE_CONNECTIONS", "1");
    let (mut scene, gateway) = Scene::on(setup).await;
    scene.start_work().await;
    let api = scene.api.clone();
    let queue = api.get("/v1/queues").await.expect(200)["items"][0]["id"].as_str().unwrap().to_owned();
    for _ in 0..3 {
        for path in ["deliveries", "dead-letters", "events", "accounts", "business-transactions", "replays"] {
            let page = api.get(&format!("/v1/{path}?limit=5")).await.expect(200);
            if let (Some(id), true) = (page["items"][0]["id"].as_str(), matches!(path, "deliveries" | "events")) {
                api.get(&format!("/v1/{path}/{id}")).await.expect(200);
            }
        }
        api.post(&format!("/v1/queues/{queue}/pause"), json!({})).await.expect(200);
        api.post(&format!("/v1/queues/{queue}/resume"), json!({})).await.expect(200);
        api.get(&format!("/v1/queues/{queue}/statistics")).await.expect(200);
    }
    scene.all_work("work").await;
    let told = scene.told();
    assert!(told.keys().all(|told| matches!(&**told, "200" | "201")), "{told:?}");
    scene.end(gateway).await;
}

/// Takes every connection of the server, also those of the gateway.
async fn take_all(url: &str) -> Vec<PgConnection> {
    let options: PgConnectOptions = url.parse().expect("a URL");
    let options = options.application_name("outsider");
    let mut taken = vec![PgConnection::connect_with(&options).await.expect("a connection")];
    let others = "FROM pg_stat_activity WHERE backend_type = 'client backend' AND application_name <> 'outsider'";
    loop {
        while let Ok(connection) = PgConnection::connect_with(&options).await {
            taken.push(connection);
        }
        let left: i64 =
            sqlx::query(AssertSqlSafe(format!("SELECT count(*) {others}"))).fetch_one(&mut taken[0]).await.expect("a count").get(0);
        if left == 0 {
            return taken;
        }
        run(&mut taken[0], &format!("SELECT pg_terminate_backend(pid) {others}")).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_takes_no_connections_fails_all_waiting_operations_together() {
    required("BILLWIRE_TEST_PG_BIN");
    let cluster = Cluster(billwire_tests::Folder::new("pg-refusing"));
    let url = cluster.start();
    let mut setup = Setup::new("refusing", Database::Sqlite);
    setup.database_url = Some(url.clone());
    let (scene, gateway) = Scene::on(setup).await;
    let cycle = scene.cycle["entities"][0]["id"].as_str().unwrap().to_owned();
    let taken = take_all(&url).await;
    let begin = Instant::now();
    let one = |n: usize| {
        let (api, body) = (scene.api.clone(), json!({ "name": "n", "externalId": format!("x{n}"), "currency": "EUR", "billCycle": cycle }));
        async move { api.post("/v1/accounts", body).await }
    };
    let answers = futures::future::join_all((0..128).map(one)).await;
    let took = begin.elapsed();
    let refused = answers.iter().filter(|answer| answer.status == 503).count();
    println!("{} connections taken; {refused} of 128 refused, all answered after {took:?}", taken.len());
    assert!(refused > 100 && answers.iter().all(|answer| matches!(answer.status, 201 | 503)), "{refused} refused");
    assert!(took < Duration::from_secs(15), "{took:?}");
    for connection in taken {
        let _ = connection.close().await;
    }
    let page = async || scene.api.get("/v1/accounts?limit=200").await;
    let accounts = eventually("the database's return", async || Some(page().await).filter(|answer| answer.status == 200)).await.json();
    let made = answers.iter().filter(|answer| answer.status == 201).count();
    assert_eq!(accounts["items"].as_array().unwrap().len(), made, "what was refused is not there");
    one(128).await.expect(201);
    assert!(gateway.stop().await.success());
}
