//! Requests that schemathesis makes of the served document: every operation, on both databases. `make fuzz` sends many more.

use std::process::Command;

use billwire_tests::{
    api::Api,
    gateway::{BOTH, Database, Gateway, Setup},
    root,
};
use futures::future::join_all;
use serde_json::{Value, json};

use crate::catalogue::cause_all;

/// Largest share of answers with 404. More would mean that requests do not reach what they are made for.
const NOT_FOUND_MAX: f64 = 0.15;

/// How many alterations of an exchange the peer has to find.
const ALTERED: u64 = 4;

/// Options of the peer and their values in `make test`: about a minute for both databases together on two busy cores.
/// `BILLWIRE_TEST_FUZZ_<OPTION>` sets others.
const OPTIONS: [(&str, u64); 3] = [("seed", 1), ("systematic", 2), ("random", 2)];

/// A gateway on `database` in which every event of the catalogue has been caused.
async fn filled(database: Database) -> (Setup, Gateway, Api) {
    let mut setup = Setup::new("fuzz-api", database);
    // Not off, but out of reach: answers tell what is left of them, in headers that are documented.
    setup.set("BILLWIRE_REQUESTS_PER_KEY", "1000000").set("BILLWIRE_REQUESTS_PER_TENANT", "1000000");
    // No receiver has a name made at random.
    setup.set("BILLWIRE_WEBHOOK_TIMEOUT_MS", "1000").set("BILLWIRE_SMTP_TIMEOUT_MS", "1000");
    let gateway = setup.start().await.leaving("deliveries to receivers that do not exist");
    let api = setup.api();
    cause_all(&api).await;
    (setup, gateway, api)
}

/// Runs the peer against all gateways at once; gives what it reports.
fn fuzz(gateways: &[(Setup, Gateway, Api)]) -> Value {
    let python = Command::new(root().join("tools/python-fuzz")).output().expect("tools/python-fuzz");
    assert!(python.status.success(), "{}", String::from_utf8_lossy(&python.stderr));
    let mut peer = Command::new(String::from_utf8_lossy(&python.stdout).trim());
    peer.arg(root().join("tests/peers/fuzz_api.py"));
    for (option, short) in OPTIONS {
        let variable = format!("BILLWIRE_TEST_FUZZ_{}", option.to_uppercase());
        peer.args([format!("--{option}"), std::env::var(variable).unwrap_or_else(|_| short.to_string())]);
    }
    for (setup, _, api) in gateways {
        peer.args([&api.base, &setup.key]);
    }
    let output = peer.output().expect("the peer");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

fn count(report: &Value, member: &str) -> usize {
    report[member].as_array().expect("a list").len()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_operation_answers_as_documented_whatever_it_is_sent() {
    let gateways = join_all(BOTH.map(filled)).await;
    let report = fuzz(&gateways);
    println!("seed {}, {} requests to each, seconds: {}", report["seed"], report["cases"], report["seconds"]);
    let operations = count(&report, "operations");
    let excluded = report["excluded"].as_object().expect("operations").len();
    for (database, told) in BOTH.iter().zip(report["gateways"].as_array().expect("reports")) {
        let (covered, succeeded) = (count(told, "covered"), count(told, "succeeded"));
        println!("{database:?}: {succeeded} of {covered} operations with 2xx, {} not found, {}", told["notFound"], told["statuses"]);
        assert_eq!((&told["stopped"], &told["faults"]), (&Value::Null, &json!([])), "{database:?}: {told:#}");
        assert_eq!(told["altered"], ALTERED, "the peer does not look at what it gets");
        assert_eq!(covered, operations - excluded, "{database:?}: operations without a request");
        assert!(succeeded * 2 >= operations, "{database:?}: too few operations do what they are for: {}", told["refusals"]);
        assert!(told["notFound"].as_f64().is_some_and(|share| share < NOT_FOUND_MAX), "{database:?}: {}", told["notFound"]);
    }
    for (_setup, gateway, api) in gateways {
        api.get("/readyz").await.expect(200);
        assert!(gateway.stop().await.success());
    }
}
