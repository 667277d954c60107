//! Accounts that another account pays for: whose invoice has their items, before and after the payer changes.

use serde_json::{Value, json};

use crate::rig::Rig;

/// Payer P on a cycle of the 1st, account C on a cycle of the 15th, each with an active subscription of 31.00 a month from 1 January on.
async fn family(rig: &Rig) {
    rig.at("2027-01-01T08:00:00Z").await;
    let fee = json!({ "amount": "31.00", "currency": "EUR" });
    rig.create("/v1/packages", json!({ "externalId": "K", "name": "Fibre", "recurringFee": fee })).await;
    for (account, day) in [("P", 1), ("C", 15)] {
        let cycle = json!({ "externalId": format!("M{day}"), "name": "c", "period": "month", "billingDay": day });
        rig.create("/v1/bill-cycles", cycle).await;
        member(rig, account, &format!("M{day}")).await;
    }
}

async fn member(rig: &Rig, account: &str, cycle: &str) {
    let body = json!({ "externalId": account, "name": account, "currency": "EUR", "billCycle": cycle });
    rig.create("/v1/accounts", body).await;
    let subscription = json!({ "externalId": format!("S-{account}"), "account": account, "package": "K" });
    rig.create("/v1/package-subscriptions", subscription).await;
    rig.post(&format!("/v1/package-subscriptions/S-{account}/status"), json!({ "status": "active" })).await.expect(200);
}

async fn pay(rig: &Rig, account: &str, payer: &str) -> Value {
    rig.post(&format!("/v1/accounts/{account}/payer"), json!({ "payer": payer })).await.expect(200)
}

async fn charge(rig: &Rig, account: &str, amount: &str, at: &str) -> Value {
    let item = json!({ "account": account, "type": "data", "amount": { "amount": amount, "currency": "EUR" }, "occurredAt": at });
    rig.one_item("/v1/chargeable-events", item).await
}

async fn run(rig: &Rig, cycle: &str, date: &str) {
    rig.at(&format!("{date}T08:00:00Z")).await;
    rig.post("/v1/bill-runs", json!({ "billCycle": cycle })).await.expect(202);
    rig.finish_bill_runs().await;
}

async fn id(rig: &Rig, account: &str) -> Value {
    rig.get(&format!("/v1/accounts/{account}")).await.expect(200)["id"].clone()
}

/// The lines of the invoices of an account that are not cancelled: whose they are, the fee's days, the amount.
async fn lines(rig: &Rig, account: &str) -> Vec<String> {
    let child = id(rig, "C").await;
    let invoices = rig.get(&format!("/v1/invoices?account={account}")).await.expect(200);
    let live = invoices["items"].as_array().expect("items").iter().filter(|invoice| invoice["status"] != "cancelled");
    let whose = |line: &Value| if line["accountId"] == child { "C " } else { "" };
    let days = |line: &Value| match line["period"]["start"].as_str() {
        Some(start) => format!("{}..{} ", &start[5..], &line["period"]["end"].as_str().expect("a date")[5..]),
        None => String::new(),
    };
    live.flat_map(|invoice| invoice["lines"].as_array().expect("lines"))
        .map(|line| format!("{}{}{}", whose(line), days(line), line["amount"]["amount"].as_str().expect("an amount")))
        .collect()
}

#[tokio::test]
async fn the_payers_invoice_has_the_items_of_the_account_by_its_own_cycle() {
    for rig in Rig::everywhere().await {
        family(&rig).await;
        let set = pay(&rig, "C", "P").await;
        assert_eq!(set["entities"][0]["after"]["payerId"], id(&rig, "P").await);
        assert_eq!(set["entities"].as_array().map(Vec::len), Some(1), "nothing was owed yet");
        charge(&rig, "C", "2.50", "2027-01-01T08:00:00Z").await;
        run(&rig, "M15", "2027-01-15").await;
        assert_eq!(lines(&rig, "C").await, [""; 0], "the account's own cycle does not bill it");
        let preview = rig.get("/v1/accounts/P/invoice-preview").await.expect(200);
        run(&rig, "M1", "2027-02-01").await;
        let expected = ["01-01..02-01 31.00", "C 2.50", "C 01-01..01-15 14.00"];
        assert_eq!(lines(&rig, "P").await, expected, "its periods are its own: the 15th to the 15th");
        let invoice = rig.get("/v1/invoices?account=P").await.expect(200)["items"][0].clone();
        assert_eq!((&invoice["total"]["amount"], &invoice["paidForAccountIds"]), (&json!("47.50"), &json!([id(&rig, "C").await])));
        assert_eq!(preview["lines"], invoice["lines"]);
        assert_eq!(rig.get("/v1/accounts/C").await.expect(200)["billCycle"]["period"]["start"], "2027-01-15");
        assert_eq!(lines(&rig, "C").await, [""; 0]);
        let charges = rig.get("/v1/chargeable-events?account=C").await.expect(200);
        assert_eq!(charges["items"][0]["invoiceId"], invoice["id"]);
    }
}

