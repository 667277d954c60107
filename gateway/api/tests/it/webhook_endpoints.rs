//! Webhook endpoints: allowed settings, hidden secrets, and changes.

use serde_json::{Value, json};

use crate::rig::{Answer, Rig};

const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";
const KEY: &str = "-----BEGIN PRIVATE KEY-----\nS0VZ\n-----END PRIVATE KEY-----\n";

async fn create(rig: &Rig, more: Value) -> Answer {
    let mut body = json!({ "name": "crm", "url": "https://crm.example.com/hooks" });
    if let (Some(body), Some(more)) = (body.as_object_mut(), more.as_object()) {
        body.extend(more.clone());
    }
    rig.post("/v1/webhook-endpoints", body).await
}

fn after(done: &Value) -> &Value {
    &done["entities"][0]["after"]
}

#[tokio::test]
async fn what_does_not_go_with_the_way_a_call_says_who_it_is_is_named() {
    let rig = Rig::new().await;
    let missing = create(&rig, json!({ "auth": { "type": "oauth2", "tokenUrl": "https://a.example.com", "password": "p" } })).await;
    let named = [("/auth/clientId", "missing"), ("/auth/clientSecret", "missing"), ("/auth/password", "not_allowed")];
    assert_eq!(missing.violations("schema_violation"), named.map(|(at, code)| (at.to_owned(), code.to_owned())));
    let half = create(&rig, json!({ "clientCertificate": { "certificate": CERTIFICATE } })).await;
    assert_eq!(half.violations("schema_violation"), [("/clientCertificate/key".to_owned(), "missing".to_owned())]);
    let injected = create(&rig, json!({ "headers": { "X-Key": "a\r\nHost: b" } })).await;
    assert_eq!(injected.violations("schema_violation")[0].0, "/headers/X-Key");
}

#[tokio::test]
async fn headers_certificates_and_token_addresses_have_rules() {
    let rig = Rig::new().await;
    create(&rig, json!({ "headers": { "Host": "x" } })).await.refused(422, "header_not_allowed");
    let many: serde_json::Map<String, Value> = (0..21).map(|number| (format!("X-{number}"), json!("v"))).collect();
    create(&rig, json!({ "headers": many })).await.refused(422, "headers_too_many");
    let swapped = json!({ "clientCertificate": { "certificate": KEY, "key": CERTIFICATE } });
    create(&rig, swapped).await.refused(422, "client_certificate_invalid");
    for leaving in ["/../x", "/%2e%2e/x", "/a/./b"] {
        create(&rig, json!({ "path": leaving })).await.refused(422, "path_invalid");
    }
    assert_eq!(create(&rig, json!({ "path": "/a\\b" })).await.violations("schema_violation")[0].0, "/path");
    for url in ["https:\\\\crm.example.com/", "https://crm.example.com/a\\b"] {
        create(&rig, json!({ "url": url })).await.refused(422, "url_unparsable");
    }
    let inside = json!({ "auth": { "type": "oauth2", "tokenUrl": "https://169.254.169.254/", "clientId": "c", "clientSecret": "s" } });
    let refused = create(&rig, inside).await.refused(422, "url_host_forbidden");
    assert_eq!(refused["errors"][0]["pointer"], "/auth/tokenUrl");
    assert_eq!(rig.get("/v1/webhook-endpoints").await.expect(200)["items"], json!([]), "nothing was written");
}

#[tokio::test]
async fn secrets_rest_sealed_and_are_never_shown() {
    for rig in Rig::everywhere().await {
        let all = json!({
            "auth": { "type": "basic", "username": "billing", "password": "hunter2" },
            "headers": { "X-Api-Key": "value-7" },
            "clientCertificate": { "certificate": CERTIFICATE, "key": KEY },
        });
        let made = create(&rig, all).await;
        for hidden in ["hunter2", "value-7", "S0VZ"] {
            assert!(!made.text.contains(hidden), "{hidden}");
        }
        let made = made.expect(201);
        let endpoint = after(&made);
        assert_eq!(endpoint["auth"], json!({ "type": "basic", "username": "billing" }));
        assert_eq!((&endpoint["headerNames"], &endpoint["clientCertificate"]), (&json!(["X-Api-Key"]), &json!(CERTIFICATE)));
        let id = endpoint["id"].as_str().expect("an id").to_owned();
        let shown = rig.get(&format!("/v1/webhook-endpoints/{id}")).await;
        let transaction = rig.get(&format!("/v1/business-transactions/{}", made["id"].as_str().expect("an id"))).await;
        for (place, text) in [("the endpoint", &shown.text), ("its transaction", &transaction.text)] {
            for hidden in ["hunter2", "value-7", "S0VZ", "whsec_"] {
                assert!(!text.contains(hidden), "{hidden} in {place}");
            }
        }
    }
}

