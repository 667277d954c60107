//! P4 for operations with very many events: each business transaction becomes visible whole, so that none has more events than a batch of
//! the stream holds; an operation with more is several business transactions.

use std::collections::{BTreeMap, BTreeSet};

use billwire_tests::{
    api::Api,
    eventually,
    gateway::{BOTH, Setup},
};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::task::JoinSet;

/// What an atomic batch of JetStream holds.
const EVENTS_MAX: u64 = 999;
const SUBSCRIPTIONS: usize = 1_300;

/// An account with many package subscriptions in a cycle that is due.
async fn subscribed(api: &Api) -> String {
    let statuses = json!({ "statuses": [{ "name": "active", "billable": true }, { "name": "cancelled", "billable": false }],
                           "initial": "active", "cancelled": "cancelled", "transitions": [{ "from": "active", "to": "cancelled" }] });
    api.send(Method::PUT, "/v1/billing-settings", Some(&json!({ "packageStatuses": statuses })), &[]).await.expect(200);
    api.post("/v1/test-clock", json!({ "now": "2090-02-10T00:00:00Z" })).await.expect(200);
    let cycle = json!({ "externalId": "MONTHLY", "name": "Monthly", "period": "month", "billingDay": 1 });
    api.post("/v1/bill-cycles", cycle).await.expect(201);
    let fee = json!({ "amount": "1.00", "currency": "EUR" });
    let package = api.create("/v1/packages", json!({ "name": "SIM", "recurringFee": fee })).await;
    let account = api.account("MONTHLY").await;
    let mut clients = JoinSet::new();
    for client in 0..10 {
        let (api, body) = (api.clone(), json!({ "account": account, "package": package, "startDate": "2090-02-10" }));
        clients.spawn(async move {
            for _ in (client..SUBSCRIPTIONS).step_by(10) {
                api.create("/v1/package-subscriptions", body.clone()).await;
            }
        });
    }
    while let Some(done) = clients.join_next().await {
        done.expect("subscribed");
    }
    account
}

/// The events that an operation has caused, once as many as expected of a type are there, oldest first.
async fn events_of(api: &Api, operation: &str, kind: &str, count: usize) -> Vec<Value> {
    let all = async || {
        let (mut found, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = api.get(&format!("/v1/events?limit=200{cursor}")).await.expect(200);
            let items = page["items"].as_array().expect("items");
            found.extend(items.iter().filter(|event| event["operation"] == operation).cloned());
            let Some(next) = page["nextCursor"].as_str().filter(|_| items.iter().any(|event| event["operation"] == operation)) else {
                break;
            };
            cursor = format!("&cursor={next}");
        }
        found.reverse();
        (found.iter().filter(|event| event["type"] == kind).count() >= count).then_some(found)
    };
    eventually(&format!("{count} {kind} of {operation}"), all).await
}

/// The sizes of the business transactions that these events belong to, in order, after checking that each is whole.
fn transactions(events: &[Value], ordering_key: &str) -> Vec<u64> {
    let own: Vec<&Value> = events.iter().filter(|event| event["partitionkey"] == ordering_key).collect();
    let mut by_id: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
    let mut order = Vec::new();
    for event in own {
        let id = event["transactionid"].as_str().expect("an id");
        if !by_id.contains_key(id) {
            order.push((id, event["transactionsize"].as_u64().expect("a size")));
        }
        by_id.entry(id).or_default().push(event["transactionindex"].as_u64().expect("an index"));
    }
    for (id, size) in &order {
        let mut indices = by_id[id].clone();
        indices.sort_unstable();
        assert_eq!(indices, (1..=*size).collect::<Vec<_>>(), "the business transaction {id} is whole");
        assert!(*size <= EVENTS_MAX, "{id} has {size} events");
    }
    order.into_iter().map(|(_, size)| size).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invoice_of_more_than_a_thousand_subscriptions_is_one_invoice_and_several_whole_business_transactions() {
    for database in BOTH {
        let setup = Setup::new("large-transactions", database);
        let gateway = setup.start().await;
        let api = setup.api();
        let account = subscribed(&api).await;
        api.post("/v1/test-clock", json!({ "now": "2090-03-02T00:00:00Z" })).await.expect(200);
        api.post("/v1/bill-runs", json!({ "externalId": "RUN", "billCycle": "MONTHLY" })).await.expect(202);
        eventually("the run's end", async || {
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            (api.get("/v1/bill-runs/RUN").await.json()["status"] == "completed").then_some(())
        })
        .await;
        let invoices = api.get(&format!("/v1/invoices?account={account}")).await.expect(200);
        assert_eq!(invoices["items"].as_array().map(Vec::len), Some(1), "one invoice");
        let invoice = invoices["items"][0]["id"].as_str().expect("an id").to_owned();
        let whole = api.get(&format!("/v1/invoices/{invoice}")).await.expect(200);
        assert_eq!(whole["lines"].as_array().map(Vec::len), Some(SUBSCRIPTIONS), "with all lines");

        let events = events_of(&api, "startBillRun", "package_subscription.updated", SUBSCRIPTIONS).await;
        let kinds = |kind: &str| events.iter().filter(|event| event["type"] == kind).count();
        assert_eq!([kinds("invoice.posted"), kinds("invoice.created"), kinds("package_subscription.updated")], [1, 1, SUBSCRIPTIONS]);
        let subjects: BTreeSet<&str> = events.iter().filter_map(|event| event["subject"].as_str()).collect();
        assert!(subjects.len() > SUBSCRIPTIONS, "each subscription once");
        let sizes = transactions(&events, &account);
        assert_eq!((sizes.len(), sizes[0]), (2, EVENTS_MAX), "{sizes:?}");
        let first = events.iter().find(|event| event["partitionkey"] == *account).expect("the first");
        assert_eq!(first["type"], "invoice.created", "the invoice comes first");

        // Its cancellation gives them back, likewise.
        let cancelled = api.post(&format!("/v1/invoices/{invoice}/cancel"), json!({})).await.expect(200);
        assert_eq!(cancelled["entities"][0]["id"], json!(invoice), "the response is the first business transaction");
        assert!(cancelled["events"].as_array().map(Vec::len) <= Some(999));
        let events = events_of(&api, "cancelInvoice", "package_subscription.updated", SUBSCRIPTIONS).await;
        let sizes = transactions(&events, &account);
        assert_eq!((sizes.len(), sizes[0]), (2, EVENTS_MAX), "{sizes:?}");
        assert!(gateway.stop().await.success());
    }
}
