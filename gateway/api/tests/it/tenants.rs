//! Tenants: the operator makes, suspends and resumes them.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::rig::{Answer, Rig};

async fn as_tenant(rig: &Rig, key: &str, method: &str, path: &str, body: &Value) -> Answer {
    let header = format!("Bearer {key}");
    let headers = [("authorization", header.as_str()), ("content-type", "application/json")];
    let body = if method == "GET" { String::new() } else { body.to_string() };
    rig.raw(method, path, &headers, body).await
}

/// Creates a tenant; gives its first key.
async fn tenant(rig: &Rig, name: &str) -> String {
    let made = rig.post("/v1/tenants", json!({ "tenantId": name, "name": "Acme Telecom" })).await.expect(201);
    made["entities"][0]["after"]["adminKey"].as_str().expect("a key").to_owned()
}

async fn until(rig: &Rig, key: &str, status: u16) -> Duration {
    let began = Instant::now();
    while as_tenant(rig, key, "GET", "/v1/accounts", &Value::Null).await.status != status {
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
        let cycles = as_tenant(&rig, &key, "GET", "/v1/bill-cycles", &Value::Null).await.expect(200);
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
        let keys = as_tenant(&rig, &key, "GET", "/v1/api-keys", &Value::Null).await.expect(200);
        assert_eq!((&keys["items"][0]["name"], &keys["items"][0]["createdBy"]), (&json!("admin"), &json!("crm")));
    }
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
        as_tenant(&rig, &key, "POST", "/v1/bill-cycles", &json!({})).await.refused(403, "tenant_suspended");
        assert_eq!(as_tenant(&rig, &neighbour, "GET", "/v1/accounts", &Value::Null).await.status, 200);
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
    ] {
        let body = if path == "/v1/tenants" { body.clone() } else { json!({}) };
        as_tenant(&rig, &key, method, path, &body).await.refused(403, "not_operator");
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
