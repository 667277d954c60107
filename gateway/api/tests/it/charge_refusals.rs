//! Refusals of charges, adjustments and billing; and a check that every refusal has a test.

use std::{fs, path::Path};

use serde_json::{Value, json};

use crate::rig::Rig;

fn charge(more: Value) -> Value {
    let mut item = json!({ "type": "voice", "amount": { "amount": "1", "currency": "EUR" }, "occurredAt": "2027-01-04T09:30:00Z" });
    for (name, value) in more.as_object().into_iter().flatten() {
        item[name] = value.clone();
    }
    item
}

/// Creates two accounts, each with a service and a usage identifier; the date is 10 January.
async fn world(rig: &Rig) {
    rig.post("/v1/test-clock", json!({ "now": "2027-01-10T00:00:00Z" })).await;
    let cycle = rig.cycle(1).await;
    for name in ["A", "B"] {
        rig.create("/v1/accounts", json!({ "externalId": name, "name": name, "currency": "EUR", "billCycle": cycle })).await;
        let service = format!("S-{name}");
        rig.create("/v1/services", json!({ "externalId": service, "account": name, "name": "Truck", "serviceType": "iot" })).await;
        rig.create("/v1/usage-identifiers", json!({ "service": service, "kind": "iccid", "value": name })).await;
    }
}

#[tokio::test]
async fn each_refusal_of_a_charge_has_its_code_and_place() {
    let rig = Rig::new().await;
    world(&rig).await;
    let refused = async |more: Value| -> Vec<(String, String)> {
        let result = rig.one_item("/v1/chargeable-events", charge(more)).await;
        let errors = result["problem"]["errors"].as_array().cloned().unwrap_or_default();
        let text = |error: &Value, member: &str| error[member].as_str().unwrap().trim_start_matches("/items/0").to_owned();
        errors.iter().map(|error| (text(error, "pointer"), text(error, "code"))).collect()
    };
    let one = |pointer: &str, code: &str| vec![(pointer.to_owned(), code.to_owned())];
    let under = |value: &str| json!({ "kind": "iccid", "value": value });
    assert_eq!(refused(json!({ "account": "A", "quantity": "-1", "unit": "MB" })).await, one("/quantity", "quantity_negative"));
    assert_eq!(refused(json!({ "account": "A", "quantity": "1" })).await, one("/unit", "unit_required"));
    let late = json!({ "account": "A", "occurredAt": "2027-01-10T01:00:01Z" });
    assert_eq!(refused(late).await, one("/occurredAt", "occurred_at_in_future"));
    assert_eq!(refused(json!({ "service": "none" })).await, one("/service", "service_unknown"));
    assert_eq!(refused(json!({ "usageIdentifier": under("none") })).await, one("/usageIdentifier", "usage_identifier_unknown"));
    assert_eq!(refused(json!({ "account": "A", "service": "S-B" })).await, one("/account", "reference_mismatch"));
    assert_eq!(refused(json!({ "account": "A", "usageIdentifier": under("B") })).await, one("/account", "reference_mismatch"));
    let other = json!({ "service": "S-A", "usageIdentifier": under("B") });
    assert_eq!(refused(other).await, one("/usageIdentifier", "reference_mismatch"));
    assert_eq!(refused(json!({ "account": "A", "service": "S-A", "usageIdentifier": under("A") })).await, []);
    rig.get("/v1/chargeable-events/none").await.refused(404, "chargeable_event_not_found");
    rig.get("/v1/adjustments/none").await.refused(404, "adjustment_not_found");
}

#[tokio::test]
async fn what_a_call_to_get_or_delete_names_has_to_exist() {
    let rig = Rig::new().await;
    for (path, code) in [
        ("webhook-endpoints", "webhook_endpoint_not_found"),
        ("smtp-accounts", "smtp_account_not_found"),
        ("notification-templates", "notification_template_not_found"),
        ("queues", "queue_not_found"),
        ("subscriptions", "subscription_not_found"),
    ] {
        rig.get(&format!("/v1/{path}/none")).await.refused(404, code);
        rig.delete(&format!("/v1/{path}/none")).await.refused(404, code);
    }
}

