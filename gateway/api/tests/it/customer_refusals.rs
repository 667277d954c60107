//! Each refusal of contacts, packages, package subscriptions, services and billing settings, with its code.

use serde_json::{Value, json};

use crate::rig::Rig;

const NOBODY: &str = "0198c0de-0000-7000-8000-00000000dead";

/// Pointer and code of each violation.
fn errors(problem: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    problem["errors"].as_array().expect("errors").iter().map(|e| (text(&e["pointer"]), text(&e["code"]))).collect()
}

fn one(pointer: &str, code: &str) -> Vec<(String, String)> {
    vec![(pointer.to_owned(), code.to_owned())]
}

#[tokio::test]
async fn contacts() {
    let rig = Rig::new().await;
    let cycle = rig.cycle(1).await;
    let account = rig.account(&cycle).await;
    let make = |id: &str, account: &str| {
        let body = json!({ "externalId": id, "account": account, "name": "Ada", "email": "ada@example.com" });
        let rig = &rig;
        async move { rig.post("/v1/contacts", body).await }
    };
    assert_eq!(errors(&make("a", NOBODY).await.refused(422, "account_unknown")), one("/account", "account_unknown"));
    make("a", &account).await.expect(201);
    make("a", &account).await.refused(409, "external_id_taken");
    rig.patch(&format!("/v1/accounts/{account}"), json!({ "billingContact": "a" })).await.expect(200);
    rig.delete("/v1/contacts/a").await.refused(409, "still_in_use");
    for missing in ["nowhere", NOBODY] {
        rig.get(&format!("/v1/contacts/{missing}")).await.refused(404, "contact_not_found");
        rig.patch(&format!("/v1/contacts/{missing}"), json!({})).await.refused(404, "contact_not_found");
        rig.delete(&format!("/v1/contacts/{missing}")).await.refused(404, "contact_not_found");
    }
    rig.call("PATCH", "/v1/contacts/a", &[("if-match", "\"9\"")], Some(&json!({}))).await.refused(412, "stale_version");
    rig.post(&format!("/v1/accounts/{account}/cancel"), json!({})).await.expect(200);
    make("b", &account).await.refused(409, "account_deactivated");
    rig.patch("/v1/contacts/a", json!({ "name": "Bea" })).await.refused(409, "account_deactivated");
    rig.delete("/v1/contacts/a").await.refused(409, "account_deactivated");
}

#[tokio::test]
async fn packages() {
    let rig = Rig::new().await;
    let make = |id: &str, amount: &str, currency: &str| {
        let body = json!({ "externalId": id, "name": "Fleet", "recurringFee": { "amount": amount, "currency": currency } });
        let rig = &rig;
        async move { rig.post("/v1/packages", body).await }
    };
    make("p", "1e3", "EUR").await.violations("schema_violation");
    for (amount, code) in [
        ("-1", "amount_negative"),
        ("0.001", "amount_too_fine"),
        ("0.0000001", "amount_too_fine"),
        ("9000000000001", "amount_out_of_range"),
    ] {
        assert_eq!(errors(&make("p", amount, "EUR").await.refused(422, code)), one("/recurringFee/amount", code));
    }
    assert_eq!(errors(&make("p", "1", "EUX").await.refused(422, "currency_unknown")), one("/recurringFee/currency", "currency_unknown"));
    make("p", "9.90", "EUR").await.expect(201);
    make("p", "9.90", "EUR").await.refused(409, "external_id_taken");
    let fee = |amount: &str, currency: &str| json!({ "recurringFee": { "amount": amount, "currency": currency } });
    let other = rig.patch("/v1/packages/p", fee("5", "USD")).await.refused(422, "currency_mismatch");
    assert_eq!(errors(&other), one("/recurringFee/currency", "currency_mismatch"));
    rig.patch("/v1/packages/p", fee("-5", "EUR")).await.refused(422, "amount_negative");
    for missing in ["nowhere", NOBODY] {
        rig.get(&format!("/v1/packages/{missing}")).await.refused(404, "package_not_found");
        rig.patch(&format!("/v1/packages/{missing}"), json!({})).await.refused(404, "package_not_found");
        rig.delete(&format!("/v1/packages/{missing}")).await.refused(404, "package_not_found");
    }
    let account = rig.account(&rig.cycle(1).await).await;
    let subscription = rig.create("/v1/package-subscriptions", json!({ "account": account, "package": "p" })).await;
    rig.delete("/v1/packages/p").await.refused(409, "still_in_use");
    rig.post(&format!("/v1/package-subscriptions/{subscription}/cancel"), json!({})).await.expect(200);
    rig.delete("/v1/packages/p").await.refused(409, "still_in_use");
}

