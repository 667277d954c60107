//! Issuers of tokens that exist in this process alone: what they publish, and the tokens they and others sign.

use std::{
    collections::HashMap,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use aws_lc_rs::{
    encoding::AsDer,
    hmac,
    rand::SystemRandom,
    rsa::{self, KeySize},
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use billwire_app::IssuerClient;
use billwire_schemas::clock::{Clock, SystemClock};
use serde_json::{Value, json};

/// What all issuers publish, by URL.
#[derive(Default)]
pub struct Issuers {
    published: Mutex<HashMap<String, Value>>,
    asked: AtomicUsize,
}

#[async_trait::async_trait]
impl IssuerClient for Issuers {
    async fn get(&self, url: &str) -> Result<Vec<u8>, String> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let published = self.published.lock().expect("whole");
        published.get(url).map(|document| document.to_string().into_bytes()).ok_or_else(|| "connect failed".to_owned())
    }
}

impl Issuers {
    /// Publishes the keys of an issuer.
    pub fn publish(&self, issuer: &str, keys: &[&Signer]) {
        let mut published = self.published.lock().expect("whole");
        let set = format!("{issuer}/keys");
        published.insert(format!("{issuer}/.well-known/openid-configuration"), json!({ "issuer": issuer, "jwks_uri": set }));
        published.insert(set, json!({ "keys": keys.iter().map(|key| key.jwk()).collect::<Vec<_>>() }));
    }

    /// Takes everything away.
    pub fn away(&self) {
        self.published.lock().expect("whole").clear();
    }

    /// How often any of them was asked.
    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

enum Key {
    Rsa(Box<rsa::KeyPair>),
    P256(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

/// A key with its id.
pub struct Signer {
    pub id: String,
    key: Key,
}

fn encoded(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

impl Signer {
    /// A new key for RS256, ES256 or EdDSA.
    pub fn new(algorithm: &str, id: &str) -> Self {
        let key = match algorithm {
            "RS256" => Key::Rsa(Box::new(rsa::KeyPair::generate(KeySize::Rsa2048).expect("a key"))),
            "ES256" => Key::P256(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key")),
            "EdDSA" => Key::Ed25519(Ed25519KeyPair::generate().expect("a key")),
            other => panic!("{other}"),
        };
        Self { id: id.to_owned(), key }
    }

    pub fn algorithm(&self) -> &'static str {
        match self.key {
            Key::Rsa(_) => "RS256",
            Key::P256(_) => "ES256",
            Key::Ed25519(_) => "EdDSA",
        }
    }

    pub fn jwk(&self) -> Value {
        let mut jwk = match &self.key {
            Key::Rsa(key) => {
                let public = key.public_key();
                let (n, e) = (public.modulus(), public.exponent());
                json!({ "kty": "RSA", "n": encoded(n.big_endian_without_leading_zero()), "e": encoded(e.big_endian_without_leading_zero()) })
            }
            Key::P256(key) => {
                let point = key.public_key().as_ref();
                json!({ "kty": "EC", "crv": "P-256", "x": encoded(&point[1..33]), "y": encoded(&point[33..]) })
            }
            Key::Ed25519(key) => json!({ "kty": "OKP", "crv": "Ed25519", "x": encoded(key.public_key()) }),
        };
        (jwk["kid"], jwk["use"], jwk["alg"]) = (json!(self.id), json!("sig"), json!(self.algorithm()));
        jwk
    }

    /// Everything that somebody may take the public key for, as a secret.
    pub fn public(&self) -> Vec<Vec<u8>> {
        let mut forms = vec![self.jwk().to_string().into_bytes()];
        match &self.key {
            Key::Rsa(key) => {
                let public = key.public_key();
                let der = AsDer::<aws_lc_rs::encoding::PublicKeyX509Der>::as_der(public).expect("a form");
                forms.extend([public.as_ref().to_vec(), der.as_ref().to_vec()]);
                forms.push(public.modulus().big_endian_without_leading_zero().to_vec());
                let base64 = base64::engine::general_purpose::STANDARD.encode(der.as_ref());
                let lines: Vec<&str> = base64.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).expect("ASCII")).collect();
                forms.push(format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", lines.join("\n")).into_bytes());
            }
            Key::P256(key) => forms.push(key.public_key().as_ref().to_vec()),
            Key::Ed25519(key) => forms.push(key.public_key().as_ref().to_vec()),
        }
        forms
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match &self.key {
            Key::Rsa(key) => {
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature).expect("a signature");
                signature
            }
            Key::P256(key) => key.sign(&random, message).expect("a signature").as_ref().to_vec(),
            Key::Ed25519(key) => key.sign(message).as_ref().to_vec(),
        }
    }

    /// A token with this header and these claims, signed with the key, whatever the header says.
    pub fn with_header(&self, header: &Value, claims: &Value) -> String {
        let message = message(header, claims);
        format!("{message}.{}", encoded(self.sign(message.as_bytes())))
    }

    pub fn header(&self) -> Value {
        json!({ "alg": self.algorithm(), "kid": self.id, "typ": "at+jwt" })
    }

    pub fn token(&self, claims: &Value) -> String {
        self.with_header(&self.header(), claims)
    }
}

/// What is signed.
pub fn message(header: &Value, claims: &Value) -> String {
    format!("{}.{}", encoded(header.to_string()), encoded(claims.to_string()))
}

/// A token "signed" with HS256 and this secret.
pub fn hs256(header: &Value, claims: &Value, secret: &[u8]) -> String {
    let message = message(header, claims);
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    format!("{message}.{}", encoded(hmac::sign(&key, message.as_bytes())))
}

/// Now, in seconds.
pub fn now() -> i64 {
    SystemClock.now().timestamp()
}

/// Claims of somebody with these values of the claim `roles`.
pub fn claims(issuer: &str, subject: &str, roles: &[&str]) -> Value {
    json!({
        "iss": issuer, "aud": "billwire", "sub": subject, "name": "Jane Doe", "roles": roles,
        "iat": now() - 5, "nbf": now() - 5, "exp": now() + 300,
    })
}

/// Claims with some of them replaced.
pub fn with(claims: &Value, changes: Value) -> Value {
    let mut claims = claims.clone();
    for (name, value) in changes.as_object().into_iter().flatten() {
        claims[name] = value.clone();
    }
    claims
}

/// The request for an identity provider that gives each of these roles for the value of the same name.
pub fn provider(name: &str, issuer: &str, roles: &[&str]) -> Value {
    let mappings: Vec<Value> = roles.iter().map(|role| json!({ "value": role, "roles": [role] })).collect();
    json!({ "name": name, "issuer": issuer, "audience": "billwire", "roleClaim": "roles", "roleMappings": mappings, "nameClaim": "name" })
}