/// Bills account A by a run on the first of `month`; returns the invoice number.
async fn billed(rig: &Rig, month: u32) -> String {
    rig.post("/v1/test-clock", json!({ "now": format!("2027-{month:02}-01T08:00:00Z") })).await;
    let cycle = rig.get("/v1/accounts/A").await.expect(200)["billCycle"]["billCycleId"].clone();
    rig.post("/v1/bill-runs", json!({ "billCycle": cycle })).await.expect(202);
    rig.finish_bill_runs().await;
    let invoices = rig.get("/v1/invoices?account=A&limit=200").await.expect(200)["items"].clone();
    let last = invoices.as_array().and_then(|all| all.last()).expect("an invoice");
    last["number"].as_str().expect("a number").to_owned()
}

#[tokio::test]
async fn only_the_latest_invoice_can_be_cancelled_and_only_with_few_adjustments() {
    let rig = Rig::new().await;
    world(&rig).await;
    let items: Vec<Value> = (0..401).map(|n| charge(json!({ "account": "A", "externalId": format!("c{n}") }))).collect();
    rig.post("/v1/chargeable-events", json!({ "items": items })).await.expect(200);
    let first = billed(&rig, 2).await;
    let credit = json!({ "chargeType": "CREDIT", "amount": { "amount": "0.01", "currency": "EUR" }, "reason": "r" });
    for n in 0..401 {
        rig.post(&format!("/v1/chargeable-events/c{n}/adjustments"), credit.clone()).await.expect(200);
    }
    rig.post(&format!("/v1/invoices/{first}/cancel"), json!({})).await.refused(409, "too_many_adjustments");
    let item = charge(json!({ "account": "A", "amount": { "amount": "9", "currency": "EUR" } }));
    rig.post("/v1/chargeable-events", json!({ "items": [item] })).await.expect(200);
    let second = billed(&rig, 3).await;
    assert_ne!(first, second);
    rig.post(&format!("/v1/invoices/{first}/cancel"), json!({})).await.refused(409, "later_invoice_exists");
}

#[tokio::test]
async fn an_account_whose_data_cannot_be_read_is_told_and_stops_no_run() {
    let rig = Rig::new().await;
    world(&rig).await;
    let items = ["A", "B"].map(|name| charge(json!({ "account": name })));
    rig.post("/v1/chargeable-events", json!({ "items": items })).await.expect(200);
    let subscription = json!({ "externalId": "P", "name": "Fleet", "recurringFee": { "amount": "31.00", "currency": "EUR" } });
    rig.create("/v1/packages", subscription).await;
    rig.create("/v1/package-subscriptions", json!({ "account": "B", "package": "P", "startDate": "2027-01-10" })).await;
    rig.damage("UPDATE package_subscription SET body = '{}'");
    billed(&rig, 2).await;
    let run = rig.get("/v1/bill-runs").await.expect(200)["items"][0].clone();
    assert_eq!((&run["status"], &run["invoices"], &run["failed"]), (&json!("completed"), &json!(1), &json!(1)), "{run}");
    let failed = rig.get("/v1/events?type=account.billing_failed").await.expect(200);
    assert_eq!(failed["items"][0]["data"]["parameters"]["billingError.code"], "billing_data_unreadable", "{failed}");
}

/// The text of all Rust test files below `folder`, recognized by file or module name.
fn tests_below(folder: &Path, within_tests: bool, text: &mut String) {
    for entry in fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()) {
        let name = entry.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if entry.is_dir() {
            tests_below(&entry, within_tests || name == "tests", text);
        } else if name.ends_with(".rs") {
            let content = fs::read_to_string(&entry).expect("a file");
            if within_tests || name == "tests.rs" {
                text.push_str(&content);
            } else if let Some((_, tests)) = content.split_once("#[cfg(test)]\nmod tests {") {
                text.push_str(tests);
            }
        }
    }
}

#[test]
fn every_code_of_a_refusal_is_named_by_a_test() {
    let gateway = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the folder of the rooms");
    let mut tests = String::new();
    tests_below(gateway, false, &mut tests);
    // Codes that only a bug or an outage causes.
    let beyond_tests = ["internal_error"];
    let untested: Vec<&str> = billwire_schemas::refusal::Code::ALL
        .iter()
        .map(|code| code.as_str())
        .filter(|code| !beyond_tests.contains(code) && !tests.contains(&format!("\"{code}\"")))
        .collect();
    assert_eq!(untested, [] as [&str; 0]);
}