#[tokio::test]
async fn an_endpoint_is_changed_member_by_member() {
    for rig in Rig::everywhere().await {
        let made = create(&rig, json!({ "path": "/in", "ownerEmail": "a@example.com", "maxPerSecond": 5 })).await.expect(201);
        let path = format!("/v1/webhook-endpoints/{}", after(&made)["id"].as_str().expect("an id"));
        let auth = json!({ "type": "bearer", "token": "tok-4711" });
        let changed = rig.patch(&path, json!({ "auth": auth, "retryWaits": [10, 60], "maxInFlight": 2 })).await.expect(200);
        let now = after(&changed);
        assert_eq!((&now["version"], &now["auth"], &now["retryWaits"]), (&json!(2), &json!({ "type": "bearer" }), &json!([10, 60])));
        assert_eq!((&now["path"], &now["maxPerSecond"], &now["maxInFlight"]), (&json!("/in"), &json!(5), &json!(2)), "the rest stays");
        let emptied = json!({ "auth": { "type": "none" }, "path": "", "ownerEmail": "", "maxPerSecond": 0, "clientCertificate": {} });
        let emptied = rig.patch(&path, emptied).await.expect(200);
        for gone in ["auth", "path", "ownerEmail", "maxPerSecond"] {
            assert_eq!(after(&emptied).get(gone), None, "{gone}");
        }
        rig.patch(&path, json!({ "url": "https://10.1.2.3/" })).await.refused(422, "url_host_forbidden");
        create(&rig, json!({ "name": "other" })).await.expect(201);
        rig.patch(&path, json!({ "name": "other" })).await.refused(409, "name_taken");
        rig.patch("/v1/webhook-endpoints/none", json!({})).await.refused(404, "webhook_endpoint_not_found");
    }
}

#[tokio::test]
async fn a_secret_is_rotated_with_overlap_and_shown_once() {
    for rig in Rig::everywhere().await {
        let made = create(&rig, json!({ "signingAlgorithm": "ed25519" })).await.expect(201);
        let endpoint = after(&made);
        assert!(endpoint["secret"].as_str().is_some_and(|secret| secret.starts_with("whpk_")), "the private key never leaves: {endpoint}");
        assert_eq!(endpoint["secret"], endpoint["signing"][0]["publicKey"]);
        let path = format!("/v1/webhook-endpoints/{}", endpoint["id"].as_str().expect("an id"));
        let rotate = async |body: Value| rig.post(&format!("{path}/rotate-secret"), body).await;
        let rotated = rotate(json!({ "overlapSeconds": 3600 })).await.expect(200);
        let fresh = after(&rotated)["secret"].as_str().expect("a secret").to_owned();
        assert!(fresh.starts_with("whsec_"));
        let keys = after(&rotated)["signing"].as_array().expect("keys");
        assert_eq!((keys.len(), keys[0].get("expiresAt"), keys[1]["expiresAt"].is_string()), (2, None, true));
        assert!(rig.get(&path).await.expect(200).get("secret").is_none());
        rotate(json!({ "secret": fresh })).await.refused(422, "secret_in_use");
        rotate(json!({ "secret": "whsec_short" })).await.refused(422, "secret_invalid");
        let strange = "whsk_AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQECAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAg==";
        rotate(json!({ "secret": strange })).await.refused(422, "secret_invalid");
        for _ in 0..8 {
            rotate(json!({})).await.expect(200);
        }
        rotate(json!({})).await.refused(409, "secrets_too_many");
        let alone = rotate(json!({ "overlapSeconds": 0 })).await.expect(200);
        assert_eq!(after(&alone)["signing"].as_array().map(Vec::len), Some(1));
    }
}

