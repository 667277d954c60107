//! Bills over time: a second model of billing, in another language, plays random histories against the gateway and recomputes every invoice.

use billwire_tests::{
    gateway::{BOTH, Setup},
    peers,
};

fn from_environment(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Seeds per database: ten in `make test`; `make soak` sets more.
#[tokio::test(flavor = "multi_thread")]
async fn every_invoice_of_two_years_is_what_a_second_model_computes_from_the_inputs() {
    let (first, count) = (from_environment("BILLWIRE_TEST_BILLING_SEED", 1), from_environment("BILLWIRE_TEST_BILLING_SEEDS", 5));
    for (index, database) in BOTH.into_iter().enumerate() {
        // Each database has seeds of its own.
        let from = first + index as u64 * count;
        for seed in from..from + count {
            let setup = Setup::new("billing-model", database);
            let gateway = setup.start().await;
            let api = setup.api();
            let arguments = [api.base, api.key, seed.to_string(), "20".to_owned(), "60".to_owned()];
            let played = tokio::task::spawn_blocking(move || {
                let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
                peers::run("billing_model.py", &arguments)
            });
            let played = played.await.expect("played");
            println!("{database:?}, seed {seed}: {played}");
            assert!(played["invoices"].as_u64() > Some(100), "{played}");
            assert!(gateway.stop().await.success());
        }
    }
}
