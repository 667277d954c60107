//! Bill runs and invoices over HTTP: each item is billed once, whatever interrupts a run.

use std::collections::BTreeSet;

use billwire_app::BillRunCursors;
use serde_json::{Value, json};

use crate::rig::Rig;

fn charge(account: &str, id: &str, amount: &str, at: &str) -> Value {
    json!({ "externalId": id, "account": account, "type": "voice", "occurredAt": at, "amount": { "amount": amount, "currency": "EUR" } })
}

async fn record(rig: &Rig, items: Vec<Value>) {
    let answer = rig.post("/v1/chargeable-events", json!({ "items": items })).await.expect(200);
    assert!(answer["items"].as_array().expect("results").iter().all(|item| item["status"] == "recorded"), "{answer}");
}

async fn at(rig: &Rig, moment: &str) {
    rig.post("/v1/test-clock", json!({ "now": moment })).await;
}

async fn account(rig: &Rig, name: &str) {
    rig.post("/v1/accounts", json!({ "externalId": name, "name": name, "currency": "EUR", "billCycle": "MONTHLY" })).await.expect(201);
}

/// Creates a monthly cycle on the first with accounts; the date is 10 January.
async fn world(rig: &Rig, accounts: &[&str]) {
    at(rig, "2027-01-10T00:00:00Z").await;
    rig.post("/v1/bill-cycles", json!({ "externalId": "MONTHLY", "name": "c", "period": "month", "billingDay": 1 })).await.expect(201);
    for name in accounts {
        account(rig, name).await;
    }
}

async fn run(rig: &Rig) -> Value {
    let started = rig.post("/v1/bill-runs", json!({ "billCycle": "MONTHLY" })).await;
    let location = started.header("location").to_owned();
    started.expect(202);
    rig.finish_bill_runs().await;
    rig.get(&location).await.expect(200)
}

async fn invoices(rig: &Rig, account: &str) -> Vec<Value> {
    let listed = rig.get(&format!("/v1/invoices?limit=200&account={account}")).await.expect(200);
    listed["items"].as_array().expect("items").clone()
}

async fn events(rig: &Rig) -> Vec<(String, Value)> {
    let all = rig.store.unpublished(1_000_000).await.expect("events");
    all.into_iter().map(|event| (event.kind, serde_json::from_str(&event.body).expect("JSON"))).collect()
}

#[tokio::test]
async fn a_run_bills_charges_fees_and_adjustments_once() {
    for rig in Rig::everywhere().await {
        world(&rig, &["A", "B"]).await;
        rig.post("/v1/packages", json!({ "externalId": "P", "name": "Fleet", "recurringFee": { "amount": "31.00", "currency": "EUR" } }))
            .await
            .expect(201);
        rig.post("/v1/package-subscriptions", json!({ "externalId": "S", "account": "A", "package": "P", "startDate": "2027-01-10" }))
            .await
            .expect(201);
        rig.post("/v1/package-subscriptions/S/status", json!({ "status": "active" })).await.expect(200);
        record(&rig, vec![charge("A", "c1", "1.005", "2027-01-09T12:00:00Z"), charge("A", "c2", "2.01", "2027-01-09T12:00:00Z")]).await;
        at(&rig, "2027-02-01T08:00:00Z").await;
        record(&rig, vec![charge("A", "late", "7", "2027-02-01T00:00:00Z")]).await;
        let preview = rig.get("/v1/accounts/A/invoice-preview").await.expect(200);
        let done = run(&rig).await;
        assert_eq!(
            (&done["status"], &done["accounts"], &done["invoices"], &done["failed"]),
            (&json!("completed"), &json!(2), &json!(1), &json!(0))
        );
        assert_eq!(done["totals"], json!([{ "amount": "25.02", "currency": "EUR" }]));
        let made = invoices(&rig, "A").await;
        assert_eq!(made.len(), 1);
        let amounts: Vec<_> = made[0]["lines"].as_array().unwrap().iter().map(|line| line["amount"]["amount"].clone()).collect();
        assert_eq!(amounts, ["3.02", "22.00"], "3.015 rounds to even; 22 of 31 days");
        assert_eq!(preview["lines"], made[0]["lines"], "the preview said so");
        assert_eq!(invoices(&rig, "B").await, [] as [Value; 0], "nothing to bill, no invoice");
        for name in ["A", "B"] {
            let account = rig.get(&format!("/v1/accounts/{name}")).await.expect(200);
            assert_eq!(account["billCycle"]["period"]["start"], "2027-02-01", "the period moves on all the same");
        }
        let charge = rig.get("/v1/chargeable-events/c1").await.expect(200);
        assert_eq!((&charge["state"], &charge["invoiceId"], &charge["version"]), (&json!("billed"), &made[0]["id"], &json!(2)));
        assert_eq!(rig.get("/v1/chargeable-events/late").await.expect(200)["state"], "unbilled");
        rig.post(
            "/v1/chargeable-events/c2/adjustments",
            json!({ "chargeType": "CREDIT", "amount": { "amount": "2", "currency": "EUR" }, "reason": "r" }),
        )
        .await
        .expect(200);
        at(&rig, "2027-03-02T00:00:00Z").await;
        run(&rig).await;
        let made = invoices(&rig, "A").await;
        let kinds: Vec<_> = made[1]["lines"].as_array().unwrap().iter().map(|line| line["kind"].clone()).collect();
        assert_eq!(kinds, ["charges", "fee", "adjustment"]);
        assert_eq!(made[1]["total"]["amount"], "36.00", "7 + 31 - 2");
        assert_eq!(rig.get("/v1/adjustments?account=A").await.expect(200)["items"][0]["state"], "billed");
        assert_eq!(run(&rig).await["invoices"], 0, "a second run of the same day finds nothing left");
    }
}

