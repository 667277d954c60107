//! Invoices after posting, payments, refunds and credits over HTTP.

use serde_json::{Value, json};

use crate::rig::Rig;

/// Creates a cancelled account with an on-demand invoice of 10 EUR; returns the invoice.
async fn invoiced(rig: &Rig, account: &str) -> Value {
    charged(rig, account).await;
    rig.post(&format!("/v1/accounts/{account}/cancel"), json!({})).await.expect(200);
    let made = rig.post(&format!("/v1/accounts/{account}/invoices"), json!({})).await.expect(201);
    made["entities"][0]["after"].clone()
}

/// An account with a charge of 10.00. Gives its bill cycle.
async fn charged(rig: &Rig, account: &str) -> String {
    rig.post("/v1/test-clock", json!({ "now": "2027-01-10T00:00:00Z" })).await;
    let cycle = rig.cycle(1).await;
    rig.create("/v1/accounts", json!({ "externalId": account, "name": "A", "currency": "EUR", "billCycle": cycle })).await;
    let item = json!({ "account": account, "type": "data", "amount": { "amount": "10", "currency": "EUR" }, "occurredAt": "2027-01-09T12:00:00Z" });
    rig.post("/v1/chargeable-events", json!({ "items": [item] })).await.expect(200);
    cycle
}

fn eur(amount: &str) -> Value {
    json!({ "amount": amount, "currency": "EUR" })
}

#[tokio::test]
async fn payments_and_credits_cover_an_invoice_and_a_refund_of_what_it_got_opens_it_again() {
    for rig in Rig::everywhere().await {
        let invoice = invoiced(&rig, "A").await;
        let path = format!("/v1/invoices/{}", invoice["number"].as_str().unwrap());
        rig.post(&format!("{path}/deliver"), json!({})).await.expect(200);
        rig.post(&format!("{path}/deliver"), json!({})).await.refused(409, "invoice_already_delivered");
        rig.create("/v1/credits", json!({ "account": "A", "invoice": invoice["id"], "amount": eur("4"), "reason": "outage" })).await;
        let body = json!({ "externalId": "P", "account": "A", "method": "card", "amount": eur("10"), "invoices": [invoice["number"]] });
        let paid = rig.post("/v1/payments", body).await.expect(201);
        let kinds: Vec<&str> = paid["events"].as_array().unwrap().iter().filter_map(|e| e["type"].as_str()).collect();
        assert_eq!(kinds, ["payment.created", "payment.processed", "invoice.updated", "invoice.paid"]);
        assert_eq!(paid["entities"][0]["after"]["unallocated"], eur("4.00"));
        let now = rig.get(&path).await.expect(200);
        let sums = [&now["amountPaid"], &now["amountCredited"], &now["amountDue"]].map(|sum| sum["amount"].as_str().unwrap());
        assert_eq!((sums, now["status"].as_str()), (["6.00", "4.00", "0.00"], Some("paid")));
        rig.create("/v1/refunds", json!({ "payment": "P", "amount": eur("4"), "reason": "r" })).await;
        assert_eq!(rig.get(&path).await.expect(200)["status"], "paid", "the invoice had none of it");
        let refund = rig.post("/v1/refunds", json!({ "payment": "P", "amount": eur("6"), "reason": "r" })).await.expect(201);
        let kinds: Vec<&str> = refund["events"].as_array().unwrap().iter().filter_map(|e| e["type"].as_str()).collect();
        assert_eq!(kinds, ["refund.created", "refund.processed", "payment.updated", "invoice.updated", "invoice.reopened"]);
        let now = rig.get(&path).await.expect(200);
        assert_eq!((&now["status"], &now["amountDue"]), (&json!("open"), &eur("6.00")));
        let payment = rig.get("/v1/payments/P").await.expect(200);
        assert_eq!((&payment["refunded"], &payment["unallocated"]), (&eur("10.00"), &eur("0.00")));
    }
}

