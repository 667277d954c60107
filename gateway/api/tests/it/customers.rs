//! Contacts, packages, package subscriptions, services and billing settings: successful operations, their events and parameters.

use std::collections::BTreeSet;

use billwire_schemas::{
    events::catalogue::{self, Key},
    ids::EventId,
};
use serde_json::{Value, json};

use crate::rig::{Answer, Rig};

/// Checks that a response is a business transaction with exactly these events, each with the ordering key and only parameters that its
/// type offers, none of a contact. Returns the messages.
async fn caused(rig: &Rig, answer: Answer, status: u16, expected: &[&str]) -> (Value, Vec<Value>) {
    let made = answer.expect(status);
    let types: Vec<&str> = made["events"].as_array().expect("events").iter().map(|e| e["type"].as_str().expect("a type")).collect();
    assert_eq!(types, expected);
    let ids: Vec<EventId> =
        made["events"].as_array().expect("events").iter().map(|e| e["id"].as_str().expect("an id").parse().expect("an id")).collect();
    let stored = rig.store.events(&ids).await.expect("events");
    let messages: Vec<Value> = stored.iter().map(|event| serde_json::from_str(&event.body).expect("JSON")).collect();
    assert_eq!(messages.len(), expected.len());
    for message in &messages {
        let event = catalogue::find(message["type"].as_str().expect("a type")).expect("in the catalogue");
        let object = &message["data"]["object"];
        assert_eq!(object["type"], event.source);
        match event.key {
            Key::Account => assert_eq!(message["partitionkey"], made["account"]),
            Key::Object => assert_eq!(message["partitionkey"], object["id"]),
        }
        let offered: BTreeSet<&str> = event.parameters().map(|p| p.name).collect();
        for (name, value) in message["data"]["parameters"].as_object().expect("parameters") {
            assert!(offered.contains(name.as_str()), "{} does not offer {name}", event.name);
            assert!(!name.starts_with("contact."), "{} tells webhooks of a person", event.name);
            assert!(!value.is_object() && !value.is_array() && !value.is_null(), "{name} is no scalar");
        }
        assert_eq!(message["data"]["parameters"]["event.name"], event.title);
    }
    (made, messages)
}

fn after(made: &Value) -> &Value {
    &made["entities"][0]["after"]
}

fn parameter<'m>(message: &'m Value, name: &str) -> &'m Value {
    &message["data"]["parameters"][name]
}

async fn package(rig: &Rig, external_id: &str) -> String {
    let fee = json!({ "amount": "9.9", "currency": "EUR" });
    rig.create("/v1/packages", json!({ "externalId": external_id, "name": "Fleet", "recurringFee": fee })).await
}

async fn service(rig: &Rig, account: &str, external_id: &str) {
    let body = json!({ "externalId": external_id, "account": account, "name": "Truck", "serviceType": "sim" });
    rig.create("/v1/services", body).await;
}

async fn transition(rig: &Rig, service: &str, to: &str) -> Answer {
    rig.post(&format!("/v1/services/{service}/status"), json!({ "status": to, "reason": "because" })).await
}

async fn status_of(rig: &Rig, service: &str) -> String {
    rig.get(&format!("/v1/services/{service}")).await.expect(200)["status"].as_str().expect("a status").to_owned()
}

