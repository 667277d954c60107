//! Roles: what they allow, up to which amount, and who may grant them.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::rig::{Answer, Rig};

async fn key(rig: &Rig, name: &str, roles: &[&str]) -> String {
    let made = rig.post("/v1/api-keys", json!({ "name": name, "roles": roles })).await.expect(201);
    made["entities"][0]["after"]["key"].as_str().expect("a key").to_owned()
}

fn money(amount: &str, currency: &str) -> Value {
    json!({ "amount": amount, "currency": currency })
}

fn support() -> Value {
    json!({ "name": "support", "scopes": ["charges:read", "charges:adjust"], "adjustmentCeilings": [money("2", "EUR")] })
}

async fn charged(rig: &Rig) {
    rig.at("2027-01-01T00:00:00Z").await;
    let cycle = rig.cycle(1).await;
    rig.create("/v1/accounts", json!({ "name": "A", "externalId": "A", "currency": "EUR", "billCycle": cycle })).await;
    rig.at("2027-01-03T00:00:00Z").await;
    let charge = |id: &str| json!({ "externalId": id, "account": "A", "type": "data", "amount": money("10", "EUR"), "occurredAt": "2027-01-02T00:00:00Z" });
    rig.post("/v1/chargeable-events", json!({ "items": [charge("c1"), charge("c2")] })).await.expect(200);
}

async fn adjust(rig: &Rig, key: &str, amount: &str) -> Answer {
    let body = json!({ "chargeType": "CREDIT", "amount": money(amount, "EUR"), "reason": "goodwill" });
    rig.by(key, "POST", "/v1/chargeable-events/c1/adjustments", &body).await
}