#[tokio::test]
async fn a_cancelled_invoice_gives_back_what_it_billed() {
    for rig in Rig::everywhere().await {
        let invoice = invoiced(&rig, "A").await;
        let id = invoice["id"].as_str().unwrap();
        let charge = rig.get(&format!("/v1/chargeable-events?invoiceId={id}")).await.expect(200)["items"][0].clone();
        assert_eq!((charge["state"].as_str(), charge["version"].as_i64()), (Some("billed"), Some(2)));
        rig.post(&format!("/v1/invoices/{id}/cancel"), json!({})).await.expect(200);
        rig.post(&format!("/v1/invoices/{id}/cancel"), json!({})).await.refused(409, "invoice_not_open");
        rig.post(&format!("/v1/invoices/{id}/deliver"), json!({})).await.refused(409, "invoice_not_open");
        let charge = rig.get("/v1/chargeable-events?account=A").await.expect(200)["items"][0].clone();
        assert_eq!((charge["state"].as_str(), charge.get("invoiceId")), (Some("unbilled"), None));
        let again = rig.post("/v1/accounts/A/invoices", json!({})).await.expect(201);
        assert_eq!(again["entities"][0]["after"]["total"], eur("10.00"), "billed again, once");
        assert_ne!(again["entities"][0]["after"]["number"], invoice["number"]);
        let item = json!({ "account": "A", "amount": eur("1"), "reason": "r", "invoice": again["entities"][0]["id"] });
        rig.post("/v1/credits", item).await.expect(201);
        let path = format!("/v1/invoices/{}/cancel", again["entities"][0]["id"].as_str().unwrap());
        rig.post(&path, json!({})).await.refused(409, "invoice_has_payments");
    }
}