#[tokio::test]
async fn an_account_is_changed_and_deleted() {
    for rig in Rig::everywhere().await {
        let cycle = rig.cycle(1).await;
        let company = json!({ "name": "Acme Ltd", "country": "GB", "postalCode": "LS1 1AA" });
        let body =
            json!({ "externalId": "a", "name": "Acme", "currency": "EUR", "billCycle": cycle, "status": "inactive", "company": company });
        let (made, messages) = caused(&rig, rig.post("/v1/accounts", body).await, 201, &["account.created"]).await;
        assert_eq!((after(&made)["company"]["country"].as_str(), parameter(&messages[0], "company.country")), (Some("GB"), &json!("GB")));
        let contact = rig.create("/v1/contacts", json!({ "account": "a", "name": "Ada", "email": "ada@example.com" })).await;
        let wanted = json!({ "billingContact": contact, "paymentTermDays": 30 });
        let (made, messages) = caused(&rig, rig.patch("/v1/accounts/a", wanted).await, 200, &["account.updated"]).await;
        let account = after(&made);
        assert_eq!((&account["name"], &account["billingContactId"]), (&json!("Acme"), &json!(contact)));
        assert_eq!(parameter(&messages[0], "account.paymentTermDays"), 30);
        rig.delete("/v1/accounts/a").await.refused(409, "still_in_use");

        rig.create("/v1/accounts", json!({ "externalId": "b", "name": "B", "currency": "EUR", "billCycle": cycle, "status": "inactive" }))
            .await;
        let (made, _) = caused(&rig, rig.delete("/v1/accounts/b").await, 200, &["account.deleted"]).await;
        assert_eq!(made["entities"][0]["before"]["name"], "B");
        rig.get("/v1/accounts/b").await.refused(404, "account_not_found");
    }
}

#[tokio::test]
async fn a_bill_cycle_is_renamed_and_deleted() {
    for rig in Rig::everywhere().await {
        let path = format!("/v1/bill-cycles/{}", rig.cycle(3).await);
        let (made, messages) = caused(&rig, rig.patch(&path, json!({ "name": "third" })).await, 200, &["bill_cycle.updated"]).await;
        assert_eq!((&after(&made)["name"], after(&made)["billingDay"].as_u64()), (&json!("third"), Some(3)));
        assert_eq!(parameter(&messages[0], "billCycle.name"), "third");
        caused(&rig, rig.delete(&path).await, 200, &["bill_cycle.deleted"]).await;
        rig.get(&path).await.refused(404, "bill_cycle_not_found");
    }
}

#[tokio::test]
async fn a_bill_cycle_that_is_taken_up_while_it_is_deleted_stays_or_is_refused() {
    for rig in Rig::everywhere().await {
        for round in 0..20 {
            let cycle = rig.cycle(3).await;
            let path = format!("/v1/bill-cycles/{cycle}");
            let body = json!({ "name": "Acme", "currency": "EUR", "billCycle": cycle });
            let (deleted, made) = if round % 2 == 0 {
                let (made, deleted) = tokio::join!(rig.post("/v1/accounts", body), rig.delete(&path));
                (deleted, made)
            } else {
                tokio::join!(rig.delete(&path), rig.post("/v1/accounts", body))
            };
            if deleted.status == 200 {
                made.refused(422, "bill_cycle_unknown");
            } else {
                deleted.refused(409, "still_in_use");
                made.expect(201);
            }
        }
    }
}

#[tokio::test]
async fn a_contact_lives() {
    for rig in Rig::everywhere().await {
        let account = rig.account(&rig.cycle(1).await).await;
        let body = json!({ "externalId": "ada", "account": account, "role": "billing", "name": "Ada", "email": "ada@example.com", "language": "en-GB" });
        let (made, _) = caused(&rig, rig.post("/v1/contacts", body).await, 201, &["contact.created"]).await;
        let contact = after(&made).clone();
        assert_eq!(rig.get("/v1/contacts/ada").await.expect(200), contact);
        let other = rig.account(&rig.cycle(1).await).await;
        for (asked, found) in [(account.as_str(), json!([contact])), (&other, json!([])), ("nobody", json!([]))] {
            assert_eq!(rig.get(&format!("/v1/contacts?account={asked}")).await.expect(200)["items"], found);
        }
        let changed = rig.patch("/v1/contacts/ada", json!({ "phone": "+49 30 1" })).await;
        let (made, _) = caused(&rig, changed, 200, &["contact.updated"]).await;
        assert_eq!((&after(&made)["phone"], &after(&made)["email"]), (&json!("+49 30 1"), &json!("ada@example.com")));
        let key = [("idempotency-key", "once")];
        let first = rig.call("DELETE", "/v1/contacts/ada", &key, None).await;
        let again = rig.call("DELETE", "/v1/contacts/ada", &key, None).await;
        assert_eq!(
            (again.status, &again.text, again.header("idempotency-replayed")),
            (200, &first.text, "true"),
            "a repeat gets the first answer"
        );
        caused(&rig, first, 200, &["contact.deleted"]).await;
        rig.call("DELETE", "/v1/contacts/ada", &[("idempotency-key", "twice")], None).await.refused(404, "contact_not_found");
    }
}

