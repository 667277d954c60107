//! Bills over time: a second model of billing, in another language, plays random histories against the gateway and recomputes every invoice.

use billwire_tests::{
    gateway::{Database, Setup},
    peers,
};
use tokio::task::JoinSet;

use super::length;

/// Plays a history of two years: seed, accounts, steps.
async fn play(database: Database, seed: u64) {
    let setup = Setup::in_memory("billing-model", database);
    let gateway = setup.start().await;
    let api = setup.api();
    let arguments = [api.base, api.key, seed.to_string(), "20".to_owned(), "75".to_owned()];
    let played = tokio::task::spawn_blocking(move || {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        peers::run("billing_model.py", &arguments)
    });
    let played = played.await.expect("played");
    println!("{database:?}, seed {seed}: {played}");
    assert!(played["invoices"].as_u64() > Some(100), "{played}");
    assert!(gateway.stop().await.success());
}

/// Plays many, some at once: each waits for the clock of its gateway most of the time.
async fn play_all(database: Database, first: u64) {
    let mut seeds = (0..length("BILLING_SEEDS", 5)).map(|number| first + number);
    let mut playing = JoinSet::new();
    for seed in seeds.by_ref().take(length("BILLING_AT_ONCE", 5) as usize) {
        playing.spawn(play(database, seed));
    }
    while let Some(played) = playing.join_next().await {
        played.expect("as the model says");
        if let Some(seed) = seeds.next() {
            playing.spawn(play(database, seed));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_invoice_of_two_years_on_sqlite_is_what_a_second_model_computes() {
    play_all(Database::Sqlite, length("BILLING_FIRST", 1)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_invoice_of_two_years_on_postgresql_is_what_a_second_model_computes() {
    play_all(Database::Postgres, length("BILLING_FIRST", 1) + 1_000_000).await;
}