#[tokio::test]
async fn each_account_of_a_bill_has_its_business_transaction_in_its_own_order() {
    let rig = Rig::new().await;
    family(&rig).await;
    pay(&rig, "C", "P").await;
    run(&rig, "M1", "2027-02-01").await;
    let events = rig.store.unpublished(1_000_000).await.expect("events");
    for account in ["P", "C"] {
        let own = id(&rig, account).await;
        let of_run = |body: &Value| body["operation"] == "startBillRun" && body["data"]["object"]["type"] == "packageSubscription";
        let bodies = events.iter().map(|event| serde_json::from_str::<Value>(&event.body).expect("JSON"));
        let keys: Vec<Value> = bodies
            .filter(|body| of_run(body) && body["data"]["after"]["accountId"] == own)
            .map(|body| body["partitionkey"].clone())
            .collect();
        assert_eq!(keys, [own], "of {account}");
    }
    let told = rig.get("/v1/events?type=account.billed_to_payer").await.expect(200)["items"][0].clone();
    let invoice = rig.get("/v1/invoices?account=P").await.expect(200)["items"][0].clone();
    assert_eq!(told["partitionkey"], id(&rig, "C").await);
    assert_eq!(told["data"]["parameters"]["payerInvoice.id"], invoice["id"]);
}

#[tokio::test]
async fn a_change_of_payer_invoices_what_was_owed_until_then_to_who_owed_it() {
    for rig in Rig::everywhere().await {
        family(&rig).await;
        member(&rig, "Q", "M1").await;
        charge(&rig, "C", "1.00", "2027-01-01T08:00:00Z").await;
        rig.at("2027-01-06T08:00:00Z").await;
        let set = pay(&rig, "C", "P").await;
        let kinds: Vec<&str> = set["events"].as_array().into_iter().flatten().filter_map(|event| event["type"].as_str()).collect();
        assert_eq!(kinds, ["account.updated", "invoice.created", "invoice.posted", "package_subscription.updated"]);
        assert_eq!(set["entities"][1]["after"]["kind"], "payerChange");
        rig.at("2027-01-09T08:00:00Z").await;
        charge(&rig, "C", "2.00", "2027-01-08T08:00:00Z").await;
        pay(&rig, "C", "Q").await;
        rig.at("2027-01-11T08:00:00Z").await;
        charge(&rig, "C", "4.00", "2027-01-10T08:00:00Z").await;
        rig.post("/v1/accounts/C/payer/remove", json!({})).await.expect(200);
        let (january, rest) = (["1.00", "01-01..01-06 5.00"], "01-11..01-15 4.00");
        assert_eq!(lines(&rig, "C").await, january);
        assert_eq!(lines(&rig, "P").await, ["C 2.00", "C 01-06..01-09 3.00"]);
        assert_eq!(lines(&rig, "Q").await, ["C 4.00", "C 01-09..01-11 2.00"]);
        run(&rig, "M15", "2027-03-01").await;
        assert_eq!(lines(&rig, "C").await, [january[0], january[1], rest, "01-15..02-15 31.00"], "late, and the same");
        let unchanged = rig.post("/v1/accounts/C/payer/remove", json!({})).await.expect(200);
        assert_eq!((&unchanged["entities"][0]["action"], &unchanged["events"]), (&json!("unchanged"), &json!([])));
    }
}

