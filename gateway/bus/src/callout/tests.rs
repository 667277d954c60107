use billwire_schemas::clock::{Clock, SystemClock};
use chrono::TimeDelta;

use super::*;

/// A nats-server that asks.
struct Server {
    key: KeyPair,
    curve: XKey,
}

impl Server {
    fn new() -> Self {
        Self { key: KeyPair::new_server(), curve: XKey::new() }
    }

    fn claims(&self, now: Timestamp) -> Value {
        json!({
            "iss": self.key.public_key(), "aud": REQUEST, "exp": now.timestamp() + 2,
            "nats": {
                "type": "authorization_request", "version": 2, "user_nkey": KeyPair::new_user().public_key(),
                "server_id": { "id": self.key.public_key(), "name": "n" }, "client_info": { "host": "192.0.2.7", "id": 9 },
                "connect_opts": { "user": "acme", "pass": "bw_k" },
            },
        })
    }

    fn jwt(&self, claims: &Value, head: &Value) -> Vec<u8> {
        let text = [head, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string())).join(".");
        let signature = self.key.sign(text.as_bytes()).expect("signed");
        format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature)).into_bytes()
    }

    fn sealed(&self, jwt: &[u8], keys: &CalloutKeys) -> SealedRequest {
        let receiver = XKey::from_public_key(&keys.public().1).expect("a key");
        SealedRequest { server_curve: Some(self.curve.public_key()), body: self.curve.seal(jwt, &receiver).expect("sealed") }
    }
}

fn head() -> Value {
    json!({ "typ": "JWT", "alg": ALGORITHM })
}

fn keys() -> CalloutKeys {
    CalloutKeys::parse(&CalloutKeys::fresh().expect("seeds")).expect("keys")
}

fn claims_of(jwt: &str) -> Value {
    decoded(jwt.split('.').nth(1).expect("claims")).expect("claims")
}

#[test]
fn a_request_is_opened_and_its_answer_is_for_that_server_and_client_alone() {
    let (server, keys, now) = (Server::new(), keys(), SystemClock.now());
    let claims = server.claims(now);
    let request = keys.open(&server.sealed(&server.jwt(&claims, &head()), &keys), now).expect("opened");
    assert_eq!((request.host.as_str(), request.client, request.password.as_deref()), ("192.0.2.7", 9, Some("bw_k")));
    let permissions = Permissions { publish: vec!["a.b".into()], subscribe: vec!["_INBOX_a.>".into()] };
    let user = User { name: "acme".into(), account: "SUBSCRIBERS".into(), until: now + TimeDelta::hours(1), permissions };
    let answer = keys.permit(&request, &user, now).expect("an answer");
    let sender = XKey::from_public_key(&keys.public().1).expect("a key");
    let answer = String::from_utf8(server.curve.open(&answer, &sender).expect("for this server")).expect("text");
    let told = claims_of(&answer);
    assert_eq!((&told["aud"], &told["sub"]), (&claims["iss"], &claims["nats"]["user_nkey"]));
    let user = claims_of(told["nats"]["jwt"].as_str().expect("a JWT"));
    assert_eq!(user["nats"]["pub"], json!({ "allow": ["a.b"] }));
    assert_eq!((&user["aud"], &user["exp"]), (&json!("SUBSCRIBERS"), &json!((now + TimeDelta::hours(1)).timestamp())));
}

#[test]
fn nobody_is_let_in_without_a_restriction() {
    let (server, keys, now) = (Server::new(), keys(), SystemClock.now());
    let request = keys.open(&server.sealed(&server.jwt(&server.claims(now), &head()), &keys), now).expect("opened");
    let permissions = Permissions { publish: Vec::new(), subscribe: vec!["_INBOX_a.>".into()] };
    let answer = keys.permit(&request, &User { name: "a".into(), account: "A".into(), until: now, permissions }, now).expect("an answer");
    let sender = XKey::from_public_key(&keys.public().1).expect("a key");
    let told = claims_of(std::str::from_utf8(&server.curve.open(&answer, &sender).expect("opened")).expect("text"));
    assert!(told["nats"]["error"].is_string() && told["nats"].get("jwt").is_none(), "{told}");
}

#[test]
fn forged_requests_are_refused() {
    let (server, keys, now) = (Server::new(), keys(), SystemClock.now());
    let good = server.claims(now);
    let with = |pointer: &str, value: Value| {
        let mut claims = good.clone();
        *claims.pointer_mut(pointer).expect("there") = value;
        server.sealed(&server.jwt(&claims, &head()), &keys)
    };
    let other = Server::new();
    let forged = [
        ("another server", with("/nats/server_id/id", other.key.public_key().into())),
        ("another's signature", other.sealed(&other.jwt(&good, &head()), &keys)),
        ("another purpose", with("/aud", "other".into())),
        ("another type", with("/nats/type", "user".into())),
        ("expired", with("/exp", (now.timestamp() - SKEW - 1).into())),
        ("no signature", server.sealed(&server.jwt(&good, &json!({ "typ": "JWT", "alg": "none" })), &keys)),
        ("in clear", SealedRequest { server_curve: None, body: server.jwt(&good, &head()) }),
        ("not a request", server.sealed(b"hello", &keys)),
        ("closed for another", server.sealed(&server.jwt(&good, &head()), &self::keys())),
    ];
    for (what, request) in forged {
        assert!(keys.open(&request, now).is_err(), "{what}");
    }
    let account = Server { key: KeyPair::new_account(), curve: XKey::new() };
    let mut claims = good.clone();
    claims["iss"] = account.key.public_key().into();
    claims["nats"]["server_id"]["id"] = account.key.public_key().into();
    assert!(keys.open(&account.sealed(&account.jwt(&claims, &head()), &keys), now).is_err(), "no server's key");
}

#[test]
fn seeds_are_read_and_incomplete_ones_refused() {
    let text = CalloutKeys::fresh().expect("seeds");
    let (issuer, curve) = CalloutKeys::parse(&text.replace(',', "\n")).expect("keys").public();
    assert!(issuer.starts_with('A') && curve.starts_with('X'));
    let only = text.split(',').next().expect("a seed");
    for wrong in [only, "", "SAXX,SXXX", "password"] {
        let refused = CalloutKeys::parse(wrong).err().map(|error| error.to_string()).unwrap_or_default();
        assert!(refused.contains("billwire stream keys") && !refused.contains(only), "{refused}");
    }
}
