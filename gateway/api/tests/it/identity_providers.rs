//! Identity providers, and what people with their tokens may do.

use std::time::{Duration, Instant};

use billwire_api::Options;
use serde_json::{Value, json};

use crate::{
    issuer::{Signer, claims, hs256, message, now, provider, with},
    rig::{Answer, Rig},
};

const STAFF: &str = "https://login.example.com/realms/staff";
const OTHER: &str = "https://login.example.net";

async fn reads(rig: &Rig, token: &str, path: &str) -> Answer {
    rig.by(token, "GET", path, &Value::Null).await
}

/// Waits until a call with the token is answered with this status.
async fn until(rig: &Rig, token: &str, path: &str, status: u16) -> Answer {
    let begun = Instant::now();
    loop {
        let answer = reads(rig, token, path).await;
        if answer.status == status {
            return answer;
        }
        assert!(begun.elapsed() < Duration::from_secs(1), "{}: {}", answer.status, answer.text);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn people_do_what_their_roles_allow_and_are_the_actors_of_it() {
    for rig in Rig::everywhere().await {
        rig.post("/v1/roles", json!({ "name": "cycles", "scopes": ["bill_cycles:write"] })).await.expect(201);
        rig.post("/v1/identity-providers", provider("Staff", STAFF, &["csr", "finance", "cycles"])).await.expect(201);
        for algorithm in ["RS256", "ES256", "EdDSA"] {
            let key = Signer::new(algorithm, algorithm);
            rig.issuers.publish(STAFF, &[&key]);
            let rig = rig.beside().await;
            let csr = key.token(&claims(STAFF, "jane", &["csr", "unknown"]));
            reads(&rig, &csr, "/v1/accounts").await.expect(200);
            let refused = reads(&rig, &csr, "/v1/queues").await;
            assert!(refused.header("www-authenticate").contains(r#"error="insufficient_scope""#), "{refused:?}");
            refused.refused(403, "insufficient_scope");
            let both = key.token(&claims(STAFF, "joe", &["finance", "cycles"]));
            reads(&rig, &both, "/v1/bill-runs").await.expect(200);
            let cycle = json!({ "name": algorithm, "period": "month", "billingDay": 1 });
            let made = rig.by(&both, "POST", "/v1/bill-cycles", &cycle).await.expect(201);
            assert_eq!(made["actor"], "Jane Doe (Staff: joe)");
            let nameless = key.token(&with(&claims(STAFF, "joe", &["cycles"]), json!({ "name": 7, "aud": ["account", "billwire"] })));
            let made = rig.by(&nameless, "POST", "/v1/bill-cycles", &cycle).await.expect(201);
            assert_eq!(made["actor"], "Staff: joe");
        }
    }
}

#[tokio::test]
async fn no_forged_token_is_taken() {
    for rig in Rig::everywhere_with(Options { wrong_credentials_per_minute: 0, ..Options::default() }).await {
        let acme = rig.post("/v1/tenants", json!({ "tenantId": "acme", "name": "Acme" })).await.expect(201);
        let acme = acme["entities"][0]["after"]["adminKey"].as_str().expect("a key").to_owned();
        rig.post("/v1/identity-providers", provider("Staff", STAFF, &["admin"])).await.expect(201);
        rig.by(&acme, "POST", "/v1/identity-providers", &provider("Theirs", OTHER, &["admin"])).await.expect(201);
        let [rsa, p256, ed] = ["RS256", "ES256", "EdDSA"].map(|algorithm| Signer::new(algorithm, algorithm));
        let (theirs, same_id, unpublished) =
            (Signer::new("ES256", "theirs"), Signer::new("ES256", "ES256"), Signer::new("ES256", "unpublished"));
        rig.issuers.publish(STAFF, &[&rsa, &p256, &ed]);
        rig.issuers.publish(OTHER, &[&theirs, &same_id]);
        let good = claims(STAFF, "jane", &["admin"]);
        let mut forged: Vec<(String, String)> = Vec::new();
        let mut forge = |what: &str, token: String| forged.push((what.to_owned(), token));
        for key in [&rsa, &p256, &ed] {
            let (right, header) = (key.token(&good), key.header());
            reads(&rig, &right, "/v1/queues").await.expect(200);
            for none in ["none", "None", "NONE", "nOnE"] {
                let unsigned = message(&with(&header, json!({ "alg": none })), &good);
                forge(none, format!("{unsigned}."));
                forge(none, format!("{unsigned}.{}", right.rsplit('.').next().expect("a signature")));
            }
            for secret in key.public() {
                forge("HS256", hs256(&with(&header, json!({ "alg": "HS256" })), &good, &secret));
                forge("HS256 that says it is right", hs256(&header, &good, &secret));
            }
            for other in ["RS256", "ES256", "EdDSA", "PS256", "RS512", "ES384", "Ed25519"] {
                if other != key.algorithm() {
                    forge("another algorithm", key.with_header(&with(&header, json!({ "alg": other })), &good));
                }
            }
            // A stranger's key with the id of a known one.
            let stranger = Signer::new(key.algorithm(), &key.id);
            forge("a foreign key with a known id", stranger.token(&good));
            for (member, value) in [
                ("jwk", stranger.jwk()),
                ("jku", json!(format!("{OTHER}/keys"))),
                ("x5u", json!(format!("{OTHER}/keys"))),
                ("x5c", json!(["MIIB"])),
            ] {
                forge("an embedded key", stranger.with_header(&with(&header, json!({ (member): value })), &good));
                forge("an embedded key, rightly signed", key.with_header(&with(&header, json!({ (member): value })), &good));
            }
            for (member, value) in [
                ("crit", json!(["exp"])),
                ("crit", json!(["b64"])),
                ("typ", json!("logout+jwt")),
                ("kid", Value::Null),
                ("kid", json!("")),
                ("kid", json!("unknown")),
                ("kid", json!("../../dev/null")),
                ("kid", json!("theirs")),
                ("zip", json!("DEF")),
            ] {
                forge(member, key.with_header(&with(&header, json!({ (member): value })), &good));
            }
            for (what, changes) in [
                ("another issuer", json!({ "iss": "https://evil.example" })),
                ("the issuer of another tenant", json!({ "iss": OTHER })),
                ("the issuer with a slash", json!({ "iss": format!("{STAFF}/") })),
                ("no issuer", json!({ "iss": null })),
                ("another audience", json!({ "aud": "other" })),
                ("no audience", json!({ "aud": [] })),
                ("expired", json!({ "exp": now() - 61, "iat": now() - 100 })),
                ("no end", json!({ "exp": null })),
                ("not yet valid", json!({ "nbf": now() + 90 })),
                ("of the future", json!({ "iat": now() + 90 })),
                ("without subject", json!({ "sub": null })),
                ("with a long subject", json!({ "sub": "x".repeat(256) })),
                ("too large", json!({ "padding": "x".repeat(8 * 1024) })),
            ] {
                forge(what, key.token(&with(&good, changes)));
            }
            let parts: Vec<&str> = right.split('.').collect();
            let more = message(&header, &with(&good, json!({ "sub": "admin" })));
            forge("tampered claims", format!("{more}.{}", parts[2]));
            forge(
                "tampered header",
                format!(
                    "{}.{}.{}",
                    message(&with(&header, json!({ "x": 1 })), &good).split('.').next().expect("a part"),
                    parts[1],
                    parts[2]
                ),
            );
            for last in ["A", "AA", "=", ".x"] {
                forge("another end", format!("{right}{last}"));
            }
            forge("no signature", format!("{}.{}.", parts[0], parts[1]));
            forge(
                "the signature of another",
                format!("{}.{}.{}", parts[0], parts[1], ed.token(&claims(STAFF, "x", &[])).rsplit('.').next().expect("a part")),
            );
        }
        forge("a known id with another tenant's key", same_id.token(&good));
        forge("another tenant's key", theirs.token(&good));
        forge("a key of nobody", unpublished.token(&good));
        forge("a known issuer with the key of another", p256.token(&with(&good, json!({ "iss": OTHER }))));
        assert!(forged.len() > 100, "{}", forged.len());
        for (what, token) in &forged {
            let answer = reads(&rig, token, "/v1/queues").await;
            let challenge = answer.header("www-authenticate").to_owned();
            assert!(challenge.starts_with(r#"Bearer realm="billwire", error="invalid_token""#), "{what}: {challenge}");
            answer.refused(401, "unauthenticated");
        }
        for key in [&rsa, &p256, &ed] {
            reads(&rig, &key.token(&good), "/v1/queues").await.expect(200);
        }
    }
}

#[tokio::test]
async fn every_change_of_what_a_token_rests_on_counts_within_a_second_in_every_process() {
    for rig in Rig::everywhere().await {
        let made = rig.post("/v1/tenants", json!({ "tenantId": "acme", "name": "Acme" })).await.expect(201);
        let acme = made["entities"][0]["after"]["adminKey"].as_str().expect("a key").to_owned();
        let by = async |method: &str, path: &str, body: Value| rig.by(&acme, method, path, &body).await;
        let id = |made: &Value| made["entities"][0]["id"].as_str().expect("an id").to_owned();
        let role = id(&by("POST", "/v1/roles", json!({ "name": "viewer", "scopes": ["accounts:read"] })).await.expect(201));
        let provider = id(&by("POST", "/v1/identity-providers", provider("Staff", STAFF, &["viewer"])).await.expect(201));
        let (role, path) = (format!("/v1/roles/{role}"), format!("/v1/identity-providers/{provider}"));
        let key = Signer::new("ES256", "k");
        rig.issuers.publish(STAFF, &[&key]);
        let token = key.token(&claims(STAFF, "jane", &["viewer"]));
        let other = rig.beside().await;
        let everywhere = async |path: &str, status: u16| {
            for process in [&rig, &other] {
                until(process, &token, path, status).await;
            }
        };
        everywhere("/v1/accounts", 200).await;
        by("DELETE", &role, Value::Null).await.refused(409, "still_in_use");
        by("PATCH", &role, json!({ "scopes": ["queues:read"] })).await.expect(200);
        everywhere("/v1/accounts", 403).await;
        everywhere("/v1/queues", 200).await;
        by("PATCH", &path, json!({ "roleMappings": [{ "value": "viewer", "roles": ["csr"] }] })).await.expect(200);
        everywhere("/v1/accounts", 200).await;
        by("PATCH", &path, json!({ "roleClaim": "groups" })).await.expect(200);
        let refused = until(&rig, &token, "/v1/accounts", 403).await;
        assert!(refused.header("www-authenticate").contains("insufficient_scope"), "a valid token: {refused:?}");
        refused.refused(403, "no_role");
        everywhere("/v1/accounts", 403).await;
        by("PATCH", &path, json!({ "roleClaim": "roles" })).await.expect(200);
        everywhere("/v1/accounts", 200).await;
        rig.post("/v1/tenants/acme/suspend", json!({})).await.expect(200);
        everywhere("/v1/accounts", 403).await;
        reads(&other, &token, "/v1/accounts").await.refused(403, "tenant_suspended");
        rig.post("/v1/tenants/acme/resume", json!({})).await.expect(200);
        everywhere("/v1/accounts", 200).await;
        by("PATCH", &path, json!({ "audience": "elsewhere" })).await.expect(200);
        everywhere("/v1/accounts", 401).await;
        by("PATCH", &path, json!({ "audience": "billwire" })).await.expect(200);
        everywhere("/v1/accounts", 200).await;
        by("DELETE", &path, Value::Null).await.expect(200);
        everywhere("/v1/accounts", 401).await;
        by("DELETE", &role, Value::Null).await.expect(200);
    }
}

#[tokio::test]
async fn a_token_stops_when_it_ends() {
    let rig = Rig::new().await;
    let key = Signer::new("EdDSA", "k");
    rig.issuers.publish(STAFF, &[&key]);
    rig.post("/v1/identity-providers", provider("Staff", STAFF, &["csr"])).await.expect(201);
    // A minute of skew is left: nearly all of it has passed.
    let token = key.token(&with(&claims(STAFF, "jane", &["csr"]), json!({ "iat": now() - 90, "exp": now() - 58 })));
    reads(&rig, &token, "/v1/accounts").await.expect(200);
    let begun = Instant::now();
    let refused = loop {
        let answer = reads(&rig, &token, "/v1/accounts").await;
        if answer.status != 200 {
            break answer;
        }
        assert!(begun.elapsed() < Duration::from_secs(3), "it works on");
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert!(refused.header("www-authenticate").contains(r#"error_description="The token has expired.""#), "{refused:?}");
    refused.refused(401, "unauthenticated");
}

#[tokio::test]
async fn keys_of_an_issuer_that_is_away_still_work_and_without_any_the_answer_is_503() {
    for rig in Rig::everywhere_with(Options { wrong_credentials_per_minute: 0, ..Options::default() }).await {
        rig.post("/v1/identity-providers", provider("Staff", STAFF, &["csr"])).await.expect(201);
        let (key, next) = (Signer::new("ES256", "k"), Signer::new("ES256", "next"));
        let token = key.token(&claims(STAFF, "jane", &["csr"]));
        let away = reads(&rig, &token, "/v1/accounts").await;
        assert_eq!(away.header("retry-after"), "5");
        away.refused(503, "identity_provider_unavailable");
        rig.issuers.publish(STAFF, &[&key]);
        let begun = Instant::now();
        while reads(&rig, &token, "/v1/accounts").await.status == 503 {
            assert!(begun.elapsed() < Duration::from_secs(30), "the issuer is not asked again");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        reads(&rig, &token, "/v1/accounts").await.expect(200);
        let asked = rig.issuers.asked();
        rig.issuers.publish(STAFF, &[&key, &next]);
        let (begun, stranger) = (Instant::now(), Signer::new("EdDSA", "stranger"));
        for n in 0..300 {
            let unknown =
                stranger.with_header(&with(&stranger.header(), json!({ "kid": format!("unknown {n}") })), &claims(STAFF, "jane", &["csr"]));
            reads(&rig, &unknown, "/v1/accounts").await.refused(401, "unauthenticated");
        }
        // Two documents each time.
        let most = 2 * (1 + begun.elapsed().as_secs() as usize / 60);
        assert!(rig.issuers.asked() - asked <= most, "{} times", rig.issuers.asked() - asked);
        rig.issuers.away();
        tokio::time::sleep(Duration::from_millis(600)).await;
        reads(&rig, &token, "/v1/accounts").await.expect(200);
    }
}

#[tokio::test]
async fn an_issuer_and_audience_belong_to_one_tenant_and_nobody_learns_whose_they_are() {
    for rig in Rig::everywhere().await {
        let made = rig.post("/v1/tenants", json!({ "tenantId": "acme", "name": "Acme" })).await.expect(201);
        let acme = made["entities"][0]["after"]["adminKey"].as_str().expect("a key").to_owned();
        let id = rig.create("/v1/identity-providers", provider("Staff", STAFF, &["csr"])).await;
        let own = rig.post("/v1/identity-providers", provider("Again", STAFF, &["csr"])).await.refused(409, "identity_provider_taken");
        let foreign = rig.by(&acme, "POST", "/v1/identity-providers", &provider("Theirs", STAFF, &["csr"])).await;
        let foreign = foreign.refused(409, "identity_provider_taken");
        assert_eq!((&own["detail"], &own["title"]), (&foreign["detail"], &foreign["title"]));
        let other = rig.by(&acme, "POST", "/v1/identity-providers", &provider("Theirs", OTHER, &["csr"])).await.expect(201);
        let path = format!("/v1/identity-providers/{}", other["entities"][0]["id"].as_str().expect("an id"));
        rig.by(&acme, "PATCH", &path, &json!({ "issuer": STAFF })).await.refused(409, "identity_provider_taken");
        rig.by(&acme, "PATCH", &path, &json!({ "issuer": STAFF, "audience": "acme" })).await.expect(200);
        // A token for both would be of two tenants.
        let key = Signer::new("ES256", "k");
        rig.issuers.publish(STAFF, &[&key]);
        let token = |audience: Value| key.token(&with(&claims(STAFF, "jane", &["csr"]), json!({ "aud": audience })));
        reads(&rig, &token(json!(["billwire", "acme"])), "/v1/accounts").await.refused(401, "unauthenticated");
        reads(&rig, &token(json!("acme")), "/v1/accounts").await.expect(200);
        for method in ["GET", "PATCH", "DELETE"] {
            let answer = rig.by(&acme, method, &format!("/v1/identity-providers/{id}"), &json!({})).await;
            answer.refused(404, "identity_provider_not_found");
        }
        let theirs = rig.by(&acme, "GET", "/v1/identity-providers", &Value::Null).await.expect(200);
        assert_eq!(theirs["items"].as_array().map(Vec::len), Some(1));
        // Two at once, of two tenants.
        let both = async |audience: String| {
            let of = |name: &str| with(&provider(name, STAFF, &["csr"]), json!({ "audience": audience }));
            let (one, two) = (of(&format!("One {audience}")), of(&format!("Two {audience}")));
            let (ours, theirs) =
                tokio::join!(rig.post("/v1/identity-providers", one), rig.by(&acme, "POST", "/v1/identity-providers", &two));
            let mut statuses = [ours.status, theirs.status];
            statuses.sort_unstable();
            assert_eq!(statuses, [201, 409], "{} {}", ours.text, theirs.text);
        };
        for round in 0..10 {
            both(format!("round-{round}")).await;
        }
    }
}

#[tokio::test]
async fn nobody_lets_an_identity_provider_give_what_they_do_not_hold() {
    let rig = Rig::new().await;
    let money = json!([{ "amount": "5", "currency": "EUR" }]);
    let scopes = ["identity_providers:write", "charges:read", "charges:adjust"];
    rig.post("/v1/roles", json!({ "name": "keeper", "scopes": scopes, "adjustmentCeilings": money })).await.expect(201);
    rig.post("/v1/roles", json!({ "name": "adjuster", "scopes": ["charges:adjust"] })).await.expect(201);
    let made = rig.post("/v1/api-keys", json!({ "name": "keeper", "roles": ["keeper"] })).await.expect(201);
    let keeper = made["entities"][0]["after"]["key"].as_str().expect("a key").to_owned();
    let create = async |roles: &[&str]| rig.by(&keeper, "POST", "/v1/identity-providers", &provider("P", STAFF, roles)).await;
    create(&["finance"]).await.refused(403, "scope_not_held");
    create(&["adjuster"]).await.refused(403, "ceiling_not_held");
    let made = create(&["keeper"]).await.expect(201);
    let path = format!("/v1/identity-providers/{}", made["entities"][0]["id"].as_str().expect("an id"));
    let more = json!({ "roleMappings": [{ "value": "x", "roles": ["admin"] }] });
    rig.by(&keeper, "PATCH", &path, &more).await.refused(403, "scope_not_held");
    // Who changes the audience decides who has the roles that are there.
    rig.patch(&path, more).await.expect(200);
    rig.by(&keeper, "PATCH", &path, &json!({ "audience": "mine" })).await.refused(403, "scope_not_held");
}

#[tokio::test]
async fn each_refusal_of_an_identity_provider_has_its_code_and_place() {
    let rig = Rig::new().await;
    let refused = async |changes: Value| {
        let refused = rig.post("/v1/identity-providers", with(&provider("P", STAFF, &["csr"]), changes)).await.json();
        let text = |member: &str| refused["errors"][0][member].as_str().unwrap_or_default().to_owned();
        (text("pointer"), text("code"))
    };
    let told = |pointer: &str, code: &str| (pointer.to_owned(), code.to_owned());
    for (issuer, code) in [
        ("http://login.example.com", "url_not_https"),
        ("https://login.example.com:8443", "url_has_port"),
        ("https://me@login.example.com", "url_has_user_info"),
        ("https://login.example.com/#a", "url_has_fragment"),
        ("https://127.0.0.1", "url_host_forbidden"),
        ("https://localhost", "url_host_forbidden"),
        ("login.example.com", "url_unparsable"),
        ("https://login.example.com/?a=b", "issuer_invalid"),
    ] {
        assert_eq!(refused(json!({ "issuer": issuer })).await, told("/issuer", code), "{issuer}");
    }
    let long = format!("https://login.example.com/{}", "x".repeat(500));
    assert_eq!(refused(json!({ "issuer": long })).await, told("/issuer", "too_long"));
    assert_eq!(refused(json!({ "audience": "with space" })).await, told("/audience", "pattern"));
    assert_eq!(refused(json!({ "roleMappings": [] })).await, told("/roleMappings", "too_few"));
    let mapping = |roles: Value| json!({ "roleMappings": [{ "value": "a", "roles": ["csr"] }, { "value": "b", "roles": roles }] });
    assert_eq!(refused(mapping(json!([]))).await, told("/roleMappings/1/roles", "too_few"));
    assert_eq!(refused(mapping(json!(["finanse"]))).await, told("/roleMappings/1/roles/0", "role_unknown"));
    let id = rig.create("/v1/identity-providers", provider("P", STAFF, &["csr"])).await;
    rig.post("/v1/identity-providers", provider("P", OTHER, &["csr"])).await.refused(409, "name_taken");
    rig.patch(&format!("/v1/identity-providers/{id}"), json!({ "nameClaim": null })).await.expect(200);
    assert_eq!(rig.get(&format!("/v1/identity-providers/{id}")).await.expect(200).get("nameClaim"), None);
    rig.get("/v1/identity-providers/none").await.refused(404, "identity_provider_not_found");
}

#[tokio::test]
async fn a_person_has_a_rate_of_their_own_and_wrong_tokens_are_slowed() {
    let options = Options { requests_per_key: 5, wrong_credentials_per_minute: 3, ..Options::default() };
    let rig = Rig::with(options, false).await;
    let key = Signer::new("ES256", "k");
    rig.issuers.publish(STAFF, &[&key]);
    rig.post("/v1/identity-providers", provider("Staff", STAFF, &["csr"])).await.expect(201);
    // Another token, with another name, is of the same person.
    let mut answers = Vec::new();
    for n in 0..20 {
        let token = key.token(&with(&claims(STAFF, "jane", &["csr"]), json!({ "name": format!("Jane {n}") })));
        answers.push(reads(&rig, &token, "/v1/accounts").await.status);
    }
    assert!(answers.contains(&429) && answers.contains(&200), "{answers:?}");
    reads(&rig, &key.token(&claims(STAFF, "joe", &["csr"])), "/v1/accounts").await.expect(200);
    // Somebody without a role is refused, but not slowed.
    for _ in 0..5 {
        let token = key.token(&claims(STAFF, "june", &["unknown"]));
        reads(&rig, &token, "/v1/accounts").await.refused(403, "no_role");
    }
    let mut statuses = Vec::new();
    for n in 0..5 {
        let token = Signer::new("ES256", "k").token(&claims(STAFF, &format!("{n}"), &["csr"]));
        statuses.push(reads(&rig, &token, "/v1/accounts").await.status);
    }
    assert_eq!(statuses, [401, 401, 401, 429, 429]);
}