#[tokio::test]
async fn no_message_of_an_account_tells_of_its_billing_contact() {
    for rig in Rig::everywhere().await {
        let account = rig.account(&rig.cycle(1).await).await;
        let contact = rig.create("/v1/contacts", json!({ "account": account, "name": "Ada", "email": "ada@example.com" })).await;
        rig.patch(&format!("/v1/accounts/{account}"), json!({ "billingContact": contact })).await.expect(200);
        let suspended = rig.post(&format!("/v1/accounts/{account}/status"), json!({ "status": "suspended" })).await;
        let (_, messages) = caused(&rig, suspended, 200, &["account.updated", "account.status_changed"]).await;
        assert!(messages.iter().all(|message| !message.to_string().contains("ada@example.com")));
    }
}

#[tokio::test]
async fn a_package_lives_and_is_subscribed() {
    for rig in Rig::everywhere().await {
        let account = rig.account(&rig.cycle(1).await).await;
        let fee = json!({ "amount": "9.9", "currency": "EUR" });
        let made = rig.post("/v1/packages", json!({ "externalId": "p", "name": "Fleet", "recurringFee": fee })).await;
        let (made, messages) = caused(&rig, made, 201, &["package.created"]).await;
        assert_eq!((&after(&made)["currency"], &after(&made)["recurringFee"]["amount"]), (&json!("EUR"), &json!("9.90")));
        assert_eq!(parameter(&messages[0], "package.recurringFee"), "9.90");
        let dearer = rig.patch("/v1/packages/p", json!({ "recurringFee": { "amount": "12", "currency": "EUR" } })).await;
        caused(&rig, dearer, 200, &["package.updated"]).await;
        assert_eq!(rig.get("/v1/packages?currency=EUR").await.expect(200)["items"][0]["recurringFee"]["amount"], "12.00");
        assert_eq!(rig.get("/v1/packages?currency=USD").await.expect(200), json!({ "items": [] }));
        package(&rig, "unused").await;
        caused(&rig, rig.delete("/v1/packages/unused").await, 200, &["package.deleted"]).await;

        let body = json!({ "externalId": "s", "account": account, "package": "p" });
        let (made, messages) =
            caused(&rig, rig.post("/v1/package-subscriptions", body).await, 201, &["package_subscription.created"]).await;
        let subscription = after(&made).clone();
        assert_eq!((&subscription["status"], &subscription["feeBilledUntil"]), (&json!("pending"), &subscription["startDate"]));
        assert_eq!((parameter(&messages[0], "package.name"), parameter(&messages[0], "account.name")), (&json!("Fleet"), &json!("Acme")));
        let path = "/v1/package-subscriptions/s";
        let active = rig.post(&format!("{path}/status"), json!({ "status": "active" })).await;
        let (_, messages) = caused(&rig, active, 200, &["package_subscription.updated", "package.status_changed"]).await;
        assert_eq!(
            (&messages[1]["data"]["object"]["type"], parameter(&messages[1], "package.status")),
            (&json!("packageSubscription"), &json!("active"))
        );
        for (asked, count) in
            [(format!("account={account}&package=p&status=active"), 1), ("package=unused".into(), 0), ("status=pending".into(), 0)]
        {
            let items = &rig.get(&format!("/v1/package-subscriptions?{asked}")).await.expect(200)["items"];
            assert_eq!(items.as_array().map(Vec::len), Some(count), "{asked}");
        }
        let cancelled = rig.post(&format!("{path}/cancel"), json!({ "reason": "moved" })).await;
        let types = ["package_subscription.updated", "package.status_changed", "package.cancelled"];
        let (made, messages) = caused(&rig, cancelled, 200, &types).await;
        assert_eq!(
            (&after(&made)["endDate"], parameter(&messages[2], "package.statusReason")),
            (&subscription["startDate"], &json!("moved"))
        );
    }
}

