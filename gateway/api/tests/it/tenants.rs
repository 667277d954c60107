//! Tenants: the operator makes, suspends and resumes them.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::rig::Rig;

/// Creates a tenant; gives its first key.
async fn tenant(rig: &Rig, name: &str) -> String {
    let made = rig.post("/v1/tenants", json!({ "tenantId": name, "name": "Acme Telecom" })).await.expect(201);
    made["entities"][0]["after"]["adminKey"].as_str().expect("a key").to_owned()
}

async fn until(rig: &Rig, key: &str, status: u16) -> Duration {
    let began = Instant::now();
    while rig.by(key, "GET", "/v1/accounts", &Value::Null).await.status != status {
        assert!(began.elapsed() < Duration::from_secs(30), "not {status}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    began.elapsed()
}

#[tokio::test]
async fn a_tenant_is_made_with_a_first_key_and_sees_nothing_of_others() {
    for rig in Rig::everywhere().await {
        rig.cycle(1).await;
        let key = tenant(&rig, "acme").await;
        assert!(key.starts_with("bw_acme_"), "{key}");
        let cycles = rig.by(&key, "GET", "/v1/bill-cycles", &Value::Null).await.expect(200);
        assert_eq!(cycles["items"], json!([]));
        let shown = rig.get("/v1/tenants/acme").await;
        assert!(!shown.text.contains(&key), "{}", shown.text);
        let shown = shown.expect(200);
        assert_eq!((&shown["tenantId"], &shown["status"], &shown["version"]), (&json!("acme"), &json!("active"), &json!(1)));
        let names = rig.get("/v1/tenants").await.expect(200)["items"].clone();
        let names: Vec<&Value> = names.as_array().expect("items").iter().map(|tenant| &tenant["tenantId"]).collect();
        assert_eq!(names, ["default", "acme"]);
        rig.patch("/v1/tenants/acme", json!({ "name": "Acme Ltd" })).await.expect(200);
        assert_eq!(rig.get("/v1/tenants/acme").await.expect(200)["name"], "Acme Ltd");
        let keys = rig.by(&key, "GET", "/v1/api-keys", &Value::Null).await.expect(200);
        assert_eq!((&keys["items"][0]["name"], &keys["items"][0]["createdBy"]), (&json!("admin"), &json!("crm")));
    }
}

#[tokio::test]
async fn a_new_tenant_begins_with_the_settings_that_the_operator_gives_it() {
    for rig in Rig::everywhere().await {
        let retention = json!({ "eventsDays": 100 });
        let asked = json!({
            "tenantId": "acme", "name": "Acme", "timeZone": "Europe/Berlin", "defaultCurrency": "CHF", "retention": retention,
        });
        let made = rig.post("/v1/tenants", asked).await.expect(201);
        let key = made["entities"][0]["after"]["adminKey"].as_str().expect("a key").to_owned();
        let billing = rig.by(&key, "GET", "/v1/billing-settings", &Value::Null).await.expect(200);
        assert_eq!(
            (&billing["timeZone"], &billing["defaultCurrency"], &billing["version"]),
            (&json!("Europe/Berlin"), &json!("CHF"), &json!(1))
        );
        assert_eq!(billing["paymentTermDays"], 14);
        let kept = rig.by(&key, "GET", "/v1/retention-settings", &Value::Null).await.expect(200);
        assert_eq!((&kept["eventsDays"], &kept["deliveriesDays"]), (&json!(100), &Value::Null));
        let cycle = json!({ "name": "M1", "period": "month", "billingDay": 1 });
        let cycle = rig.by(&key, "POST", "/v1/bill-cycles", &cycle).await.expect(201)["entities"][0]["id"].clone();
        let account = |currency: Value| json!({ "name": "A", "billCycle": cycle, "currency": currency });
        let without = json!({ "name": "A", "billCycle": cycle });
        let made = rig.by(&key, "POST", "/v1/accounts", &without).await.expect(201);
        assert_eq!(made["entities"][0]["after"]["currency"], "CHF");
        let made = rig.by(&key, "POST", "/v1/accounts", &account("EUR".into())).await.expect(201);
        assert_eq!(made["entities"][0]["after"]["currency"], "EUR");
        // The tenant changes its settings itself.
        rig.by(&key, "PUT", "/v1/billing-settings", &json!({})).await.expect(200);
        let refused = rig.by(&key, "POST", "/v1/accounts", &without).await.refused(422, "currency_required");
        assert_eq!(refused["errors"][0]["pointer"], "/currency");
    }
}

#[tokio::test]
async fn a_tenant_that_is_created_twice_at_once_is_created_once() {
    for rig in Rig::everywhere().await {
        let other = rig.beside().await;
        for number in 0..5 {
            let body = json!({ "tenantId": format!("t{number}"), "name": "Acme" });
            let (one, two) = tokio::join!(rig.post("/v1/tenants", body.clone()), other.post("/v1/tenants", body));
            let mut statuses = [one.status, two.status];
            statuses.sort_unstable();
            assert_eq!(statuses, [201, 409], "{} {}", one.text, two.text);
        }
    }
}

#[tokio::test]
async fn every_wrong_setting_of_a_new_tenant_is_named_and_no_tenant_is_made() {
    let rig = Rig::new().await;
    let asked = json!({
        "tenantId": "acme", "name": "Acme", "timeZone": "Europe/Nowhere", "defaultCurrency": "EUX", "retention": { "eventsDays": 1 },
    });
    let refused = rig.post("/v1/tenants", asked).await.refused(422, "time_zone_unknown");
    let wrong: Vec<Value> =
        refused["errors"].as_array().expect("errors").iter().map(|error| json!([error["pointer"], error["code"]])).collect();
    let unknown = [json!(["/timeZone", "time_zone_unknown"]), json!(["/defaultCurrency", "currency_unknown"])];
    assert_eq!(wrong, [&unknown[..], &[json!(["/retention/eventsDays", "retention_out_of_range"])]].concat());
    rig.get("/v1/tenants/acme").await.refused(404, "tenant_not_found");
}

#[tokio::test]
async fn a_suspended_tenants_calls_are_refused_within_a_second_until_it_is_resumed() {
    for rig in Rig::everywhere().await {
        let other = rig.beside().await;
        let (key, neighbour) = (tenant(&rig, "acme").await, tenant(&rig, "neighbour").await);
        for process in [&rig, &other] {
            until(process, &key, 200).await;
        }
        let suspended = rig.post("/v1/tenants/acme/suspend", json!({ "reason": "unpaid" })).await.expect(200);
        assert_eq!(suspended["entities"][0]["after"]["suspendedBecause"], "unpaid");
        let waits = [until(&rig, &key, 403).await, until(&other, &key, 403).await];
        assert!(waits.iter().all(|wait| *wait < Duration::from_secs(1)), "{waits:?}");
        rig.by(&key, "POST", "/v1/bill-cycles", &json!({})).await.refused(403, "tenant_suspended");
        assert_eq!(rig.by(&neighbour, "GET", "/v1/accounts", &Value::Null).await.status, 200);
        rig.post("/v1/tenants/acme/suspend", json!({})).await.refused(409, "tenant_already_suspended");
        rig.post("/v1/tenants/acme/resume", json!({})).await.expect(200);
        until(&rig, &key, 200).await;
        until(&other, &key, 200).await;
        rig.post("/v1/tenants/acme/resume", json!({})).await.refused(409, "tenant_not_suspended");
    }
}

#[tokio::test]
async fn only_the_operator_manages_tenants_and_each_refusal_has_its_code() {
    let rig = Rig::new().await;
    let key = tenant(&rig, "acme").await;
    let body = json!({ "tenantId": "x", "name": "X" });
    for (method, path) in [
        ("POST", "/v1/tenants"),
        ("GET", "/v1/tenants"),
        ("GET", "/v1/tenants/acme"),
        ("GET", "/v1/tenants/none"),
        ("PATCH", "/v1/tenants/acme"),
        ("POST", "/v1/tenants/acme/suspend"),
        ("POST", "/v1/tenants/acme/resume"),
        ("DELETE", "/v1/tenants/acme"),
        ("GET", "/v1/tenants/acme/deletion"),
    ] {
        let body = if path == "/v1/tenants" { body.clone() } else { json!({}) };
        rig.by(&key, method, path, &body).await.refused(403, "not_operator");
    }
    rig.post("/v1/tenants", json!({ "tenantId": "acme", "name": "Acme" })).await.refused(409, "tenant_exists");
    rig.post("/v1/tenants", json!({ "tenantId": "default", "name": "Acme" })).await.refused(409, "tenant_exists");
    for wrong in ["", "with space", "a.b", "ümlaut", "x".repeat(33).as_str()] {
        let refused = rig.post("/v1/tenants", json!({ "tenantId": wrong, "name": "Acme" })).await.violations("schema_violation");
        assert_eq!(refused[0].0, "/tenantId", "{wrong:?}");
    }
    rig.get("/v1/tenants/none").await.refused(404, "tenant_not_found");
    rig.post("/v1/tenants/none/suspend", json!({})).await.refused(404, "tenant_not_found");
    rig.post("/v1/tenants/default/suspend", json!({})).await.refused(409, "tenant_is_operator");
}

#[tokio::test]
async fn only_a_suspended_tenant_is_deleted_and_nothing_changes_it_afterwards() {
    for rig in Rig::everywhere().await {
        let key = tenant(&rig, "acme").await;
        rig.delete("/v1/tenants/acme").await.refused(409, "tenant_not_suspended");
        rig.delete("/v1/tenants/default").await.refused(409, "tenant_not_suspended");
        rig.delete("/v1/tenants/none").await.refused(404, "tenant_not_found");
        rig.get("/v1/tenants/acme/deletion").await.refused(404, "tenant_deletion_not_found");
        rig.post("/v1/tenants/acme/suspend", json!({})).await.expect(200);
        let asked = rig.delete("/v1/tenants/acme").await.expect(200);
        assert_eq!((&asked["entities"][0]["action"], &asked["entities"][0]["after"]["status"]), (&json!("updated"), &json!("deleting")));
        let state = rig.get("/v1/tenants/acme/deletion").await.expect(200);
        assert_eq!((&state["tenantId"], &state["rowsDeleted"], state.get("completedAt")), (&json!("acme"), &json!(0), None));
        until(&rig, &key, 403).await;
        rig.delete("/v1/tenants/acme").await.refused(409, "tenant_deleted");
        for action in ["suspend", "resume"] {
            rig.post(&format!("/v1/tenants/acme/{action}"), json!({})).await.refused(409, "tenant_deleted");
        }
        rig.patch("/v1/tenants/acme", json!({ "name": "B" })).await.refused(409, "tenant_deleted");
        rig.post("/v1/tenants", json!({ "tenantId": "acme", "name": "Acme" })).await.refused(409, "tenant_exists");
    }
}
