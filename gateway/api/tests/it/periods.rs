//! Periods besides the account's bill cycle: what a package's fee is for.

use billwire_app::BillRunCursors;
use serde_json::{Value, json};

use crate::rig::Rig;

/// Sets business time and performs everything due.
async fn at(rig: &Rig, now: &str) {
    rig.post("/v1/test-clock", json!({ "now": now })).await.expect(200);
    while rig.app.perform_due().await.expect("performed") > 0 {}
}

async fn run(rig: &Rig, cycle: &str) {
    rig.post("/v1/bill-runs", json!({ "billCycle": cycle })).await.expect(202);
    let mut cursors = BillRunCursors::default();
    while rig.app.advance_bill_runs(&mut cursors).await.expect("an advance") > 0 {}
}

/// The lines of all invoices of an account: first day, first day after, amount.
async fn lines(rig: &Rig, account: &str) -> Vec<String> {
    let invoices = rig.get(&format!("/v1/invoices?account={account}")).await.expect(200);
    let invoices = invoices["items"].as_array().expect("items").clone();
    let lines = invoices.iter().flat_map(|invoice| invoice["lines"].as_array().expect("lines"));
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    lines.map(|line| [&line["period"]["start"], &line["period"]["end"], &line["amount"]["amount"]].map(text).join(" ")).collect()
}

#[tokio::test]
async fn a_monthly_fee_does_not_become_weekly_because_the_account_is_billed_weekly() {
    for rig in Rig::everywhere().await {
        at(&rig, "2027-01-01T08:00:00Z").await;
        rig.create("/v1/bill-cycles", json!({ "externalId": "W", "name": "c", "period": "week", "billingDay": 5 })).await;
        rig.create("/v1/accounts", json!({ "externalId": "A", "name": "A", "currency": "EUR", "billCycle": "W" })).await;
        let fee = json!({ "amount": "310.00", "currency": "EUR" });
        let package = json!({ "externalId": "P", "name": "P", "recurringFee": fee, "recurringPeriod": { "unit": "month" } });
        rig.create("/v1/packages", package).await;
        rig.create("/v1/package-subscriptions", json!({ "externalId": "S", "account": "A", "package": "P" })).await;
        rig.post("/v1/package-subscriptions/S/status", json!({ "status": "active" })).await.expect(200);
        for day in ["2027-01-08", "2027-01-15"] {
            at(&rig, &format!("{day}T08:00:00Z")).await;
            run(&rig, "W").await;
        }
        assert_eq!(lines(&rig, "A").await, ["2027-01-01 2027-01-08 70.00", "2027-01-08 2027-01-15 70.00"]);
        // Without a period of its own, the fee is for a week from today on.
        rig.patch("/v1/packages/P", json!({ "recurringPeriod": null })).await.expect(200);
        at(&rig, "2027-01-22T08:00:00Z").await;
        run(&rig, "W").await;
        assert_eq!(lines(&rig, "A").await[2..], ["2027-01-15 2027-01-22 310.00"]);
        let history = rig.get("/v1/packages/P").await.expect(200)["feeHistory"].clone();
        let month = json!({ "unit": "month", "length": 1 });
        assert_eq!(
            history,
            json!([
                { "from": "2027-01-01", "recurringFee": fee, "recurringPeriod": month },
                { "from": "2027-01-15", "recurringFee": fee },
            ])
        );
    }
}

#[tokio::test]
async fn a_period_of_no_length_or_of_another_unit_is_refused() {
    let rig = Rig::new().await;
    let package = |period: Value| json!({ "name": "P", "recurringFee": { "amount": "1", "currency": "EUR" }, "recurringPeriod": period });
    let found = rig.post("/v1/packages", package(json!({ "unit": "hour", "length": 0 }))).await.violations("schema_violation");
    let expected = [("/recurringPeriod/length", "out_of_range"), ("/recurringPeriod/unit", "not_in_enum")];
    assert_eq!(found.iter().map(|(place, code)| (place.as_str(), code.as_str())).collect::<Vec<_>>(), expected);
}