#[tokio::test]
async fn a_service_lives() {
    for rig in Rig::everywhere().await {
        let account = rig.account(&rig.cycle(1).await).await;
        package(&rig, "p").await;
        rig.create("/v1/package-subscriptions", json!({ "externalId": "s", "account": account, "package": "p" })).await;
        let body = json!({ "externalId": "x", "account": account, "packageSubscription": "s", "name": "Truck", "serviceType": "sim" });
        let (made, messages) = caused(&rig, rig.post("/v1/services", body).await, 201, &["service.created"]).await;
        assert_eq!((&after(&made)["status"], parameter(&messages[0], "package.name")), (&json!("preactive"), &json!("Fleet")));
        let (made, _) = caused(&rig, rig.patch("/v1/services/x", json!({ "name": "Van" })).await, 200, &["service.updated"]).await;
        assert_eq!((&after(&made)["name"], &after(&made)["serviceType"]), (&json!("Van"), &json!("sim")));
        let (_, messages) = caused(&rig, transition(&rig, "x", "active").await, 200, &["service.updated", "service.state_changed"]).await;
        let told =
            ["service.previousStatus", "service.status", "service.billable", "service.statusReason", "account.name", "package.status"];
        let expected = [json!("preactive"), json!("active"), json!(true), json!("because"), json!("Acme"), json!("pending")];
        assert_eq!(told.map(|name| parameter(&messages[1], name).clone()), expected);
        assert_eq!(parameter(&messages[0], "service.previousStatus"), &Value::Null, "only the transition tells of it");
        for (asked, count) in [("status=active&packageSubscription=s", 1), ("status=preactive", 0), ("account=nobody", 0)] {
            let items = &rig.get(&format!("/v1/services?{asked}")).await.expect(200)["items"];
            assert_eq!(items.as_array().map(Vec::len), Some(count), "{asked}");
        }
        service(&rig, &account, "y").await;
        caused(&rig, rig.delete("/v1/services/y").await, 200, &["service.deleted"]).await;
    }
}

#[tokio::test]
async fn services_follow_their_account_in_one_transaction() {
    for rig in Rig::everywhere().await {
        let account = rig.account(&rig.cycle(1).await).await;
        for id in ["new", "running", "resting"] {
            service(&rig, &account, id).await;
        }
        for (id, to) in [("running", "active"), ("resting", "active"), ("resting", "suspended")] {
            transition(&rig, id, to).await.expect(200);
        }
        let status = |to: &str, services: bool| {
            let (path, body) =
                (format!("/v1/accounts/{account}/status"), json!({ "status": to, "services": services, "reason": "unpaid" }));
            let rig = &rig;
            async move { rig.post(&path, body).await }
        };
        let types = ["account.updated", "account.status_changed", "service.updated", "service.state_changed"];
        let (made, messages) = caused(&rig, status("suspended", true).await, 200, &types).await;
        assert_eq!((&made["entities"][1]["type"], &made["entities"][1]["after"]["statusReason"]), (&json!("service"), &json!("unpaid")));
        assert_eq!(parameter(&messages[3], "account.status"), "suspended");
        let sequences: Vec<u64> = messages.iter().map(|m| m["sequence"].as_str().expect("text").parse().expect("a number")).collect();
        assert!(sequences.windows(2).all(|pair| pair[1] == pair[0] + 1), "{sequences:?}");
        caused(&rig, status("active", true).await, 200, &types).await;
        assert_eq!(
            [status_of(&rig, "new").await, status_of(&rig, "running").await, status_of(&rig, "resting").await],
            ["preactive", "active", "suspended"]
        );
        caused(&rig, status("suspended", false).await, 200, &types[..2]).await;
        assert_eq!(status_of(&rig, "running").await, "active");
        let cancelled = rig.call("POST", &format!("/v1/accounts/{account}/cancel"), &[], None).await;
        let of_service = ["service.updated", "service.state_changed"];
        let types =
            [&["account.updated", "account.status_changed", "account.cancelled"][..], &of_service, &of_service, &of_service].concat();
        caused(&rig, cancelled, 200, &types).await;
        for id in ["new", "running", "resting"] {
            assert_eq!(status_of(&rig, id).await, "cancelled");
        }
    }
}