#[tokio::test]
async fn a_run_that_is_stopped_half_way_goes_on_and_bills_nothing_twice() {
    for rig in Rig::everywhere().await {
        let names: Vec<String> = (0..600).map(|n| format!("a{n}")).collect();
        world(&rig, &names.iter().map(String::as_str).collect::<Vec<_>>()).await;
        for part in names.chunks(200) {
            let items = part.iter().map(|name| charge(name, &format!("c-{name}"), "1.50", "2027-01-09T12:00:00Z")).collect();
            record(&rig, items).await;
        }
        let started = rig.post("/v1/bill-runs", json!({ "externalId": "R", "billCycle": "MONTHLY" })).await;
        started.expect(202);
        rig.post("/v1/bill-runs", json!({ "billCycle": "MONTHLY" })).await.refused(409, "bill_run_in_progress");
        // Two concurrent workers, each killed in the middle of a page.
        for _ in 0..3 {
            let (mut one, mut other) = (BillRunCursors::default(), BillRunCursors::default());
            let both = futures::future::join(rig.app.advance_bill_runs(&mut one), rig.app.advance_bill_runs(&mut other));
            let _ = tokio::time::timeout(std::time::Duration::from_millis(60), both).await;
        }
        // What a dropped worker had submitted may be committed between the two counts.
        let (mut half, mut looks) = (json!(null), 0);
        while half["accounts"].as_i64().unwrap_or(0) + half["accountsLeft"].as_i64().unwrap_or(0) != 600 {
            looks += 1;
            assert!(looks < 100, "progress is visible: {half}");
            half = rig.get("/v1/bill-runs/R").await.expect(200);
        }
        rig.finish_bill_runs().await;
        let done = rig.get("/v1/bill-runs/R").await.expect(200);
        assert_eq!((&done["status"], &done["invoices"]), (&json!("completed"), &json!(600)));
        assert_eq!(done["totals"][0]["amount"], "900.00");
        let posted: Vec<_> = events(&rig).await.into_iter().filter(|(kind, _)| kind == "invoice.posted").collect();
        let accounts: BTreeSet<_> = posted.iter().map(|(_, event)| event["partitionkey"].as_str().unwrap().to_owned()).collect();
        assert_eq!((posted.len(), accounts.len()), (600, 600), "each account once");
        let completed = events(&rig).await.into_iter().filter(|(kind, _)| kind == "bill_run.completed").count();
        assert_eq!(completed, 1);
        rig.post("/v1/bill-runs", json!({ "billCycle": "MONTHLY" })).await.expect(202);
    }
}

#[tokio::test]
async fn an_account_that_fails_is_told_and_stops_nothing() {
    for rig in Rig::everywhere().await {
        world(&rig, &["A", "B", "C", "D"]).await;
        let huge = |id: &str| charge("A", id, "9000000000000", "2027-01-09T12:00:00Z");
        record(&rig, vec![huge("c1"), huge("c2"), charge("B", "c3", "5", "2027-01-09T12:00:00Z")]).await;
        record(&rig, vec![charge("C", "c4", "5", "2027-01-09T12:00:00Z"), charge("D", "c5", "5", "2027-01-09T12:00:00Z")]).await;
        rig.post("/v1/accounts/C/status", json!({ "status": "suspended" })).await.expect(200);
        rig.post("/v1/accounts/D/cancel", json!({})).await.expect(200);
        let done = run(&rig).await;
        assert_eq!((&done["accounts"], &done["invoices"], &done["failed"]), (&json!(3), &json!(2), &json!(1)), "D is not billed");
        assert_eq!(rig.get("/v1/chargeable-events/c1").await.expect(200)["state"], "unbilled");
        let told: Vec<_> = events(&rig).await.into_iter().filter(|(kind, _)| kind == "account.billing_failed").collect();
        assert_eq!(told.len(), 1);
        assert_eq!(told[0].1["data"]["parameters"]["billingError.code"], "invoice_total_out_of_range");
        let message = &told[0].1["data"]["parameters"]["billingError.message"];
        assert!(
            message.as_str().is_some_and(|text| text.contains("2 charges: voice") && text.contains("'c1' (9000000000000.00), 'c2'")),
            "{message}"
        );
        rig.get("/v1/accounts/A/invoice-preview").await.refused(409, "invoice_total_out_of_range");
        let less = json!({ "chargeType": "CREDIT", "amount": { "amount": "8999999999999", "currency": "EUR" }, "reason": "mistyped" });
        rig.post("/v1/chargeable-events/c1/adjustments", less).await.expect(200);
        rig.post(
            "/v1/chargeable-events/c2/adjustments",
            json!({ "chargeType": "CREDIT", "amount": { "amount": "1", "currency": "EUR" }, "reason": "r" }),
        )
        .await
        .expect(200);
        let done = run(&rig).await;
        assert_eq!((&done["invoices"], &done["failed"]), (&json!(1), &json!(0)), "mended, the next run bills it");
        let bill = rig.get("/v1/invoices?account=A").await.expect(200);
        assert_eq!(bill["items"][0]["total"]["amount"], "9000000000000.00");
    }
}