#[tokio::test]
async fn what_was_paid_before_pays_the_next_invoice_unless_the_settings_say_by_hand() {
    for rig in Rig::everywhere().await {
        rig.post("/v1/test-clock", json!({ "now": "2027-01-09T00:00:00Z" })).await;
        let cycle = rig.cycle(1).await;
        for (account, automatic) in [("A", true), ("B", false)] {
            rig.put("/v1/billing-settings", json!({ "allocatePrepayments": automatic })).await.expect(200);
            rig.create("/v1/accounts", json!({ "externalId": account, "name": "A", "currency": "EUR", "billCycle": cycle })).await;
            let payment = json!({ "externalId": format!("P{account}"), "account": account, "method": "transfer", "amount": eur("7") });
            rig.post("/v1/payments", payment).await.expect(201);
            let item = json!({ "account": account, "type": "data", "amount": eur("3"), "occurredAt": "2027-01-08T12:00:00Z" });
            rig.post("/v1/chargeable-events", json!({ "items": [item] })).await.expect(200);
            rig.post(&format!("/v1/accounts/{account}/cancel"), json!({})).await.expect(200);
            let made = rig.post(&format!("/v1/accounts/{account}/invoices"), json!({})).await.expect(201);
            let invoice = &made["entities"][0]["after"];
            let left = rig.get(&format!("/v1/payments/P{account}")).await.expect(200)["unallocated"].clone();
            let expected = if automatic { ("paid", "0.00", "4.00") } else { ("open", "3.00", "7.00") };
            assert_eq!((&invoice["status"], &invoice["amountDue"], &left), (&json!(expected.0), &eur(expected.1), &eur(expected.2)));
        }
        let kinds = async |path: &str, body: Value| {
            let done = rig.post(path, body).await.expect(200);
            done["events"].as_array().unwrap().iter().map(|e| e["type"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(kinds("/v1/payments/PB/allocate", json!({})).await, ["payment.updated", "invoice.updated", "invoice.paid"]);
        rig.post("/v1/payments/PB/allocate", json!({})).await.refused(409, "no_open_invoice");
        assert_eq!(kinds("/v1/payments/PB/deallocate", json!({})).await, ["payment.updated", "invoice.updated", "invoice.reopened"]);
        assert_eq!(rig.get("/v1/payments/PB").await.expect(200)["unallocated"], eur("7.00"));
        rig.post("/v1/payments/PB/deallocate", json!({})).await.refused(409, "nothing_allocated");
        let cancelled = kinds("/v1/payments/PA/cancel", json!({ "reason": "charged back" })).await;
        assert_eq!(cancelled, ["payment.updated", "payment.cancelled", "invoice.updated", "invoice.reopened"]);
        assert_eq!(rig.get("/v1/payments?status=cancelled").await.expect(200)["items"][0]["cancelReason"], "charged back");
        rig.post("/v1/payments/PA/cancel", json!({ "reason": "again" })).await.refused(409, "payment_not_processed");
        rig.post("/v1/payments/PA/allocate", json!({})).await.refused(409, "payment_not_processed");
        rig.post("/v1/payments/PA/deallocate", json!({})).await.refused(409, "payment_not_processed");
    }
}

#[tokio::test]
async fn each_refusal_of_changed_allocations_and_reversed_credits_has_its_code() {
    let rig = Rig::new().await;
    let (one, other) = (invoiced(&rig, "A").await, invoiced(&rig, "B").await);
    let body = json!({ "externalId": "P", "account": "A", "method": "card", "amount": eur("4"), "invoices": [one["id"]] });
    rig.post("/v1/payments", body).await.expect(201);
    for operation in ["allocate", "deallocate"] {
        rig.post(&format!("/v1/payments/none/{operation}"), json!({})).await.refused(404, "payment_not_found");
        let named = async |invoices: Value| rig.post(&format!("/v1/payments/P/{operation}"), json!({ "invoices": invoices })).await;
        named(json!(["none"])).await.refused(422, "invoice_unknown");
        named(json!([one["id"], one["number"]])).await.refused(422, "invoice_named_twice");
    }
    let allocate = async |invoice: &Value| rig.post("/v1/payments/P/allocate", json!({ "invoices": [invoice] })).await;
    allocate(&one["id"]).await.refused(409, "nothing_unallocated");
    rig.post("/v1/payments/P/deallocate", json!({ "invoices": [other["id"]] })).await.refused(409, "nothing_allocated");
    rig.post("/v1/payments/P/deallocate", json!({ "invoices": [one["id"]] })).await.expect(200);
    allocate(&other["id"]).await.refused(422, "invoice_of_other_account");
    rig.post(&format!("/v1/invoices/{}/cancel", one["id"].as_str().unwrap()), json!({})).await.expect(200);
    allocate(&one["id"]).await.refused(409, "invoice_not_open");
    rig.post("/v1/refunds", json!({ "payment": "P", "amount": eur("1"), "reason": "r" })).await.expect(201);
    rig.post("/v1/payments/P/cancel", json!({ "reason": "bounced" })).await.refused(409, "payment_refunded");
    rig.post("/v1/payments/none/cancel", json!({ "reason": "bounced" })).await.refused(404, "payment_not_found");

    rig.post("/v1/credits", json!({ "externalId": "C", "account": "A", "amount": eur("5"), "reason": "r" })).await.expect(201);
    let reversed = rig.post("/v1/credits/C/reverse", json!({})).await.expect(200);
    assert_eq!(reversed["entities"][0]["after"]["reversed"], eur("5.00"));
    rig.post("/v1/credits/C/reverse", json!({})).await.refused(409, "credit_used_up");
    rig.post("/v1/credits/none/reverse", json!({})).await.refused(404, "credit_not_found");
}

#[tokio::test]
async fn each_refusal_of_payments_refunds_and_credits_has_its_code() {
    let rig = Rig::new().await;
    let (one, other) = (invoiced(&rig, "A").await, invoiced(&rig, "B").await);
    let payment = |more: Value| {
        let mut body = json!({ "account": "A", "method": "card", "amount": eur("1") });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    let pay = async |more: Value| rig.post("/v1/payments", payment(more)).await;
    pay(json!({ "account": "none" })).await.refused(422, "account_unknown");
    pay(json!({ "amount": eur("0") })).await.refused(422, "amount_not_positive");
    pay(json!({ "amount": eur("0.001") })).await.refused(422, "amount_too_fine");
    pay(json!({ "amount": { "amount": "1", "currency": "USD" } })).await.refused(422, "currency_mismatch");
    pay(json!({ "status": "failed" })).await.refused(422, "payment_error_required");
    pay(json!({ "error": { "code": "c", "message": "m" } })).await.refused(422, "payment_error_not_allowed");
    pay(json!({ "invoices": ["none"] })).await.refused(422, "invoice_unknown");
    pay(json!({ "invoices": [other["id"]] })).await.refused(422, "invoice_of_other_account");
    pay(json!({ "invoices": [one["id"], one["number"]] })).await.refused(422, "invoice_named_twice");
    pay(json!({ "externalId": "P" })).await.expect(201);
    pay(json!({ "externalId": "P" })).await.refused(409, "external_id_taken");
    pay(json!({ "externalId": "F", "status": "failed", "error": { "code": "c", "message": "m" } })).await.expect(201);
    rig.get("/v1/payments/none").await.refused(404, "payment_not_found");

    let refund = async |payment: &str, amount: &str| {
        rig.post("/v1/refunds", json!({ "payment": payment, "amount": eur(amount), "reason": "r" })).await
    };
    refund("none", "1").await.refused(422, "payment_unknown");
    refund("F", "1").await.refused(409, "payment_not_processed");
    refund("P", "0.6").await.expect(201);
    refund("P", "0.41").await.refused(422, "refund_exceeds_payment");
    rig.get("/v1/refunds/none").await.refused(404, "refund_not_found");

    let credit = async |invoice: &Value, amount: &str| {
        rig.post("/v1/credits", json!({ "account": "A", "invoice": invoice, "amount": eur(amount), "reason": "r" })).await
    };
    credit(&json!("none"), "1").await.refused(422, "invoice_unknown");
    credit(&other["id"], "1").await.refused(422, "invoice_of_other_account");
    credit(&one["id"], "9.61").await.refused(422, "credit_exceeds_due");
    credit(&one["id"], "9.6").await.expect(201);
    credit(&one["id"], "1").await.refused(409, "invoice_not_open");
    pay(json!({ "invoices": [one["id"]] })).await.refused(409, "invoice_not_open");
    rig.get("/v1/credits/none").await.refused(404, "credit_not_found");
    rig.get("/v1/invoices/none").await.refused(404, "invoice_not_found");
}

/// The sums of an account's balance: balance, balance due, overdue, unallocated, credits.
async fn balance(rig: &Rig) -> [String; 5] {
    let told = rig.get("/v1/accounts/A/balance").await.expect(200);
    ["balance", "balanceDue", "overdue", "unallocated", "credits"].map(|name| told[name]["amount"].as_str().expect("an amount").to_owned())
}

#[tokio::test]
async fn a_balance_is_what_is_invoiced_less_what_is_paid_and_credited_plus_what_is_refunded() {
    for rig in Rig::everywhere().await {
        rig.get("/v1/accounts/A/balance").await.refused(404, "account_not_found");
        let cycle = charged(&rig, "A").await;
        rig.post("/v1/bill-runs", json!({ "billCycle": cycle })).await.expect(202);
        rig.finish_bill_runs().await;
        let invoice = rig.get("/v1/invoices?account=A").await.expect(200)["items"][0].clone();
        assert_eq!(balance(&rig).await, ["10.00", "10.00", "0.00", "0.00", "0.00"]);
        rig.create("/v1/credits", json!({ "externalId": "K", "account": "A", "amount": eur("1.50"), "reason": "r" })).await;
        assert_eq!(balance(&rig).await, ["8.50", "10.00", "0.00", "0.00", "1.50"]);
        rig.create("/v1/payments", json!({ "externalId": "P", "account": "A", "method": "card", "amount": eur("12") })).await;
        assert_eq!(balance(&rig).await, ["-3.50", "0.00", "0.00", "2.00", "1.50"]);
        rig.create("/v1/refunds", json!({ "payment": "P", "amount": eur("5"), "reason": "r" })).await;
        assert_eq!(balance(&rig).await, ["1.50", "3.00", "0.00", "0.00", "1.50"]);
        rig.post("/v1/credits/K/reverse", json!({})).await.expect(200);
        assert_eq!(balance(&rig).await, ["3.00", "3.00", "0.00", "0.00", "0.00"]);
        rig.at("2027-03-10T00:00:00Z").await;
        assert_eq!(balance(&rig).await, ["3.00", "3.00", "3.00", "0.00", "0.00"]);
        let id = invoice["id"].as_str().unwrap();
        rig.post("/v1/payments/P/deallocate", json!({})).await.expect(200);
        rig.post(&format!("/v1/invoices/{id}/cancel"), json!({})).await.expect(200);
        assert_eq!(balance(&rig).await, ["-7.00", "0.00", "0.00", "7.00", "0.00"]);
        let events = rig.store.unpublished(1_000_000).await.expect("events");
        let told: Vec<(String, String)> = events
            .into_iter()
            .filter_map(|event| {
                let event: Value = serde_json::from_str(&event.body).expect("JSON");
                let parameters = &event["data"]["parameters"];
                Some((
                    event["type"].as_str()?.to_owned(),
                    format!("{} {}", parameters["account.balance"].as_str()?, parameters["account.balanceDue"].as_str()?),
                ))
            })
            .collect();
        let of = |kind: &str| told.iter().filter(|(k, _)| k == kind).map(|(_, sums)| sums.as_str()).collect::<Vec<_>>();
        assert_eq!(of("invoice.posted"), ["10.00 10.00"]);
        assert_eq!(of("credit.processed"), ["8.50 10.00"]);
        assert_eq!((of("payment.processed"), of("invoice.paid")), (vec!["-3.50 0.00"], vec!["-3.50 0.00"]));
        assert_eq!((of("refund.processed"), of("invoice.reopened")), (vec!["1.50 3.00"], vec!["1.50 3.00"]));
        assert_eq!((of("credit.reversed"), of("invoice.overdue")), (vec!["3.00 3.00"], vec!["3.00 3.00"]));
        assert_eq!(of("invoice.cancelled"), ["-7.00 0.00"]);
        assert!(of("account.status_changed").is_empty(), "not about money");
        let huge = || json!({ "account": "A", "method": "card", "amount": eur("9000000000000") });
        rig.create("/v1/payments", huge()).await;
        rig.create("/v1/payments", huge()).await;
        rig.get("/v1/accounts/A/balance").await.refused(409, "balance_out_of_range");
    }
}