#[tokio::test]
async fn an_endpoint_is_disabled_and_enabled_in_turn_and_tells_how_it_does() {
    for rig in Rig::everywhere().await {
        let made = create(&rig, json!({})).await.expect(201);
        let path = format!("/v1/webhook-endpoints/{}", after(&made)["id"].as_str().expect("an id"));
        let health = async || rig.get(&format!("{path}/health")).await.expect(200)["state"].clone();
        assert_eq!(health().await, "healthy");
        rig.post(&format!("{path}/enable"), json!({})).await.refused(409, "webhook_endpoint_enabled");
        let disabled = rig.post(&format!("{path}/disable"), json!({ "reason": "moving" })).await.expect(200);
        assert_eq!((&after(&disabled)["enabled"], &after(&disabled)["disabledBecause"]), (&json!(false), &json!("moving")));
        assert_eq!(disabled["events"][0]["type"], "webhook_endpoint.disabled");
        assert_eq!(health().await, "disabled");
        rig.post(&format!("{path}/disable"), json!({})).await.refused(409, "webhook_endpoint_disabled");
        let enabled = rig.post(&format!("{path}/enable"), json!({})).await.expect(200);
        assert_eq!((&after(&enabled)["enabled"], after(&enabled).get("disabledBecause")), (&json!(true), None));
        assert_eq!(enabled["events"], json!([]));
        for action in ["enable", "disable", "rotate-secret"] {
            rig.post(&format!("/v1/webhook-endpoints/none/{action}"), json!({})).await.refused(404, "webhook_endpoint_not_found");
        }
        let stale = rig.call("POST", &format!("{path}/disable"), &[("if-match", "\"1\"")], Some(&json!({}))).await;
        stale.refused(412, "stale_version");
    }
}

#[tokio::test]
async fn a_test_needs_an_endpoint_an_event_type_and_a_way_out() {
    let rig = Rig::new().await;
    let made = create(&rig, json!({})).await.expect(201);
    let path = format!("/v1/webhook-endpoints/{}/test", after(&made)["id"].as_str().expect("an id"));
    rig.post(&path, json!({ "eventType": "invoice.postd" })).await.refused(422, "event_type_unknown");
    rig.post("/v1/webhook-endpoints/none/test", json!({ "eventType": "invoice.posted" })).await.refused(404, "webhook_endpoint_not_found");
    rig.post(&path, json!({ "eventType": "invoice.posted" })).await.refused(503, "unavailable");
}

#[tokio::test]
async fn no_forbidden_url_is_taken_at_create_or_update_as_address_or_for_tokens() {
    let rig = Rig::new().await;
    let made = create(&rig, json!({})).await.expect(201);
    let path = format!("/v1/webhook-endpoints/{}", after(&made)["id"].as_str().expect("an id"));
    let lines = include_str!("../../../../tests/vectors/forbidden-urls.tsv").lines().filter(|line| !line.starts_with('#'));
    let mut tried = 0;
    for (url, what) in lines.filter_map(|line| line.split_once('\t')) {
        let auth = json!({ "type": "oauth2", "tokenUrl": url, "clientId": "c", "clientSecret": "s" });
        for answer in [
            create(&rig, json!({ "name": "x", "url": url })).await,
            rig.patch(&path, json!({ "url": url })).await,
            rig.patch(&path, json!({ "auth": auth })).await,
        ] {
            assert!([400, 422].contains(&answer.status), "{url} ({what}): {}", answer.text);
            let pointer = answer.json()["errors"][0]["pointer"].clone();
            assert!(["/url", "/auth/tokenUrl"].iter().any(|place| pointer == *place), "{url}: {pointer}");
        }
        tried += 1;
    }
    assert!(tried >= 150, "{tried}");
    assert_eq!(rig.get(&path).await.expect(200)["version"], 1, "nothing was changed");
}
