//! Periods besides the account's bill cycle: what a package's fee is for, and what a bucket counts in.

use serde_json::{Value, json};

use crate::{rig::Rig, usage::service};

async fn run(rig: &Rig, cycle: &str) {
    rig.post("/v1/bill-runs", json!({ "billCycle": cycle })).await.expect(202);
    rig.finish_bill_runs().await;
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
        rig.at("2027-01-01T08:00:00Z").await;
        rig.create("/v1/bill-cycles", json!({ "externalId": "W", "name": "c", "period": "week", "billingDay": 5 })).await;
        rig.create("/v1/accounts", json!({ "externalId": "A", "name": "A", "currency": "EUR", "billCycle": "W" })).await;
        let fee = json!({ "amount": "310.00", "currency": "EUR" });
        let package = json!({ "externalId": "P", "name": "P", "recurringFee": fee, "recurringPeriod": { "unit": "month" } });
        rig.create("/v1/packages", package).await;
        rig.create("/v1/package-subscriptions", json!({ "externalId": "S", "account": "A", "package": "P" })).await;
        rig.post("/v1/package-subscriptions/S/status", json!({ "status": "active" })).await.expect(200);
        for day in ["2027-01-08", "2027-01-15"] {
            rig.at(&format!("{day}T08:00:00Z")).await;
            run(&rig, "W").await;
        }
        assert_eq!(lines(&rig, "A").await, ["2027-01-01 2027-01-08 70.00", "2027-01-08 2027-01-15 70.00"]);
        // Without a period of its own, the fee is for a week from today on.
        rig.patch("/v1/packages/P", json!({ "recurringPeriod": null })).await.expect(200);
        rig.at("2027-01-22T08:00:00Z").await;
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

/// Records usage of service S.
async fn used(rig: &Rig, id: &str, quantity: &str, at: &str) {
    let amount = json!({ "amount": "1", "currency": "EUR" });
    let item =
        json!({ "externalId": id, "service": "S", "type": "data", "amount": amount, "quantity": quantity, "unit": "MB", "occurredAt": at });
    let answer = rig.post("/v1/chargeable-events", json!({ "items": [item] })).await.expect(200);
    assert_eq!(answer["items"][0].get("problem"), None, "{answer}");
}

/// What is used of bucket B, and the first day of the period it is of.
async fn usage(rig: &Rig) -> (String, String) {
    let bucket = rig.get("/v1/buckets/B").await.expect(200);
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    (text(&bucket["used"]), text(&bucket["period"]["start"]))
}

fn is(used: &str, since: &str) -> (String, String) {
    (used.to_owned(), since.to_owned())
}

async fn exceeded(rig: &Rig) -> usize {
    rig.get("/v1/events?type=usage_threshold.exceeded").await.expect(200)["items"].as_array().expect("items").len()
}

/// Bucket B of service S, with a tier of 10 MB, that resets; the account is billed on the 1st, the date is 10 January.
async fn bucket(rig: &Rig) {
    service(rig).await;
    let bucket =
        json!({ "externalId": "B", "service": "S", "name": "Data", "unit": "MB", "tiers": [{ "upTo": "10" }], "resets": "billingPeriod" });
    rig.create("/v1/buckets", bucket).await;
}

#[tokio::test]
async fn a_bucket_that_resets_begins_at_zero_with_each_billing_period_and_tells_of_its_tiers_anew() {
    for rig in Rig::everywhere().await {
        bucket(&rig).await;
        let first = usage(&rig).await;
        assert_eq!(first.0, "0");
        used(&rig, "jan", "12", "2027-01-10T00:00:00Z").await;
        assert_eq!(exceeded(&rig).await, 1);
        rig.at("2027-01-31T23:59:59Z").await;
        assert_eq!(usage(&rig).await.0, "12");
        rig.at("2027-02-02T00:00:00Z").await;
        assert_eq!(usage(&rig).await, is("0", "2027-02-01"), "the clock has reset it");
        let reset = rig.get("/v1/business-transactions?operation=endBucketPeriod").await.expect(200)["items"][0].clone();
        assert_eq!((&reset["occurredAt"], &reset["actor"]), (&json!("2027-02-01T00:00:00Z"), &json!("clock")));
        used(&rig, "late", "5", "2027-01-31T23:59:59Z").await;
        assert_eq!(usage(&rig).await, is("0", "2027-02-01"), "usage of an earlier period");
        used(&rig, "feb", "11", "2027-02-01T00:00:00Z").await;
        assert_eq!((usage(&rig).await, exceeded(&rig).await), (is("11", "2027-02-01"), 2));
    }
}

#[tokio::test]
async fn a_reversal_counts_back_only_into_the_period_it_came_from() {
    for rig in Rig::everywhere().await {
        bucket(&rig).await;
        used(&rig, "jan", "4", "2027-01-10T00:00:00Z").await;
        rig.at("2027-02-02T00:00:00Z").await;
        used(&rig, "feb", "9", "2027-02-01T00:00:00Z").await;
        rig.post("/v1/chargeable-events/jan/reverse", json!({ "reason": "wrong" })).await.expect(200);
        assert_eq!(usage(&rig).await, is("9", "2027-02-01"));
        let replacement = json!({ "amount": { "amount": "1", "currency": "EUR" }, "quantity": "3" });
        rig.post("/v1/chargeable-events/feb/reverse", json!({ "reason": "wrong", "replacement": replacement })).await.expect(200);
        assert_eq!(usage(&rig).await, is("3", "2027-02-01"));
    }
}

#[tokio::test]
async fn a_bucket_follows_the_account_s_change_of_cycle() {
    let rig = Rig::new().await;
    bucket(&rig).await;
    used(&rig, "old", "4", "2027-01-10T00:00:00Z").await;
    rig.at("2027-01-20T00:00:00Z").await;
    let cycle = rig.create("/v1/bill-cycles", json!({ "name": "w", "period": "week", "billingDay": 1 })).await;
    rig.post("/v1/accounts/A/bill-cycle", json!({ "billCycle": cycle })).await.expect(200);
    used(&rig, "new", "3", "2027-01-20T00:00:00Z").await;
    assert_eq!(usage(&rig).await, is("3", "2027-01-20"));
    rig.at("2027-01-25T00:00:00Z").await;
    assert_eq!(usage(&rig).await, is("0", "2027-01-25"));
}
