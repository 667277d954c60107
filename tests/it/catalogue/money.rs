//! Bill runs, invoices, payments, refunds, credits.

use serde_json::json;

use super::{
    Row,
    usage::{adjust, charge},
    world::World,
};

/// Bills the account's charges so far.
async fn bill(world: &mut World) {
    world.days_pass(40).await;
    let run = world.post("/v1/bill-runs", json!({ "billCycle": world.cycle })).await;
    let id = run["entities"][0]["id"].as_str().unwrap().to_owned();
    world.watch(&id);
    world.ids.insert("run", id.clone());
    world.until(&format!("/v1/bill-runs/{id}"), "the bill run", |run| run["status"] == "completed").await;
}

/// An invoice with a total of 10 EUR.
async fn invoice(world: &mut World) {
    charge(world, json!({})).await;
    bill(world).await;
    let page = world.api.get(&format!("/v1/invoices?account={}", world.account)).await.expect(200);
    world.ids.insert("invoice", page["items"][0]["id"].as_str().expect("an invoice").to_owned());
}

/// A charge of the account, for which another account pays.
async fn owed_by_a_payer(world: &mut World) {
    let payer = world.api.account(&world.cycle).await;
    world.post(&format!("/v1/accounts/{}/payer", world.account), json!({ "payer": payer })).await;
    world.ids.insert("payer", payer);
    charge(world, json!({})).await;
}

async fn remove_payer(world: &mut World) {
    world.post(&format!("/v1/accounts/{}/payer/remove", world.account), json!({})).await;
}

async fn delivered(world: &mut World) {
    invoice(world).await;
    world.post(&format!("/v1/invoices/{}/deliver", world.id("invoice")), json!({})).await;
}

async fn pay(world: &mut World, amount: &str) {
    let body = json!({ "account": world.account, "method": "card", "amount": { "amount": amount, "currency": "EUR" } });
    world.make("payment", "/v1/payments", body).await;
}

async fn fail(world: &mut World) {
    let body = json!({ "account": world.account, "method": "card", "amount": { "amount": "10", "currency": "EUR" }, "status": "failed",
                       "error": { "code": "insufficient_funds", "message": "The card was declined" } });
    world.make("payment", "/v1/payments", body).await;
}

async fn refund(world: &mut World) {
    let body = json!({ "payment": world.id("payment"), "amount": { "amount": "2", "currency": "EUR" }, "reason": "paid twice" });
    world.make("refund", "/v1/refunds", body).await;
}

async fn bounce(world: &mut World) {
    world.post(&format!("/v1/payments/{}/cancel", world.id("payment")), json!({ "reason": "charged back" })).await;
}

async fn credit(world: &mut World) {
    let body = json!({ "account": world.account, "amount": { "amount": "4", "currency": "EUR" }, "reason": "outage" });
    world.make("credit", "/v1/credits", body).await;
}

/// Charges above the maximum total of an invoice.
async fn too_much(world: &mut World) {
    for _ in 0..2 {
        charge(world, json!({ "amount": { "amount": "9000000000000", "currency": "EUR" } })).await;
    }
}

const RUN: &[&str] = &[
    "invoice.created",
    "invoice.posted",
    "account.updated",
    "bill_run.created",
    "bill_run.started",
    "bill_run.updated",
    "bill_run.completed",
];