#[tokio::test]
async fn a_cancelled_invoice_gives_back_the_items_of_both_unless_a_payer_has_changed() {
    for rig in Rig::everywhere().await {
        family(&rig).await;
        pay(&rig, "C", "P").await;
        charge(&rig, "C", "2.50", "2027-01-01T08:00:00Z").await;
        run(&rig, "M1", "2027-02-01").await;
        let first = lines(&rig, "P").await;
        let latest = async || rig.get("/v1/invoices?account=P&sort=createdAt&order=descending").await.expect(200)["items"][0].clone();
        let cancel = async || {
            let invoice = latest().await["id"].as_str().expect("an id").to_owned();
            rig.post(&format!("/v1/invoices/{invoice}/cancel"), json!({})).await
        };
        cancel().await.expect(200);
        assert_eq!(lines(&rig, "P").await, [""; 0]);
        let subscription = rig.get("/v1/package-subscriptions/S-C").await.expect(200);
        assert_eq!(subscription["feeBilledUntil"], "2027-01-01");
        assert_eq!(rig.get("/v1/chargeable-events?account=C").await.expect(200)["items"][0]["state"], "unbilled");
        run(&rig, "M1", "2027-02-02").await;
        assert_eq!(lines(&rig, "P").await, first, "again the same");
        rig.post("/v1/accounts/C/payer/remove", json!({})).await.expect(200);
        let invoice = rig.get("/v1/invoices?account=P&status=open&order=ascending").await.expect(200)["items"][0]["id"].clone();
        let path = format!("/v1/invoices/{}/cancel", invoice.as_str().expect("an id"));
        let closing = latest().await["id"].clone();
        assert_ne!(closing, invoice, "the days from the 15th on were billed");
        cancel().await.refused(409, "payer_changed_since");
        rig.post(&path, json!({})).await.refused(409, "later_invoice_exists");
    }
}

#[tokio::test]
async fn late_usage_of_an_ended_account_is_billed_with_its_payer_until_the_payers_final_invoice() {
    for rig in Rig::everywhere().await {
        family(&rig).await;
        pay(&rig, "C", "P").await;
        rig.at("2027-01-11T08:00:00Z").await;
        rig.post("/v1/accounts/P/cancel", json!({})).await.refused(409, "account_pays_for_others");
        let plan = json!({ "status": "deactivated", "validFrom": "2027-03-01T00:00:00Z" });
        rig.post("/v1/accounts/P/status", plan).await.refused(409, "account_pays_for_others");
        rig.post("/v1/accounts/C/cancel", json!({})).await.expect(200);
        rig.post("/v1/accounts/C/invoices", json!({})).await.refused(409, "account_has_payer");
        run(&rig, "M1", "2027-02-01").await;
        assert_eq!(lines(&rig, "P").await, ["01-01..02-01 31.00", "C 01-01..01-11 10.00"]);
        assert_eq!(charge(&rig, "C", "5.00", "2027-01-10T08:00:00Z").await["status"], "recorded");
        rig.at("2027-02-03T08:00:00Z").await;
        rig.post("/v1/accounts/P/cancel", json!({})).await.expect(200);
        rig.post("/v1/accounts/P/invoices", json!({})).await.expect(201);
        assert_eq!(lines(&rig, "P").await[2..], ["02-01..02-03 2.21", "C 5.00"]);
        let late = charge(&rig, "C", "5.00", "2027-01-10T08:00:00Z").await;
        assert_eq!(late["problem"]["code"], "final_invoice_exists");
        rig.post("/v1/accounts/C/payer/remove", json!({})).await.refused(409, "final_invoice_exists");
    }
}

#[tokio::test]
async fn each_rule_of_a_payer_is_refused_with_its_code() {
    let rig = Rig::new().await;
    family(&rig).await;
    member(&rig, "Q", "M1").await;
    rig.create("/v1/accounts", json!({ "externalId": "U", "name": "U", "currency": "USD", "billCycle": "M1" })).await;
    let refused = async |account: &str, payer: &str, status: u16, code: &str| {
        rig.post(&format!("/v1/accounts/{account}/payer"), json!({ "payer": payer })).await.refused(status, code)
    };
    refused("nobody", "P", 404, "account_not_found").await;
    assert_eq!(refused("C", "nobody", 422, "account_unknown").await["errors"][0]["pointer"], "/payer");
    refused("C", "C", 422, "payer_is_itself").await;
    refused("C", "U", 422, "currency_mismatch").await;
    pay(&rig, "C", "P").await;
    refused("Q", "C", 409, "account_has_payer").await;
    refused("P", "Q", 409, "account_pays_for_others").await;
    rig.get("/v1/accounts/C/invoice-preview").await.refused(409, "account_has_payer");
    rig.post("/v1/accounts/Q/cancel", json!({})).await.expect(200);
    refused("Q", "P", 409, "account_deactivated").await;
    let paid = rig.get("/v1/accounts?payer=P").await.expect(200);
    assert_eq!(
        paid["items"].as_array().map(|items| items.iter().map(|one| one["externalId"].clone()).collect::<Vec<_>>()),
        Some(vec![json!("C")])
    );
}