#[tokio::test]
async fn a_key_may_do_what_its_roles_say_and_a_change_counts_within_a_second() {
    for rig in Rig::everywhere().await {
        let csr = key(&rig, "desk", &["csr"]).await;
        assert_eq!(rig.by(&csr, "GET", "/v1/accounts", &Value::Null).await.status, 200);
        rig.by(&csr, "GET", "/v1/queues", &Value::Null).await.refused(403, "insufficient_scope");
        let role = rig.create("/v1/roles", json!({ "name": "viewer", "scopes": ["accounts:read"] })).await;
        let viewer = key(&rig, "viewer", &["viewer"]).await;
        let other = rig.beside().await;
        for process in [&rig, &other] {
            assert_eq!(process.by(&viewer, "GET", "/v1/accounts", &Value::Null).await.status, 200);
            process.by(&viewer, "GET", "/v1/queues", &Value::Null).await.refused(403, "insufficient_scope");
        }
        rig.patch(&format!("/v1/roles/{role}"), json!({ "scopes": ["queues:read"] })).await.expect(200);
        let changed = Instant::now();
        for process in [&rig, &other] {
            while process.by(&viewer, "GET", "/v1/accounts", &Value::Null).await.status == 200 {
                assert!(changed.elapsed() < Duration::from_secs(1), "the scope that the role lost still works");
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            assert_eq!(process.by(&viewer, "GET", "/v1/queues", &Value::Null).await.status, 200);
        }
        let shown = rig.get("/v1/api-keys").await.expect(200);
        let found = shown["items"].as_array().expect("items").iter().find(|key| key["name"] == "viewer").expect("there");
        assert_eq!((&found["roles"], &found["scopes"]), (&json!(["viewer"]), &json!([])));
    }
}

#[tokio::test]
async fn an_adjustment_over_the_ceiling_of_the_roles_is_refused_with_the_limit() {
    for rig in Rig::everywhere().await {
        charged(&rig).await;
        rig.post("/v1/roles", support()).await.expect(201);
        let clerk = key(&rig, "clerk", &["support"]).await;
        adjust(&rig, &clerk, "2").await.expect(200);
        let refused = adjust(&rig, &clerk, "2.01").await.refused(403, "over_limit");
        assert!(refused["detail"].as_str().is_some_and(|detail| detail.contains("at most 2 EUR")), "{refused}");
        // A reversal gives back more than an adjustment could.
        let reverse = async |replacement: Value| {
            let mut body = json!({ "reason": "wrong tariff" });
            if replacement != Value::Null {
                body["replacement"] = json!({ "amount": replacement });
            }
            rig.by(&clerk, "POST", "/v1/chargeable-events/c2/reverse", &body).await
        };
        reverse(Value::Null).await.refused(403, "over_limit");
        reverse(money("7.99", "EUR")).await.refused(403, "over_limit");
        reverse(money("12.01", "EUR")).await.refused(403, "over_limit");
        reverse(money("8", "EUR")).await.expect(200);
        let charge = rig.get("/v1/chargeable-events/c1").await.expect(200);
        assert_eq!(charge["netAmount"]["amount"], "8.00", "a refusal changes nothing");
        // Another role without a ceiling lifts it.
        let both = key(&rig, "both", &["support", "finance"]).await;
        adjust(&rig, &both, "5").await.expect(200);
    }
}

#[tokio::test]
async fn nobody_grants_a_role_or_a_ceiling_that_they_do_not_hold() {
    let rig = Rig::new().await;
    let keeper = json!({ "name": "keeper", "scopes": ["api_keys:write", "roles:write", "charges:read", "charges:adjust"], "adjustmentCeilings": [money("5", "EUR")] });
    rig.post("/v1/roles", keeper).await.expect(201);
    let keeper = key(&rig, "keeper", &["keeper"]).await;
    let create = async |path: &str, body: Value| rig.by(&keeper, "POST", path, &body).await;
    create("/v1/api-keys", json!({ "name": "k", "roles": ["finance"] })).await.refused(403, "scope_not_held");
    create("/v1/api-keys", json!({ "name": "k", "scopes": ["charges:adjust"] })).await.refused(403, "ceiling_not_held");
    let role = |name: &str, ceiling: Value| json!({ "name": name, "scopes": ["charges:adjust"], "adjustmentCeilings": ceiling });
    create("/v1/roles", json!({ "name": "r", "scopes": ["accounts:read"] })).await.refused(403, "scope_not_held");
    create("/v1/roles", role("r", json!([]))).await.refused(403, "ceiling_not_held");
    create("/v1/roles", role("r", json!([money("5.01", "EUR")]))).await.refused(403, "ceiling_not_held");
    create("/v1/roles", role("r", json!([money("1", "CHF")]))).await.refused(403, "ceiling_not_held");
    let made = create("/v1/roles", role("r", json!([money("5", "EUR")]))).await.expect(201);
    let path = format!("/v1/roles/{}", made["entities"][0]["id"].as_str().expect("an id"));
    rig.by(&keeper, "PATCH", &path, &json!({ "adjustmentCeilings": [] })).await.refused(403, "ceiling_not_held");
    create("/v1/api-keys", json!({ "name": "k", "roles": ["r"] })).await.expect(201);
    // Who rotates a key sees its text.
    rig.post("/v1/api-keys", json!({ "name": "strong", "roles": ["admin"] })).await.expect(201);
    let keys = rig.get("/v1/api-keys").await.expect(200);
    let strong = keys["items"].as_array().expect("items").iter().find(|key| key["name"] == "strong").expect("there")["id"].clone();
    let path = format!("/v1/api-keys/{}/rotate", strong.as_str().expect("an id"));
    rig.by(&keeper, "POST", &path, &json!({})).await.refused(403, "scope_not_held");
}

#[tokio::test]
async fn each_refusal_of_a_role_has_its_code_and_place() {
    let rig = Rig::new().await;
    let refused = async |body: Value| {
        let refused = rig.post("/v1/roles", body).await.json();
        (
            refused["errors"][0]["pointer"].as_str().unwrap_or_default().to_owned(),
            refused["errors"][0]["code"].as_str().unwrap_or_default().to_owned(),
        )
    };
    let with = |member: &str, value: Value| {
        let mut body = support();
        body[member] = value;
        body
    };
    let told = |pointer: &str, code: &str| (pointer.to_owned(), code.to_owned());
    assert_eq!(refused(with("scopes", json!([]))).await, told("/scopes", "too_few"));
    assert_eq!(refused(with("scopes", json!(["charges:adjst"]))).await, told("/scopes/0", "scope_unknown"));
    assert_eq!(refused(with("scopes", json!(["charges:read"]))).await, told("/adjustmentCeilings", "ceiling_without_scope"));
    let ceilings = |ceilings: Value| with("adjustmentCeilings", ceilings);
    assert_eq!(refused(ceilings(json!([money("1", "EUX")]))).await, told("/adjustmentCeilings/0/currency", "currency_unknown"));
    assert_eq!(refused(ceilings(json!([money("-1", "EUR")]))).await, told("/adjustmentCeilings/0/amount", "amount_negative"));
    let twice = ceilings(json!([money("1", "EUR"), money("2", "EUR")]));
    assert_eq!(refused(twice).await, told("/adjustmentCeilings/1", "ceiling_repeated"));
    rig.post("/v1/roles", with("name", json!("csr"))).await.refused(409, "name_taken");
    let role = rig.create("/v1/roles", support()).await;
    rig.post("/v1/roles", support()).await.refused(409, "name_taken");
    rig.get("/v1/roles/none").await.refused(404, "role_not_found");
    let wrong_key = |body: Value| rig.post("/v1/api-keys", body);
    let unknown = wrong_key(json!({ "name": "k", "roles": ["csr", "suport"] })).await.refused(422, "role_unknown");
    assert_eq!(unknown["errors"][0]["pointer"], "/roles/1");
    wrong_key(json!({ "name": "k" })).await.refused(422, "nothing_granted");
    let made = rig.post("/v1/api-keys", json!({ "name": "clerk", "roles": ["support"] })).await.expect(201);
    rig.delete(&format!("/v1/roles/{role}")).await.refused(409, "still_in_use");
    let clerk = made["entities"][0]["id"].as_str().expect("an id").to_owned();
    rig.post(&format!("/v1/api-keys/{clerk}/revoke"), json!({})).await.expect(200);
    rig.delete(&format!("/v1/roles/{role}")).await.expect(200);
    let predefined = rig.get("/v1/roles/predefined").await.expect(200);
    let names: Vec<&Value> = predefined["items"].as_array().expect("items").iter().map(|role| &role["name"]).collect();
    assert_eq!(names, ["admin", "auditor", "csr", "finance", "integrator", "operator", "ordering"]);
}

#[tokio::test]
async fn roles_of_a_tenant_are_its_own() {
    let rig = Rig::new().await;
    rig.post("/v1/roles", support()).await.expect(201);
    let made = rig.post("/v1/tenants", json!({ "tenantId": "acme", "name": "Acme" })).await.expect(201);
    let acme = made["entities"][0]["after"]["adminKey"].as_str().expect("a key").to_owned();
    let roles = rig.by(&acme, "GET", "/v1/roles", &Value::Null).await.expect(200);
    assert_eq!(roles["items"], json!([]));
    let key = json!({ "name": "k", "roles": ["support"] });
    rig.by(&acme, "POST", "/v1/api-keys", &key).await.refused(422, "role_unknown");
    rig.by(&acme, "POST", "/v1/roles", &json!({ "name": "support", "scopes": ["accounts:read"] })).await.expect(201);
    let made = rig.by(&acme, "POST", "/v1/api-keys", &key).await.expect(201);
    let key = made["entities"][0]["after"]["key"].as_str().expect("a key").to_owned();
    rig.by(&key, "GET", "/v1/chargeable-events", &Value::Null).await.refused(403, "insufficient_scope");
    assert_eq!(rig.by(&key, "GET", "/v1/accounts", &Value::Null).await.status, 200);
}
