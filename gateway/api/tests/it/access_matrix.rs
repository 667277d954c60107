//! Every operation with every kind of credential that must not work: refused alike, whatever the rest of the request is.

use std::time::{Duration, Instant};

use billwire_api::{Options, openapi};
use billwire_schemas::clock::{Clock, SystemClock};
use chrono::TimeDelta;
use serde_json::{Value, json};

use crate::{
    document::operations,
    issuer::{Signer, claims, now, provider, with},
    rig::Rig,
};

/// A key of the operator's tenant with every scope: its id and its text.
async fn key(rig: &Rig, name: &str, more: Value) -> (String, String) {
    let mut body = json!({ "name": name, "scopes": ["*"] });
    for (member, value) in more.as_object().into_iter().flatten() {
        body[member] = value.clone();
    }
    let made = rig.post("/v1/api-keys", body).await.expect(201)["entities"][0]["after"].clone();
    let text = |member: &str| made[member].as_str().expect("a text").to_owned();
    (text("id"), text("key"))
}

#[tokio::test]
async fn no_operation_takes_a_credential_that_does_not_work() {
    for rig in Rig::everywhere_with(Options { wrong_credentials_per_minute: 0, ..Rig::options() }).await {
        let (revoked_id, revoked) = key(&rig, "revoked", json!({})).await;
        rig.post(&format!("/v1/api-keys/{revoked_id}/revoke"), json!({})).await.expect(200);
        let (rotated_id, rotated) = key(&rig, "rotated", json!({})).await;
        rig.post(&format!("/v1/api-keys/{rotated_id}/rotate"), json!({ "overlapSeconds": 0 })).await.expect(200);
        let soon = SystemClock.now() + TimeDelta::milliseconds(1_500);
        let (_, expired) = key(&rig, "expired", json!({ "expiresAt": soon.to_rfc3339() })).await;
        let (_, elsewhere) = key(&rig, "elsewhere", json!({ "allowedNetworks": ["203.0.113.0/24"] })).await;
        let made = rig.post("/v1/tenants", json!({ "tenantId": "acme", "name": "Acme" })).await.expect(201);
        let suspended = made["entities"][0]["after"]["adminKey"].as_str().expect("a key").to_owned();
        rig.post("/v1/tenants/acme/suspend", json!({})).await.expect(200);
        let begun = Instant::now();
        while SystemClock.now() <= soon {
            assert!(begun.elapsed() < Duration::from_secs(30), "the key does not expire");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        // Ours, but for one character.
        let mut forged = rig.key.clone();
        let last = if forged.ends_with('a') { 'b' } else { 'a' };
        forged.pop();
        forged.push(last);
        let unknown = format!("{}x", &revoked[..revoked.len() - 1]);
        let (issuer, signer) = ("https://login.example.com", Signer::new("ES256", "k"));
        rig.issuers.publish(issuer, &[&signer]);
        rig.post("/v1/identity-providers", provider("Staff", issuer, &["admin"])).await.expect(201);
        let person = claims(issuer, "jane", &["admin"]);
        let expired_token = signer.token(&with(&person, json!({ "iat": now() - 400, "exp": now() - 100 })));
        let forged_token = Signer::new("ES256", "k").token(&person);
        let no_role = signer.token(&claims(issuer, "jane", &[]));
        rig.by(&signer.token(&person), "GET", "/v1/queues", &Value::Null).await.expect(200);
        for (_, method, path, _) in operations(&openapi()) {
            for (what, text, status, code) in [
                ("unknown", &unknown, 401, "unauthenticated"),
                ("forged", &forged, 401, "unauthenticated"),
                ("revoked", &revoked, 401, "unauthenticated"),
                ("rotated", &rotated, 401, "unauthenticated"),
                ("expired", &expired, 401, "unauthenticated"),
                ("from elsewhere", &elsewhere, 403, "network_not_allowed"),
                ("an expired token", &expired_token, 401, "unauthenticated"),
                ("a forged token", &forged_token, 401, "unauthenticated"),
                ("a token without a role", &no_role, 403, "no_role"),
                ("suspended", &suspended, 403, "tenant_suspended"),
            ] {
                let answer = rig.raw(&method, &path, &[("authorization", &format!("Bearer {text}"))], b"not JSON".to_vec()).await;
                let found = answer.json()["code"].clone();
                assert_eq!((answer.status, found.as_str()), (status, Some(code)), "{method} {path} with a key that is {what}");
            }
        }
    }
}