#[tokio::test]
async fn an_account_pays_for_a_hundred_others_at_most() {
    let rig = Rig::new().await;
    let cycle = rig.cycle(1).await;
    let payer = rig.account(&cycle).await;
    for _ in 0..100 {
        pay(&rig, &rig.account(&cycle).await, &payer).await;
    }
    let one_more = rig.account(&cycle).await;
    let path = format!("/v1/accounts/{one_more}/payer");
    rig.post(&path, json!({ "payer": payer })).await.refused(409, "too_many_paid_accounts");
}

#[tokio::test]
async fn payers_set_at_once_stay_one_level() {
    for rig in Rig::everywhere().await {
        let cycle = rig.cycle(1).await;
        for _ in 0..10 {
            let (a, b, c) = (rig.account(&cycle).await, rig.account(&cycle).await, rig.account(&cycle).await);
            let set = async |account: &str, payer: &str| {
                rig.post(&format!("/v1/accounts/{account}/payer"), json!({ "payer": payer })).await.status
            };
            let (first, second) = tokio::join!(set(&a, &b), set(&b, &c));
            assert!(matches!((first, second), (200, 409) | (409, 200)), "{first} {second}");
        }
    }
}

#[tokio::test]
async fn accounts_that_get_a_payer_during_a_bill_run_are_billed_once() {
    for rig in Rig::everywhere().await {
        rig.at("2027-01-01T08:00:00Z").await;
        let cycle = rig.cycle(1).await;
        let mut pairs = Vec::new();
        for _ in 0..20 {
            let (payer, child) = (rig.account(&cycle).await, rig.account(&cycle).await);
            for account in [&payer, &child] {
                charge(&rig, account, "1.00", "2027-01-01T08:00:00Z").await;
            }
            pairs.push((payer, child));
        }
        rig.at("2027-02-01T08:00:00Z").await;
        rig.post("/v1/bill-runs", json!({ "billCycle": cycle })).await.expect(202);
        let set = async {
            for (payer, child) in &pairs {
                pay(&rig, child, payer).await;
            }
        };
        tokio::join!(rig.finish_bill_runs(), set);
        for (payer, child) in &pairs {
            for account in [payer, child] {
                let charges = rig.get(&format!("/v1/chargeable-events?account={account}")).await.expect(200);
                assert_eq!(charges["items"][0]["state"], "billed");
            }
            let mut total = 0.0;
            for account in [payer, child] {
                for invoice in rig.get(&format!("/v1/invoices?account={account}")).await.expect(200)["items"].as_array().expect("items") {
                    total += invoice["total"]["amount"].as_str().and_then(|amount| amount.parse::<f64>().ok()).expect("an amount");
                }
            }
            assert!((total - 2.0).abs() < f64::EPSILON, "{total} billed of 2.00");
        }
    }
}

/// Records a charge of account C.
async fn named_charge(rig: &Rig, name: &str, amount: &str) {
    let amount = json!({ "amount": amount, "currency": "EUR" });
    let item = json!({ "externalId": name, "account": "C", "type": "data", "amount": amount, "occurredAt": "2027-01-01T08:00:00Z" });
    assert_eq!(rig.post("/v1/chargeable-events", json!({ "items": [item] })).await.expect(200)["items"][0]["status"], "recorded");
}