#[tokio::test]
async fn the_final_bill_is_for_deactivated_accounts_alone() {
    for rig in Rig::everywhere().await {
        world(&rig, &["A"]).await;
        record(&rig, vec![charge("A", "c1", "5", "2027-01-09T12:00:00Z")]).await;
        rig.post("/v1/accounts/A/invoices", json!({})).await.refused(409, "account_not_deactivated");
        rig.post("/v1/accounts/A/cancel", json!({})).await.expect(200);
        rig.get("/v1/accounts/A/invoice-preview").await.refused(409, "account_deactivated");
        let made = rig.post("/v1/accounts/A/invoices", json!({})).await.expect(201);
        let kinds: Vec<_> = made["events"].as_array().unwrap().iter().map(|event| event["type"].clone()).collect();
        assert_eq!(kinds, ["invoice.created", "invoice.posted"]);
        assert_eq!(made["entities"][0]["after"]["kind"], "onDemand");
        rig.post("/v1/accounts/A/invoices", json!({})).await.refused(409, "nothing_to_bill");
        rig.post("/v1/accounts/none/invoices", json!({})).await.refused(404, "account_not_found");
        rig.get("/v1/invoices/none").await.refused(404, "invoice_not_found");
    }
}

#[tokio::test]
async fn each_refusal_of_a_start_has_its_code() {
    for rig in Rig::everywhere().await {
        world(&rig, &[]).await;
        let start = async |body| rig.post("/v1/bill-runs", body).await;
        start(json!({ "billCycle": "none" })).await.refused(422, "bill_cycle_unknown");
        start(json!({ "billCycle": "MONTHLY", "billingDate": "2027-01-11" })).await.refused(422, "billing_date_in_future");
        start(json!({ "billCycle": "MONTHLY", "externalId": "R" })).await.expect(202);
        rig.finish_bill_runs().await;
        start(json!({ "billCycle": "MONTHLY", "externalId": "R" })).await.refused(409, "external_id_taken");
        rig.get("/v1/bill-runs/none").await.refused(404, "bill_run_not_found");
        rig.delete("/v1/bill-cycles/MONTHLY").await.refused(409, "still_in_use");
        let nothing = rig.get("/v1/accounts/none/invoice-preview").await;
        nothing.refused(404, "account_not_found");
        account(&rig, "A").await;
        rig.get("/v1/accounts/A/invoice-preview").await.refused(409, "nothing_to_bill");
    }
}

#[tokio::test]
async fn a_preview_counts_what_is_planned_as_having_come_true() {
    for rig in Rig::everywhere().await {
        world(&rig, &["A"]).await;
        let fee = json!({ "amount": "31.00", "currency": "EUR" });
        rig.create("/v1/packages", json!({ "externalId": "P", "name": "Fleet", "recurringFee": fee })).await;
        for name in ["S", "T"] {
            let body = json!({ "externalId": name, "account": "A", "package": "P", "status": "active" });
            rig.create("/v1/package-subscriptions", body).await;
        }
        let amounts = async |rig: &Rig| {
            let preview = rig.get("/v1/accounts/A/invoice-preview").await.expect(200);
            let lines = preview["lines"].as_array().expect("lines").clone();
            lines.iter().map(|line| line["amount"]["amount"].as_str().expect("an amount").to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(amounts(&rig).await, ["22.00", "22.00"]);
        let plan = |moment: &str| json!({ "validFrom": moment });
        rig.post("/v1/package-subscriptions/S/cancel", plan("2027-01-25T00:00:00Z")).await.expect(200);
        assert_eq!(amounts(&rig).await, ["15.00", "22.00"]);
        rig.post("/v1/accounts/A/cancel", plan("2027-01-20T00:00:00Z")).await.expect(200);
        assert_eq!(amounts(&rig).await, ["10.00", "10.00"]);
        rig.post("/v1/accounts/A/cancel", plan("2027-03-11T00:00:00Z")).await.expect(200);
        assert_eq!(amounts(&rig).await, ["15.00", "22.00"], "what comes true after the period does not count");
    }
}
