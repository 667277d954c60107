//! API keys: what they may do, from where and until when, and how their texts are replaced.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use billwire_api::operations;
use billwire_app::domain::access::scopes::{CALLER, SCOPES, STREAM};
use billwire_schemas::clock::{Clock, SystemClock};
use chrono::TimeDelta;
use serde_json::{Value, json};

use crate::rig::{Answer, Rig};

async fn call(rig: &Rig, key: &str) -> Answer {
    rig.raw("GET", "/v1/accounts", &[("authorization", &format!("Bearer {key}"))], "").await
}

/// Waits until a key is refused; gives how long that took.
async fn until_refused(rig: &Rig, key: &str) -> Duration {
    let began = Instant::now();
    while call(rig, key).await.status != 401 {
        assert!(began.elapsed() < Duration::from_secs(30), "the key still works");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    began.elapsed()
}

async fn make(rig: &Rig, body: Value) -> (String, String) {
    let made = rig.post("/v1/api-keys", body).await.expect(201);
    let after = &made["entities"][0]["after"];
    (after["id"].as_str().expect("an id").to_owned(), after["key"].as_str().expect("a key").to_owned())
}

async fn rotate(rig: &Rig, id: &str, overlap: u32) -> Value {
    let rotated = rig.post(&format!("/v1/api-keys/{id}/rotate"), json!({ "overlapSeconds": overlap })).await.expect(200);
    rotated["entities"][0]["after"].clone()
}

fn reader() -> Value {
    json!({ "name": "reader", "scopes": ["accounts:read"] })
}

#[test]
fn each_scope_is_one_that_an_operation_requires() {
    let required: BTreeSet<&str> = operations().map(|operation| operation.scope).filter(|scope| *scope != CALLER).chain([STREAM]).collect();
    assert_eq!(SCOPES.iter().copied().collect::<BTreeSet<_>>(), required);
}

#[tokio::test]
async fn a_key_does_what_its_scopes_say_and_its_text_is_shown_once() {
    for rig in Rig::everywhere().await {
        let (id, key) = make(&rig, reader()).await;
        assert!(key.starts_with("bw_default_"), "{key}");
        assert_eq!(call(&rig, &key).await.status, 200);
        let header = [("authorization", format!("Bearer {key}"))];
        let headers: Vec<(&str, &str)> = header.iter().map(|(name, value)| (*name, value.as_str())).collect();
        rig.raw("GET", "/v1/queues", &headers, "").await.refused(403, "insufficient_scope");
        let shown = loop {
            let shown = rig.get(&format!("/v1/api-keys/{id}")).await.expect(200);
            if shown["lastUsedAt"].is_string() {
                break shown;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        };
        assert_eq!((&shown["createdBy"], &shown["scopes"], shown.get("key")), (&json!("crm"), &json!(["accounts:read"]), None));
        assert!(key.starts_with(shown["startsWith"].as_str().expect("a beginning")) && shown["startsWith"] != key.as_str());
        let all = rig.get("/v1/api-keys").await;
        assert!(!all.text.contains(&key), "{}", all.text);
        assert_eq!(all.json()["items"].as_array().map(Vec::len), Some(2));
        let transactions = rig.get("/v1/business-transactions?operation=createApiKey").await;
        assert!(!transactions.text.contains(&key), "{}", transactions.text);
    }
}

#[tokio::test]
async fn a_wrong_character_and_a_key_of_nobody_look_the_same() {
    let rig = Rig::new().await;
    let (_, key) = make(&rig, reader()).await;
    let mistyped = key.replace("bw_default_", "bw_default_x");
    let without = |answer: Answer| {
        let mut answer = answer.refused(401, "unauthenticated");
        answer["requestId"] = Value::Null;
        answer
    };
    assert_eq!(without(call(&rig, &mistyped).await), without(call(&rig, "a-key-of-nobody").await));
}

#[tokio::test]
async fn a_rotated_key_works_with_both_texts_for_the_overlap() {
    for rig in Rig::everywhere().await {
        let (id, first) = make(&rig, reader()).await;
        let second = rotate(&rig, &id, 3600).await;
        assert!(second["formerWorksUntil"].is_string() && second["rotatedAt"].is_string(), "{second}");
        let second = second["key"].as_str().expect("a key").to_owned();
        assert_eq!([call(&rig, &first).await.status, call(&rig, &second).await.status], [200, 200]);
        let third = rotate(&rig, &id, 0).await["key"].as_str().expect("a key").to_owned();
        until_refused(&rig, &first).await;
        until_refused(&rig, &second).await;
        assert_eq!(call(&rig, &third).await.status, 200);
    }
}

#[tokio::test]
async fn a_revoked_key_is_refused_within_a_second_in_every_process_and_can_be_deleted() {
    for rig in Rig::everywhere().await {
        let other = rig.beside().await;
        let (id, key) = make(&rig, reader()).await;
        assert_eq!([call(&rig, &key).await.status, call(&other, &key).await.status], [200, 200]);
        let path = format!("/v1/api-keys/{id}");
        rig.delete(&path).await.refused(409, "api_key_in_force");
        let began = Instant::now();
        rig.post(&format!("{path}/revoke"), json!({})).await.expect(200);
        let waits = [until_refused(&rig, &key).await, until_refused(&other, &key).await];
        assert!(began.elapsed() < Duration::from_secs(1) || waits.iter().all(|wait| *wait < Duration::from_secs(1)), "{waits:?}");
        rig.post(&format!("{path}/revoke"), json!({})).await.refused(409, "api_key_revoked");
        rig.post(&format!("{path}/rotate"), json!({})).await.refused(409, "api_key_revoked");
        rig.post("/v1/api-keys", reader()).await.refused(409, "name_taken");
        rig.delete(&path).await.expect(200);
        rig.get(&path).await.refused(404, "api_key_not_found");
        make(&rig, reader()).await;
    }
}

#[tokio::test]
async fn an_expired_key_is_refused() {
    let rig = Rig::new().await;
    let at = SystemClock.now() + TimeDelta::milliseconds(1_500);
    let body = json!({ "name": "short", "scopes": ["accounts:read"], "expiresAt": at });
    let (id, key) = make(&rig, body).await;
    assert_eq!(call(&rig, &key).await.status, 200);
    until_refused(&rig, &key).await;
    rig.post(&format!("/v1/api-keys/{id}/rotate"), json!({})).await.refused(409, "api_key_expired");
    rig.delete(&format!("/v1/api-keys/{id}")).await.expect(200);
}

#[tokio::test]
async fn a_key_is_refused_from_an_address_outside_its_networks() {
    let rig = Rig::new().await;
    let (_, key) = make(&rig, json!({ "name": "office", "scopes": ["accounts:read"], "allowedNetworks": ["203.0.113.0/24"] })).await;
    // These calls come from no address at all; `tests/it/keys.rs` calls from a real one.
    call(&rig, &key).await.refused(403, "network_not_allowed");
}

#[tokio::test]
async fn each_refusal_of_an_api_key_has_its_code_and_place() {
    let rig = Rig::new().await;
    let refused = async |member: &str, value: Value| {
        let mut body = reader();
        body[member] = value;
        let refused = rig.post("/v1/api-keys", body).await;
        let status = refused.status;
        let errors = refused.json()["errors"].clone();
        (status, errors[0]["pointer"].as_str().unwrap_or_default().to_owned(), errors[0]["code"].as_str().unwrap_or_default().to_owned())
    };
    let told = |status: u16, pointer: &str, code: &str| (status, pointer.to_owned(), code.to_owned());
    assert_eq!(refused("scopes", json!([])).await, told(422, "", "nothing_granted"));
    assert_eq!(refused("roles", json!(["finanse"])).await, told(422, "/roles/0", "role_unknown"));
    assert_eq!(refused("scopes", json!(["acounts:read"])).await, told(422, "/scopes/0", "scope_unknown"));
    assert_eq!(refused("scopes", json!(["accounts:read", "accounts:*"])).await, told(422, "/scopes/1", "scope_unknown"));
    assert_eq!(refused("expiresAt", json!("2020-01-01T00:00:00Z")).await, told(422, "/expiresAt", "expiry_not_ahead"));
    assert_eq!(refused("expiresAt", json!("2999-01-01T00:00:00Z")).await, told(422, "/expiresAt", "expiry_not_ahead"));
    assert_eq!(refused("allowedNetworks", json!(["10.0.0.0/33"])).await, told(422, "/allowedNetworks/0", "network_invalid"));
    assert_eq!(refused("allowedNetworks", json!(["example.com"])).await, told(422, "/allowedNetworks/0", "network_invalid"));
    rig.post("/v1/api-keys/none/rotate", json!({})).await.refused(404, "api_key_not_found");
    rig.post("/v1/api-keys/none/revoke", json!({})).await.refused(404, "api_key_not_found");
}

#[tokio::test]
async fn nobody_grants_what_they_do_not_hold_or_sees_the_text_of_who_may_more() {
    for rig in Rig::everywhere().await {
        let (strong, _) = make(&rig, json!({ "name": "strong", "scopes": ["*"] })).await;
        let (weak, keeper) = make(&rig, json!({ "name": "keeper", "scopes": ["api_keys:write", "accounts:read"] })).await;
        let header = format!("Bearer {keeper}");
        let json = [("authorization", header.as_str()), ("content-type", "application/json")];
        let post = async |path: &str, body: Value| rig.raw("POST", path, &json, body.to_string()).await;
        post("/v1/api-keys", json!({ "name": "x", "scopes": ["*"] })).await.refused(403, "scope_not_held");
        post("/v1/api-keys", json!({ "name": "x", "scopes": ["accounts:write"] })).await.refused(403, "scope_not_held");
        post(&format!("/v1/api-keys/{strong}/rotate"), json!({})).await.refused(403, "scope_not_held");
        post("/v1/api-keys", json!({ "name": "x", "scopes": ["accounts:read"] })).await.expect(201);
        post(&format!("/v1/api-keys/{weak}/rotate"), json!({})).await.expect(200);
    }
}

#[tokio::test]
async fn another_tenants_keys_are_not_there() {
    for rig in Rig::everywhere().await {
        let (id, key) = make(&rig, reader()).await;
        let foreign = rig.key_of("other", &["*"]).await;
        let header = format!("Bearer {foreign}");
        let json = [("authorization", header.as_str()), ("content-type", "application/json")];
        for (method, path) in [("GET", ""), ("POST", "/rotate"), ("POST", "/revoke"), ("DELETE", "")] {
            let body = if method == "POST" { "{}" } else { "" };
            rig.raw(method, &format!("/v1/api-keys/{id}{path}"), &json, body).await.refused(404, "api_key_not_found");
        }
        let theirs = rig.raw("GET", "/v1/api-keys", &json, "").await;
        assert!(!theirs.text.contains(&id), "{}", theirs.text);
        assert_eq!(call(&rig, &key).await.status, 200);
    }
}

#[tokio::test]
async fn keys_of_version_0_2_go_on_working_with_another_hash() {
    let rig = Rig::new().await;
    // Two of one name.
    for (id, hash) in [
        ("8c1c6a4e0e0fba52", "0a6b8ea6f2e2f9b3f8c8dd2e0f9a9b84b1b4b0cc44cbb7a07aa3b1a7a1a2ff01"),
        ("3f2b9d0a7c6e5f41", "5e884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8"),
    ] {
        rig.damage(&format!(
            "INSERT INTO api_key (id, tenant, name, hash, scopes, created_at) VALUES ('{id}', 'default', 'old', '{hash}', 'accounts:read', 0)"
        ));
    }
    let after = rig.beside().await;
    // The second hash is that of this word.
    assert_eq!(call(&after, "password").await.status, 200);
    let names = after.get("/v1/api-keys").await.expect(200)["items"].clone();
    let names = names.as_array().expect("items").iter().filter_map(|key| key["name"].as_str());
    let former: BTreeSet<&str> = names.filter(|name| name.starts_with("old")).collect();
    assert_eq!(former.len(), 2, "each has a name of its own: {former:?}");
}

#[tokio::test]
async fn every_caller_may_ask_who_they_are() {
    let rig = Rig::new().await;
    let made = rig.post("/v1/api-keys", reader()).await.expect(201)["entities"][0]["after"].clone();
    let key = made["key"].as_str().expect("a key");
    let told = rig.by(key, "GET", "/v1/caller", &Value::Null).await.expect(200);
    assert_eq!((&told["actor"], &told["scopes"], &told["apiKeyId"]), (&json!("reader"), &json!(["accounts:read"]), &made["id"]));
    assert_eq!(told["tenantId"], "default");
    rig.by(key, "GET", "/v1/queues", &Value::Null).await.refused(403, "insufficient_scope");
    let all = rig.get("/v1/caller").await.expect(200);
    assert_eq!(all["scopes"], json!(["*"]));
    let refused = rig.post("/v1/api-keys", json!({ "name": "k", "scopes": ["caller:read"] })).await;
    assert_eq!(refused.status, 422, "what everybody has is not granted: {}", refused.text);
}