#[tokio::test]
async fn billing_settings_are_the_defaults_until_they_are_set() {
    for rig in Rig::everywhere().await {
        let path = "/v1/billing-settings";
        let defaults = rig.get(path).await;
        assert_eq!(defaults.header("etag"), "\"0\"");
        let defaults = defaults.expect(200);
        assert_eq!(
            (&defaults["timeZone"], &defaults["paymentTermDays"], &defaults["deliveryOffsets"]),
            (&json!("UTC"), &json!(14), &json!([]))
        );
        let wanted = json!({ "timeZone": "Europe/Berlin", "deliveryOffsets": [{ "days": 3, "time": "09:30" }] });
        let (made, _) = caused(&rig, rig.put(path, wanted).await, 200, &[]).await;
        assert_eq!((&made["entities"][0]["action"], &made["entities"][0]["version"]), (&json!("created"), &json!(1)));
        let (made, _) = caused(&rig, rig.put(path, json!({ "paymentTermDays": 30 })).await, 200, &[]).await;
        assert_eq!((&made["entities"][0]["action"], &after(&made)["timeZone"]), (&json!("updated"), &json!("UTC")));
        assert_eq!(&rig.get(path).await.expect(200), after(&made));
    }
}

#[tokio::test]
async fn a_tenants_own_statuses_hold_from_the_next_operation_on() {
    for rig in Rig::everywhere().await {
        let account = rig.account(&rig.cycle(1).await).await;
        service(&rig, &account, "old").await;
        let model = json!({
            "statuses": [{ "name": "ordered", "billable": false }, { "name": "live", "billable": true }, { "name": "gone", "billable": false }],
            "initial": "ordered",
            "cancelled": "gone",
            "transitions": [{ "from": "ordered", "to": "live" }],
        });
        rig.put("/v1/billing-settings", json!({ "serviceStatuses": model })).await.expect(200);
        service(&rig, &account, "new").await;
        assert_eq!(status_of(&rig, "new").await, "ordered");
        transition(&rig, "new", "gone").await.refused(409, "status_transition_not_allowed");
        transition(&rig, "new", "active").await.refused(422, "status_unknown");
        let (_, messages) = caused(&rig, transition(&rig, "old", "live").await, 200, &["service.updated", "service.state_changed"]).await;
        assert_eq!(parameter(&messages[1], "service.billable"), true);
    }
}

#[tokio::test]
async fn start_and_end_of_a_subscription_are_days_in_the_tenants_time_zone() {
    for rig in Rig::everywhere().await {
        rig.post("/v1/test-clock", json!({ "now": "2031-05-31T22:30:00Z" })).await.expect(200);
        rig.put("/v1/billing-settings", json!({ "timeZone": "Europe/Berlin" })).await.expect(200);
        let account = rig.account(&rig.cycle(1).await).await;
        package(&rig, "p").await;
        let made =
            rig.post("/v1/package-subscriptions", json!({ "externalId": "s", "account": account, "package": "p" })).await.expect(201);
        assert_eq!(after(&made)["startDate"], "2031-06-01");
        let ended = rig.post("/v1/package-subscriptions/s/cancel", json!({})).await.expect(200);
        assert_eq!(after(&ended)["endDate"], "2031-06-01");
    }
}
