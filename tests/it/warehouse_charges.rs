//! The warehouse's view of charges says what the API says: which of them are billed, and on which invoice.

use std::collections::BTreeMap;

use billwire_tests::{
    api::Api,
    eventually,
    gateway::{Database, Setup},
    peers,
};
use serde_json::{Value, json};

/// The charges as the API has them: state, invoice and net amount by id.
async fn charges(api: &Api) -> BTreeMap<String, Value> {
    let page = api.get("/v1/chargeable-events?limit=200").await.expect(200);
    assert!(page["nextCursor"].is_null());
    let items = page["items"].as_array().expect("items").iter();
    items
        .map(|one| (one["id"].as_str().expect("an id").to_owned(), json!([one["state"], one["invoiceId"], one["netAmount"]["amount"]])))
        .collect()
}

/// Waits until the warehouse's view is what the API says.
async fn agrees(setup: &Setup, api: &Api, when: &str) -> BTreeMap<String, Value> {
    let told = charges(api).await;
    let folder = setup.data_dir().join("warehouse");
    let (mut seen, begun) = (BTreeMap::new(), std::time::Instant::now());
    while begun.elapsed() < billwire_tests::PATIENCE {
        if folder.join("duckdb.sql").exists() && folder.join("events").exists() {
            let path = folder.display().to_string();
            let read = tokio::task::spawn_blocking(move || peers::run("read_charges.py", &[&path])).await.expect("its end");
            seen = serde_json::from_value(read).expect("charges");
            if seen == told {
                return told;
            }
        }
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    }
    panic!("{when}: the API says {told:?}, the warehouse {seen:?}");
}

async fn charge(api: &Api, account: &str, occurred_at: &str, amount: &str) -> String {
    let amount = json!({ "amount": amount, "currency": "EUR" });
    let item = json!({ "account": account, "type": "data", "occurredAt": occurred_at, "amount": amount });
    let made = api.post("/v1/chargeable-events", json!({ "items": [item] })).await.expect(200);
    made["items"][0]["transaction"]["entities"][0]["id"].as_str().expect("an id").to_owned()
}

/// Bills everything that is due at `now`.
async fn bill(api: &Api, now: &str, run: &str) {
    api.post("/v1/test-clock", json!({ "now": now })).await.expect(200);
    api.post("/v1/bill-runs", json!({ "externalId": run, "billCycle": "MONTHLY" })).await.expect(202);
    eventually("the run's end", async || {
        (api.get(&format!("/v1/bill-runs/{run}")).await.expect(200)["status"] == "completed").then_some(())
    })
    .await;
}

/// The account's newest invoice.
async fn invoice(api: &Api, account: &str) -> String {
    let found = api.get(&format!("/v1/invoices?account={account}&sort=createdAt&order=descending&limit=1")).await.expect(200);
    found["items"][0]["id"].as_str().expect("an invoice").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn charges_are_billed_in_the_warehouse_as_they_are_in_the_api() {
    let setup = Setup::new("warehouse-charges", Database::Sqlite);
    let gateway = setup.start().await;
    let api = setup.api();
    api.post("/v1/test-clock", json!({ "now": "2090-01-10T00:00:00Z" })).await.expect(200);
    let cycle = json!({ "externalId": "MONTHLY", "name": "Monthly", "period": "month", "billingDay": 1 });
    api.post("/v1/bill-cycles", cycle).await.expect(201);
    let (alone, payer, child) = (api.account("MONTHLY").await, api.account("MONTHLY").await, api.account("MONTHLY").await);
    api.post(&format!("/v1/accounts/{child}/payer"), json!({ "payer": payer })).await.expect(200);

    let early = charge(&api, &alone, "2090-01-09T12:00:00Z", "10.00").await;
    let of_child = charge(&api, &child, "2090-01-09T12:00:00Z", "3.00").await;
    charge(&api, &payer, "2090-01-09T12:00:00Z", "2.00").await;
    let adjust = json!({ "chargeType": "CREDIT", "amount": { "amount": "1.00", "currency": "EUR" }, "reason": "goodwill", "user": "u" });
    api.post(&format!("/v1/chargeable-events/{early}/adjustments"), adjust).await.expect(200);
    let told = agrees(&setup, &api, "before any run").await;
    assert!(told.values().all(|one| one[0] == "unbilled"), "{told:?}");

    bill(&api, "2090-02-01T06:00:00Z", "FEBRUARY").await;
    // It occurred before the cutoff and was recorded after the run; and one of the running period.
    let late = charge(&api, &alone, "2090-01-20T12:00:00Z", "4.00").await;
    let late_of_child = charge(&api, &child, "2090-01-20T12:00:00Z", "5.00").await;
    charge(&api, &alone, "2090-02-01T05:00:00Z", "6.00").await;
    let told = agrees(&setup, &api, "after a run").await;
    assert_eq!((&told[&early][0], &told[&of_child][0], &told[&late][0]), (&json!("billed"), &json!("billed"), &json!("unbilled")));
    assert_eq!(told[&of_child][1], invoice(&api, &payer).await, "the payer's invoice");

    // An invoice is cancelled after the later ones. Of one account both are, of the payer the second.
    let first = invoice(&api, &alone).await;
    bill(&api, "2090-03-01T06:00:00Z", "MARCH").await;
    let told = agrees(&setup, &api, "after the second run").await;
    assert_eq!((&told[&late][0], &told[&late_of_child][0]), (&json!("billed"), &json!("billed")));
    for cancelled in [&invoice(&api, &alone).await, &first, &invoice(&api, &payer).await] {
        api.post(&format!("/v1/invoices/{cancelled}/cancel"), json!({})).await.expect(200);
    }
    let told = agrees(&setup, &api, "after three were cancelled").await;
    let states = [&early, &late, &of_child, &late_of_child].map(|charge| told[charge][0].clone());
    assert_eq!(states, ["unbilled", "unbilled", "billed", "unbilled"]);
    assert_eq!(told[&early], json!(["unbilled", null, "9.00"]));
    bill(&api, "2090-04-01T06:00:00Z", "APRIL").await;
    let told = agrees(&setup, &api, "after the third run").await;
    assert!(told.values().all(|one| one[0] == "billed"), "{told:?}");
    assert!(gateway.stop().await.success());
}