#[tokio::test]
async fn package_subscriptions() {
    let rig = Rig::new().await;
    let account = rig.account(&rig.cycle(1).await).await;
    rig.create("/v1/packages", json!({ "externalId": "p", "name": "P", "recurringFee": { "amount": "1", "currency": "EUR" } })).await;
    rig.create("/v1/packages", json!({ "externalId": "d", "name": "D", "recurringFee": { "amount": "1", "currency": "USD" } })).await;
    let subscribe = |account: &str, more: Value| {
        let mut body = json!({ "account": account, "package": "p" });
        body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        let rig = &rig;
        async move { rig.post("/v1/package-subscriptions", body).await }
    };
    let refused = subscribe("nobody", json!({})).await.refused(422, "account_unknown");
    assert_eq!(errors(&refused), one("/account", "account_unknown"));
    let refused = subscribe(&account, json!({ "package": "nothing" })).await.refused(422, "package_unknown");
    assert_eq!(errors(&refused), one("/package", "package_unknown"));
    let refused = subscribe(&account, json!({ "package": "d" })).await.refused(422, "currency_mismatch");
    assert_eq!(errors(&refused), one("/package", "currency_mismatch"));
    let refused = subscribe(&account, json!({ "startDate": "2001-01-01" })).await.refused(422, "start_date_out_of_range");
    assert_eq!(errors(&refused), one("/startDate", "start_date_out_of_range"));
    assert_eq!(
        subscribe(&account, json!({ "startDate": "2027-02-30" })).await.violations("schema_violation"),
        [("/startDate".to_owned(), "format".to_owned())]
    );
    subscribe(&account, json!({ "externalId": "s" })).await.expect(201);
    subscribe(&account, json!({ "externalId": "s" })).await.refused(409, "external_id_taken");

    let status = |id: &str, to: &str| {
        let (path, body) = (format!("/v1/package-subscriptions/{id}/status"), json!({ "status": to }));
        let rig = &rig;
        async move { rig.post(&path, body).await }
    };
    let cancel = |id: &str| {
        let path = format!("/v1/package-subscriptions/{id}/cancel");
        let rig = &rig;
        async move { rig.call("POST", &path, &[], None).await }
    };
    assert_eq!(errors(&status("s", "gone").await.refused(422, "status_unknown")), one("/status", "status_unknown"));
    status("s", "pending").await.refused(409, "status_unchanged");
    status("s", "suspended").await.refused(409, "status_transition_not_allowed");
    for missing in ["nowhere", NOBODY] {
        rig.get(&format!("/v1/package-subscriptions/{missing}")).await.refused(404, "package_subscription_not_found");
        status(missing, "active").await.refused(404, "package_subscription_not_found");
        cancel(missing).await.refused(404, "package_subscription_not_found");
    }
    subscribe(&account, json!({ "externalId": "t" })).await.expect(201);
    cancel("s").await.expect(200);
    cancel("s").await.refused(409, "package_subscription_cancelled");
    rig.post(&format!("/v1/accounts/{account}/cancel"), json!({})).await.expect(200);
    subscribe(&account, json!({})).await.refused(409, "account_deactivated");
    status("t", "active").await.refused(409, "account_deactivated");
    cancel("t").await.refused(409, "account_deactivated");
}

#[tokio::test]
async fn services() {
    let rig = Rig::new().await;
    let cycle = rig.cycle(1).await;
    let (account, other) = (rig.account(&cycle).await, rig.account(&cycle).await);
    rig.create("/v1/packages", json!({ "externalId": "p", "name": "P", "recurringFee": { "amount": "1", "currency": "EUR" } })).await;
    rig.create("/v1/package-subscriptions", json!({ "externalId": "mine", "account": account, "package": "p" })).await;
    rig.create("/v1/package-subscriptions", json!({ "externalId": "foreign", "account": other, "package": "p" })).await;
    let make = |id: &str, account: &str, subscription: Option<&str>| {
        let mut body = json!({ "externalId": id, "account": account, "name": "Truck", "serviceType": "sim" });
        if let Some(subscription) = subscription {
            body["packageSubscription"] = subscription.into();
        }
        let rig = &rig;
        async move { rig.post("/v1/services", body).await }
    };
    assert_eq!(errors(&make("a", NOBODY, None).await.refused(422, "account_unknown")), one("/account", "account_unknown"));
    for (subscription, code) in [("none", "package_subscription_unknown"), ("foreign", "package_subscription_of_other_account")] {
        assert_eq!(errors(&make("a", &account, Some(subscription)).await.refused(422, code)), one("/packageSubscription", code));
    }
    make("a", &account, Some("mine")).await.expect(201);
    make("a", &account, None).await.refused(409, "external_id_taken");
    rig.post("/v1/package-subscriptions/mine/cancel", json!({})).await.expect(200);
    make("b", &account, Some("mine")).await.refused(422, "package_subscription_ended");

    let transition = |id: &str, to: &str| {
        let (path, body) = (format!("/v1/services/{id}/status"), json!({ "status": to }));
        let rig = &rig;
        async move { rig.post(&path, body).await }
    };
    assert_eq!(errors(&transition("a", "gone").await.refused(422, "status_unknown")), one("/status", "status_unknown"));
    transition("a", "preactive").await.refused(409, "status_unchanged");
    transition("a", "suspended").await.refused(409, "status_transition_not_allowed");
    transition("a", "active").await.expect(200);
    rig.delete("/v1/services/a").await.refused(409, "service_not_initial");
    for missing in ["nowhere", NOBODY] {
        rig.get(&format!("/v1/services/{missing}")).await.refused(404, "service_not_found");
        rig.patch(&format!("/v1/services/{missing}"), json!({})).await.refused(404, "service_not_found");
        rig.delete(&format!("/v1/services/{missing}")).await.refused(404, "service_not_found");
        transition(missing, "active").await.refused(404, "service_not_found");
    }
    rig.call("PATCH", "/v1/services/a", &[("if-match", "\"1\"")], Some(&json!({}))).await.refused(412, "stale_version");
    rig.post(&format!("/v1/accounts/{account}/cancel"), json!({ "services": false })).await.expect(200);
    make("c", &account, None).await.refused(409, "account_deactivated");
    transition("a", "suspended").await.refused(409, "account_deactivated");
    rig.patch("/v1/services/a", json!({ "name": "x" })).await.refused(409, "account_deactivated");
    rig.delete("/v1/services/a").await.refused(409, "account_deactivated");
}