pub const ROWS: &[Row] = &[
    Row {
        kind: "bill_run.created",
        publishes: &["account.updated", "bill_run.created", "bill_run.started", "bill_run.updated", "bill_run.completed"],
        tells: &["billRun.id", "billRun.billCycle", "billRun.billingDate"],
        given: |_| Box::pin(async {}),
        when: |world| Box::pin(bill(world)),
    },
    Row {
        kind: "bill_run.upcoming",
        publishes: &["bill_cycle.updated", "bill_run.upcoming"],
        tells: &["billCycle.id", "billCycle.billingDate", "billCycle.daysUntilBilling"],
        given: |world| {
            Box::pin(async {
                let body = json!({ "name": "Yearly", "period": "year", "billingDay": 28, "billingMonth": 12, "announceDays": 3 });
                let cycle = world.make("announced", "/v1/bill-cycles", body).await;
                world.watch(&cycle);
            })
        },
        when: |world| Box::pin(async { world.days_pass(365).await }),
    },
    Row {
        kind: "bill_run.started",
        publishes: RUN,
        tells: &["billRun.id", "billRun.startedAt"],
        given: |world| Box::pin(charge(world, json!({}))),
        when: |world| Box::pin(bill(world)),
    },
    Row {
        kind: "bill_run.updated",
        publishes: RUN,
        tells: &["billRun.status"],
        given: |world| Box::pin(charge(world, json!({}))),
        when: |world| Box::pin(bill(world)),
    },
    Row {
        kind: "bill_run.completed",
        publishes: RUN,
        tells: &["billRun.accounts", "billRun.invoices", "billRun.failed", "billRun.completedAt"],
        given: |world| Box::pin(charge(world, json!({}))),
        when: |world| Box::pin(bill(world)),
    },
    Row {
        kind: "account.billing_failed",
        publishes: &[
            "account.updated",
            "account.billing_failed",
            "bill_run.created",
            "bill_run.started",
            "bill_run.updated",
            "bill_run.completed",
        ],
        tells: &["billingError.code", "billingError.message", "billRun.id", "account.name"],
        given: |world| Box::pin(too_much(world)),
        when: |world| Box::pin(bill(world)),
    },
    Row {
        kind: "account.billed_to_payer",
        publishes: &["account.updated", "account.billed_to_payer"],
        tells: &["payerInvoice.id", "payerInvoice.number", "payerInvoice.cutoff", "account.name"],
        given: |world| Box::pin(owed_by_a_payer(world)),
        when: |world| Box::pin(remove_payer(world)),
    },
    Row {
        kind: "account.payer_invoice_cancelled",
        publishes: &["account.updated", "account.payer_invoice_cancelled"],
        tells: &["payerInvoice.id", "payerInvoice.number", "account.payer"],
        given: |world| {
            Box::pin(async {
                owed_by_a_payer(world).await;
                world.days_pass(40).await;
                let run = world.post("/v1/bill-runs", json!({ "billCycle": world.cycle })).await;
                let run = format!("/v1/bill-runs/{}", run["entities"][0]["id"].as_str().expect("an id"));
                world.until(&run, "the bill run", |run| run["status"] == "completed").await;
                let page = world.api.get(&format!("/v1/invoices?account={}", world.id("payer"))).await.expect(200);
                world.ids.insert("invoice", page["items"][0]["id"].as_str().expect("an invoice").to_owned());
            })
        },
        when: |world| Box::pin(async { drop(world.post(&format!("/v1/invoices/{}/cancel", world.id("invoice")), json!({})).await) }),
    },
    Row {
        kind: "invoice.created",
        publishes: RUN,
        tells: &["invoice.number", "invoice.total"],
        given: |world| Box::pin(charge(world, json!({}))),
        when: |world| Box::pin(bill(world)),
    },
    Row {
        kind: "invoice.posted",
        publishes: &["invoice.created", "invoice.posted"],
        tells: &["invoice.total", "invoice.dueOn", "invoice.amountDue", "account.name"],
        given: |world| {
            Box::pin(async {
                charge(world, json!({})).await;
                world.post(&format!("/v1/accounts/{}/cancel", world.account), json!({})).await;
            })
        },
        when: |world| Box::pin(async { drop(world.post(&format!("/v1/accounts/{}/invoices", world.account), json!({})).await) }),
    },
    Row {
        kind: "invoice.updated",
        publishes: &["invoice.updated", "invoice.delivered"],
        tells: &["invoice.deliveredAt"],
        given: |world| Box::pin(invoice(world)),
        when: |world| Box::pin(async { drop(world.post(&format!("/v1/invoices/{}/deliver", world.id("invoice")), json!({})).await) }),
    },
    Row {
        kind: "invoice.delivered",
        publishes: &["invoice.updated", "invoice.delivered"],
        tells: &["invoice.number", "invoice.deliveredAt"],
        given: |world| Box::pin(invoice(world)),
        when: |world| Box::pin(async { drop(world.post(&format!("/v1/invoices/{}/deliver", world.id("invoice")), json!({})).await) }),
    },
    Row {
        kind: "invoice.delivery_offset_reached",
        publishes: &["invoice.updated", "invoice.delivery_offset_reached"],
        tells: &["invoice.offsetDays", "invoice.offsetTime", "invoice.number"],
        given: |world| {
            Box::pin(async {
                world.put("/v1/billing-settings", json!({ "deliveryOffsets": [{ "days": 3, "time": "09:00" }] })).await;
                delivered(world).await;
                world.put("/v1/billing-settings", json!({})).await;
            })
        },
        when: |world| Box::pin(async { world.days_pass(5).await }),
    },
    Row {
        kind: "invoice.due_soon",
        publishes: &["invoice.updated", "invoice.due_soon"],
        tells: &["invoice.daysUntilDue", "invoice.reminderTime", "invoice.dueOn", "invoice.amountDue"],
        given: |world| {
            Box::pin(async {
                world.put("/v1/billing-settings", json!({ "dueReminders": [{ "days": 3, "time": "09:00" }] })).await;
                delivered(world).await;
                world.put("/v1/billing-settings", json!({})).await;
            })
        },
        when: |world| Box::pin(async { world.days_pass(12).await }),
    },
    Row {
        kind: "invoice.overdue",
        publishes: &["invoice.updated", "invoice.overdue"],
        tells: &["invoice.overdueSince", "invoice.amountDue"],
        given: |world| Box::pin(delivered(world)),
        when: |world| Box::pin(async { world.days_pass(16).await }),
    },
    Row {
        kind: "invoice.paid",
        publishes: &["payment.created", "payment.processed", "invoice.updated", "invoice.paid"],
        tells: &["invoice.amountPaid", "invoice.status"],
        given: |world| Box::pin(invoice(world)),
        when: |world| Box::pin(pay(world, "10")),
    },
    Row {
        kind: "invoice.reopened",
        publishes: &["payment.updated", "payment.cancelled", "invoice.updated", "invoice.reopened"],
        tells: &["invoice.amountDue", "invoice.status"],
        given: |world| {
            Box::pin(async {
                invoice(world).await;
                pay(world, "10").await;
            })
        },
        when: |world| Box::pin(bounce(world)),
    },
    Row {
        kind: "payment.cancelled",
        publishes: &["payment.updated", "payment.cancelled"],
        tells: &["payment.status", "payment.amount"],
        given: |world| Box::pin(pay(world, "10")),
        when: |world| Box::pin(bounce(world)),
    },
    Row {
        kind: "credit.reversed",
        publishes: &["credit.updated", "credit.reversed"],
        tells: &["credit.remaining", "credit.reason"],
        given: |world| Box::pin(credit(world)),
        when: |world| Box::pin(async { drop(world.post(&format!("/v1/credits/{}/reverse", world.id("credit")), json!({})).await) }),
    },
    Row {
        kind: "invoice.cancelled",
        publishes: &["invoice.updated", "invoice.cancelled"],
        tells: &["invoice.status"],
        given: |world| Box::pin(invoice(world)),
        when: |world| Box::pin(async { drop(world.post(&format!("/v1/invoices/{}/cancel", world.id("invoice")), json!({})).await) }),
    },
    Row {
        kind: "adjustment.updated",
        publishes: &[
            "invoice.created",
            "invoice.posted",
            "adjustment.updated",
            "account.updated",
            "bill_run.created",
            "bill_run.started",
            "bill_run.updated",
            "bill_run.completed",
        ],
        tells: &["adjustment.state"],
        given: |world| {
            Box::pin(async {
                invoice(world).await;
                // Otherwise the invoice would become overdue in the next period.
                pay(world, "10").await;
                adjust(world, "DEBIT", "3").await;
            })
        },
        when: |world| Box::pin(bill(world)),
    },
    Row {
        kind: "payment.created",
        publishes: &["payment.created", "payment.processed"],
        tells: &["payment.amount", "payment.method"],
        given: |_| Box::pin(async {}),
        when: |world| Box::pin(pay(world, "5")),
    },
    Row {
        kind: "payment.processed",
        publishes: &["payment.created", "payment.processed", "invoice.updated"],
        tells: &["payment.amount", "payment.unallocated"],
        given: |world| Box::pin(invoice(world)),
        when: |world| Box::pin(pay(world, "5")),
    },
    Row {
        kind: "payment.failed",
        publishes: &["payment.created", "payment.failed"],
        tells: &["paymentError.code", "paymentError.message", "payment.amount"],
        given: |world| Box::pin(invoice(world)),
        when: |world| Box::pin(fail(world)),
    },
    Row {
        kind: "payment.updated",
        publishes: &["refund.created", "refund.processed", "payment.updated"],
        tells: &["payment.refunded"],
        given: |world| Box::pin(pay(world, "5")),
        when: |world| Box::pin(refund(world)),
    },
    Row {
        kind: "refund.created",
        publishes: &["refund.created", "refund.processed", "payment.updated"],
        tells: &["refund.amount", "payment.amount"],
        given: |world| Box::pin(pay(world, "5")),
        when: |world| Box::pin(refund(world)),
    },
    Row {
        kind: "refund.processed",
        publishes: &["refund.created", "refund.processed", "payment.updated"],
        tells: &["refund.amount", "refund.reason"],
        given: |world| Box::pin(pay(world, "5")),
        when: |world| Box::pin(refund(world)),
    },
    Row {
        kind: "credit.created",
        publishes: &["credit.created", "credit.processed"],
        tells: &["credit.amount", "credit.remaining"],
        given: |_| Box::pin(async {}),
        when: |world| Box::pin(credit(world)),
    },
    Row {
        kind: "credit.processed",
        publishes: &["credit.created", "credit.processed"],
        tells: &["credit.amount", "credit.reason"],
        given: |_| Box::pin(async {}),
        when: |world| Box::pin(credit(world)),
    },
    Row {
        kind: "credit.updated",
        publishes: &[
            "invoice.created",
            "invoice.posted",
            "credit.updated",
            "account.updated",
            "bill_run.created",
            "bill_run.started",
            "bill_run.updated",
            "bill_run.completed",
        ],
        tells: &["credit.remaining"],
        given: |world| {
            Box::pin(async {
                charge(world, json!({})).await;
                credit(world).await;
            })
        },
        when: |world| Box::pin(bill(world)),
    },
];