/// The lines of the invoices of an account, by kind and amount.
async fn told(rig: &Rig, account: &str) -> Vec<String> {
    let invoices = rig.get(&format!("/v1/invoices?account={account}")).await.expect(200);
    let lines = invoices["items"].as_array().expect("items").iter().flat_map(|invoice| invoice["lines"].as_array().expect("lines"));
    lines
        .map(|line| format!("{} {}", line["kind"].as_str().expect("a kind"), line["amount"]["amount"].as_str().expect("an amount")))
        .collect()
}

#[tokio::test]
async fn what_a_payers_invoice_billed_is_corrected_by_a_credit_once_the_payer_has_changed() {
    for rig in Rig::everywhere().await {
        family(&rig).await;
        pay(&rig, "C", "P").await;
        named_charge(&rig, "X", "10.00").await;
        run(&rig, "M1", "2027-02-01").await;
        let adjust = "/v1/chargeable-events/X/adjustments";
        let credit = |amount: &str| json!({ "chargeType": "CREDIT", "amount": { "amount": amount, "currency": "EUR" }, "reason": "wrong" });
        // The payer owes the correction as long as it pays.
        rig.post(adjust, credit("9.00")).await.expect(200);
        rig.post("/v1/accounts/C/payer/remove", json!({})).await.expect(200);
        let invoiced = told(&rig, "P").await;
        assert_eq!(invoiced.iter().filter(|line| line.starts_with("adjustment")).count(), 1, "{invoiced:?}");
        rig.post(adjust, credit("1.00")).await.refused(409, "payer_changed_since");
        rig.post("/v1/chargeable-events/X/reverse", json!({ "reason": "wrong" })).await.refused(409, "payer_changed_since");
        run(&rig, "M15", "2027-02-15").await;
        assert!(told(&rig, "C").await.iter().all(|line| !line.starts_with("adjustment")));
    }
}

#[tokio::test]
async fn what_is_left_of_a_credit_adjustment_becomes_a_credit_of_who_had_owed_the_charge() {
    for rig in Rig::everywhere().await {
        family(&rig).await;
        named_charge(&rig, "X", "40.00").await;
        run(&rig, "M15", "2027-01-15").await;
        let adjust = "/v1/chargeable-events/X/adjustments";
        let credit = json!({ "chargeType": "CREDIT", "amount": { "amount": "40.00", "currency": "EUR" }, "reason": "wrong" });
        rig.post(adjust, credit).await.expect(200);
        pay(&rig, "C", "P").await;
        let adjustments = rig.get("/v1/adjustments?account=C").await.expect(200);
        assert_eq!(adjustments["items"][0]["state"], "credited");
        let credits = rig.get("/v1/credits?account=C").await.expect(200);
        assert_eq!(credits["items"][0]["remaining"]["amount"], "40.00");
        run(&rig, "M1", "2027-02-01").await;
        assert!(told(&rig, "P").await.iter().all(|line| !line.starts_with("adjustment")), "the payer gets none of it");
    }
}

#[tokio::test]
async fn a_payer_has_to_be_active_and_to_stay_and_an_account_keeps_the_one_that_has_its_final_bill() {
    let rig = Rig::new().await;
    family(&rig).await;
    let body = json!({ "externalId": "I", "name": "I", "currency": "EUR", "billCycle": "M1", "status": "inactive" });
    rig.create("/v1/accounts", body).await;
    member(&rig, "E", "M1").await;
    rig.post("/v1/accounts/E/cancel", json!({ "validFrom": "2027-03-01T00:00:00Z" })).await.expect(200);
    let payer = |payer: &str| json!({ "payer": payer });
    rig.post("/v1/accounts/C/payer", payer("I")).await.refused(409, "payer_not_active");
    rig.post("/v1/accounts/C/payer", payer("E")).await.refused(409, "payer_ends");
    pay(&rig, "C", "P").await;
    rig.at("2027-01-05T08:00:00Z").await;
    for account in ["C", "P"] {
        rig.post(&format!("/v1/accounts/{account}/cancel"), json!({})).await.expect(200);
    }
    rig.post("/v1/accounts/P/invoices", json!({})).await.expect(201);
    rig.post("/v1/accounts/C/payer/remove", json!({})).await.refused(409, "final_invoice_exists");
    let credit = json!({ "account": "P", "amount": { "amount": "1.00", "currency": "EUR" }, "reason": "goodwill" });
    rig.post("/v1/credits", credit).await.refused(409, "final_invoice_exists");
}