#[tokio::test]
async fn billing_settings() {
    let rig = Rig::new().await;
    let put = |body: Value| rig.put("/v1/billing-settings", body);
    let offset = |days: u32, time: &str| json!({ "days": days, "time": time });
    let model = |change: &dyn Fn(&mut Value)| {
        let way = |from: &str, to: &str| json!({ "from": from, "to": to });
        let mut model = json!({
            "statuses": [{ "name": "on", "billable": true }, { "name": "off", "billable": false }],
            "initial": "on",
            "cancelled": "off",
            "transitions": [way("on", "off")],
        });
        change(&mut model);
        json!({ "serviceStatuses": model })
    };
    let many: Vec<Value> = (0..21).map(|days| offset(days, "10:00")).collect();
    let ways = |ways: &[(&str, &str)]| Value::from(ways.iter().map(|(from, to)| json!({ "from": from, "to": to })).collect::<Vec<_>>());
    for (body, pointer, code) in [
        (json!({ "timeZone": "Mars/Olympus" }), "/timeZone", "time_zone_unknown"),
        (json!({ "paymentTermDays": 366 }), "/paymentTermDays", "payment_term_out_of_range"),
        (json!({ "deliveryOffsets": many }), "/deliveryOffsets", "too_many_delivery_offsets"),
        (json!({ "deliveryOffsets": [offset(366, "10:00")] }), "/deliveryOffsets/0/days", "delivery_offset_out_of_range"),
        (json!({ "deliveryOffsets": [offset(1, "25:00")] }), "/deliveryOffsets/0/time", "time_of_day_invalid"),
        (json!({ "deliveryOffsets": [offset(1, "10:00"), offset(1, "10:00")] }), "/deliveryOffsets/1", "delivery_offset_repeated"),
        (model(&|m| m["statuses"][1]["name"] = "on".into()), "/serviceStatuses/statuses/1/name", "status_repeated"),
        (model(&|m| m["suspended"] = "gone".into()), "/serviceStatuses/suspended", "status_unknown"),
        (model(&|m| m["transitions"] = ways(&[("off", "on")])), "/serviceStatuses/transitions/0/from", "cancelled_is_final"),
        (model(&|m| m["transitions"] = ways(&[("on", "on")])), "/serviceStatuses/transitions/0/to", "transition_to_itself"),
        (model(&|m| m["transitions"] = ways(&[("on", "off"), ("on", "off")])), "/serviceStatuses/transitions/1", "transition_repeated"),
    ] {
        let found = errors(&put(body).await.refused(422, code));
        assert!(found.contains(&(pointer.to_owned(), code.to_owned())), "{found:?}");
    }
    let same = model(&|m| {
        m["initial"] = "off".into();
        m["transitions"] = ways(&[]);
    });
    assert_eq!(
        errors(&put(same).await.refused(422, "initial_status_is_cancelled")),
        one("/serviceStatuses/initial", "initial_status_is_cancelled")
    );
    rig.call("PUT", "/v1/billing-settings", &[("if-match", "\"1\"")], Some(&json!({}))).await.refused(412, "stale_version");
    rig.call("PUT", "/v1/billing-settings", &[("if-match", "\"0\"")], Some(&json!({}))).await.expect(200);
}

#[tokio::test]
async fn an_account_with_too_many_services_does_not_take_them_along() {
    let rig = Rig::new().await;
    let account = rig.account(&rig.cycle(1).await).await;
    for number in 0..451 {
        let service = json!({ "account": account, "name": format!("Truck {number}"), "serviceType": "sim" });
        rig.post("/v1/services", service).await.expect(201);
    }
    rig.post(&format!("/v1/accounts/{account}/cancel"), json!({})).await.refused(409, "too_many_services");
    // No service is in a status that a suspension changes.
    rig.post(&format!("/v1/accounts/{account}/status"), json!({ "status": "suspended", "services": true })).await.expect(200);
    rig.post(&format!("/v1/accounts/{account}/cancel"), json!({ "services": false })).await.expect(200);
}
