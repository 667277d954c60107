//! A database that ends sessions or refuses writes: repeated where that is safe, otherwise 503, never 500.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use billwire_tests::gateway::Database;

use super::{Scene, TERMINATE, outsider, run};

/// Every answer is a success, or a 503 that says when to retry.
fn assert_polite(scene: &Scene) {
    let told = scene.told();
    println!("{told:?}");
    assert!(
        told.keys().all(|told| matches!(&**told, "200" | "201") || (told.starts_with("503 ") && told.ends_with(", Retry-After"))),
        "{told:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn ended_sessions_are_never_answered_with_500() {
    let (mut scene, gateway) = Scene::new("terminated", Database::Postgres).await;
    scene.start_work().await;
    let mut outsider = outsider(&scene.setup).await;
    let until = Instant::now() + Duration::from_secs(6);
    let readers: Vec<_> = ["/v1/accounts?limit=10", "/v1/events?limit=10", "/v1/accounts/a0", "/readyz"]
        .map(|path| {
            let api = scene.api.clone();
            tokio::spawn(async move {
                let mut told = BTreeMap::<u16, usize>::new();
                while Instant::now() < until {
                    let answer = api.get(path).await;
                    assert!(answer.status == 200 || answer.headers.contains_key("retry-after"), "{path}: {}", answer.text);
                    *told.entry(answer.status).or_default() += 1;
                }
                (path, told)
            })
        })
        .into();
    while Instant::now() < until {
        run(&mut outsider, TERMINATE).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    for reader in readers {
        let (path, told) = reader.await.expect("a reader");
        println!("{path}: {told:?}");
        assert!(told.keys().all(|status| matches!(status, 200 | 503)), "{path}: {told:?}");
    }
    // Once more, when nobody uses the connections any more that are ended: a read finds another.
    run(&mut outsider, TERMINATE).await;
    scene.api.get("/v1/accounts?limit=10").await.expect(200);
    scene.all_work("work to go on by itself").await;
    assert_polite(&scene);
    scene.end(gateway).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_only_database_refuses_changes_with_503_and_answers_reads() {
    let (mut scene, gateway) = Scene::new("read-only", Database::Postgres).await;
    scene.start_work().await;
    let mut outsider = outsider(&scene.setup).await;
    let name = scene.setup.database_url.as_ref().unwrap().rsplit_once('/').unwrap().1.to_owned();
    run(&mut outsider, &format!("ALTER DATABASE {name} SET default_transaction_read_only = on")).await;
    run(&mut outsider, TERMINATE).await;
    let refused = || scene.told().iter().filter(|(told, _)| told.starts_with("503 unavailable")).map(|(_, times)| times).sum::<usize>();
    let before = refused();
    billwire_tests::eventually("refusals", async || (refused() > before + 30).then_some(())).await;
    scene.api.get("/v1/accounts?limit=10").await.expect(200);
    run(&mut outsider, "SET default_transaction_read_only = off").await;
    run(&mut outsider, &format!("ALTER DATABASE {name} RESET default_transaction_read_only")).await;
    run(&mut outsider, TERMINATE).await;
    scene.all_work("work to go on by itself").await;
    assert_polite(&scene);
    scene.end(gateway).await;
}
