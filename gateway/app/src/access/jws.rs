//! Signed tokens (JWS compact serialization, RFC 7515) and the keys that prove them (RFC 7517). The crate `jsonwebtoken` checks signatures;
//! what may reach it is decided here: RS256, ES256 and EdDSA, by the kind of the key and never by the token's word.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, DecodingKey, crypto};
use serde_json::{Map, Value};

/// Largest token that is read, in bytes. Those of real issuers are between one and four KiB.
pub(super) const TOKEN_BYTES_MAX: usize = 8 * 1024;
/// Longest id of a key, in bytes.
const KEY_ID_BYTES_MAX: usize = 256;
/// Keys of an issuer that are read at most. Real ones have less than ten.
const KEYS_MAX: usize = 100;
/// Sizes of RSA moduli in bytes: RFC 7518 section 3.3 has at least 2048 bits, and the library at most 8192.
const RSA_BYTES: std::ops::RangeInclusive<usize> = 256..=1024;
/// Size of a coordinate of P-256, and of an Ed25519 key, in bytes.
const POINT_BYTES: usize = 32;

/// Members of a header that name keys, which must not count (a token does not say which key proves it), or that change what is signed.
/// Extensions named by `crit` are not known here (RFC 7515 section 4.1.11).
const REFUSED: [&str; 7] = ["crit", "jwk", "jku", "x5u", "x5c", "b64", "zip"];
/// Types of tokens: RFC 9068 section 2.1, and what issuers that do not know it write. Others are no access tokens (RFC 8725 section 3.11).
const TYPES: [&str; 3] = ["jwt", "at+jwt", "application/at+jwt"];

/// Whether a bearer token is to be read as a signed token: three parts, the first of which begins as JSON does in base64url. No key that
/// the gateway makes has a dot.
pub fn is_signed_token(token: &str) -> bool {
    token.starts_with("ey") && token.bytes().filter(|byte| *byte == b'.').count() == 2
}

/// A token whose signature was not checked yet.
pub(super) struct Unproven<'t> {
    key_id: String,
    algorithm: Algorithm,
    /// What is signed.
    message: &'t str,
    signature: &'t str,
    /// Claims that nobody may rely on.
    pub claims: Map<String, Value>,
}

impl<'t> Unproven<'t> {
    /// Reads a token; `None`: it is none that could be accepted.
    pub fn read(token: &'t str) -> Option<Self> {
        if token.len() > TOKEN_BYTES_MAX {
            return None;
        }
        let (message, signature) = token.rsplit_once('.')?;
        let (header, claims) = message.split_once('.')?;
        let header = object(header)?;
        let text = |name: &str| header.get(name).and_then(Value::as_str);
        let key_id = text("kid").filter(|id| (1..=KEY_ID_BYTES_MAX).contains(&id.len()))?.to_owned();
        let algorithm = [Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA].into_iter().find(|one| Some(name(*one)) == text("alg"))?;
        let of_type = match header.get("typ") {
            None => true,
            Some(kind) => kind.as_str().is_some_and(|kind| TYPES.contains(&kind.to_ascii_lowercase().as_str())),
        };
        if !of_type || REFUSED.iter().any(|member| header.contains_key(*member)) || signature.is_empty() {
            return None;
        }
        Some(Self { key_id, algorithm, message, signature, claims: object(claims)? })
    }

    /// The id of the key that it says proves it.
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    /// Whether `key` proves it.
    pub fn is_proven_by(&self, key: &Key) -> bool {
        // The library errs where a signature or a key has no sensible form.
        self.algorithm == key.algorithm
            && crypto::verify(self.signature, self.message.as_bytes(), &key.key, key.algorithm).unwrap_or_default()
    }
}

/// A key of an issuer.
#[derive(Clone)]
pub(super) struct Key {
    /// Its id.
    pub id: String,
    algorithm: Algorithm,
    key: DecodingKey,
}

/// The keys of a JWK set (RFC 7517 section 5) that can be used; others are passed over.
///
/// # Errors
/// When it is no JWK set.
pub(super) fn keys(set: &[u8]) -> Result<Vec<Key>, &'static str> {
    let set: Value = serde_json::from_slice(set).map_err(|_| "the answer is not JSON")?;
    let keys = set["keys"].as_array().ok_or("the answer is no JWK set")?;
    Ok(keys.iter().take(KEYS_MAX).filter_map(key).collect())
}

/// The key, if it has an id, verifies signatures, and is of a kind and strength that is accepted.
fn key(jwk: &Value) -> Option<Key> {
    let text = |member: &str| jwk[member].as_str();
    let id = text("kid").filter(|id| (1..=KEY_ID_BYTES_MAX).contains(&id.len()))?.to_owned();
    let bytes = |member: &str| URL_SAFE_NO_PAD.decode(text(member)?).ok();
    let of_size = |member: &str| bytes(member).is_some_and(|bytes| bytes.len() == POINT_BYTES);
    let (algorithm, key) = match (text("kty")?, text("crv")) {
        ("RSA", _) => {
            let modulus = bytes("n")?;
            let size = modulus.iter().skip_while(|byte| **byte == 0).count();
            (Algorithm::RS256, RSA_BYTES.contains(&size).then(|| DecodingKey::from_rsa_components(text("n")?, text("e")?).ok())?)
        }
        ("EC", Some("P-256")) if of_size("x") && of_size("y") => {
            (Algorithm::ES256, DecodingKey::from_ec_components(text("x")?, text("y")?).ok())
        }
        ("OKP", Some("Ed25519")) if of_size("x") => (Algorithm::EdDSA, DecodingKey::from_ed_components(text("x")?).ok()),
        _ => return None,
    };
    let is = |member: &str, expected: &str| jwk.get(member).is_none_or(|value| value == expected);
    let verifies = jwk.get("key_ops").is_none_or(|uses| uses.as_array().is_some_and(|uses| uses.iter().any(|one| one == "verify")));
    (is("use", "sig") && is("alg", name(algorithm)) && verifies).then_some(Key { id, algorithm, key: key? })
}

/// The name of an algorithm (RFC 7518 section 3.1, RFC 8037 section 3.1).
fn name(algorithm: Algorithm) -> &'static str {
    match algorithm {
        Algorithm::RS256 => "RS256",
        Algorithm::ES256 => "ES256",
        Algorithm::EdDSA => "EdDSA",
        _ => "",
    }
}

fn object(part: &str) -> Option<Map<String, Value>> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn token(header: &Value) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        format!("{}.{}.c2ln", part(header), part(&json!({ "sub": "s" })))
    }

    #[test]
    fn only_headers_that_say_nothing_dangerous_are_read() {
        let header = json!({ "alg": "ES256", "kid": "k", "typ": "at+JWT" });
        assert!(Unproven::read(&token(&header)).is_some_and(|token| token.key_id() == "k" && token.claims["sub"] == "s"));
        for (member, value) in [
            ("alg", json!("none")),
            ("alg", json!("None")),
            ("alg", json!("HS256")),
            ("alg", json!("RS384")),
            ("alg", json!("PS256")),
            ("alg", json!("")),
            ("alg", json!(["ES256"])),
            ("kid", json!("")),
            ("kid", json!("k".repeat(257))),
            ("kid", json!(7)),
            ("typ", json!("logout+jwt")),
            ("typ", json!(7)),
            ("crit", json!([])),
            ("crit", json!(null)),
            ("jwk", json!({})),
            ("jku", json!("https://evil.example/")),
            ("x5u", json!("https://evil.example/")),
            ("x5c", json!([])),
            ("b64", json!(true)),
            ("zip", json!("DEF")),
        ] {
            let mut wrong = header.clone();
            wrong[member] = value;
            assert!(Unproven::read(&token(&wrong)).is_none(), "{wrong}");
        }
        let whole = token(&header);
        let unsigned = whole.trim_end_matches("c2ln");
        let padded = whole.replacen('.', "=.", 1);
        let long = format!("{whole}{}", "A".repeat(TOKEN_BYTES_MAX));
        for wrong in [unsigned, &padded, &long, "ey..", "eyJ.eyJ.sig", "ey.ey"] {
            assert!(Unproven::read(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn a_key_of_the_gateway_is_no_signed_token() {
        let signed = token(&json!({ "alg": "none" }));
        assert!(is_signed_token(&signed) && is_signed_token(signed.trim_end_matches("c2ln")));
        for other in ["bw_default_abc_def", "a.key.that.an.operator.chose", "my.own.key-of-the-operator", "", "ey.ey"] {
            assert!(!is_signed_token(other), "{other}");
        }
    }

    #[test]
    fn keys_that_are_weak_or_for_something_else_are_passed_over() {
        let point = URL_SAFE_NO_PAD.encode([1; 32]);
        let ed = json!({ "kty": "OKP", "crv": "Ed25519", "kid": "k", "x": point });
        let rsa = |bytes: usize| json!({ "kty": "RSA", "kid": "k", "n": URL_SAFE_NO_PAD.encode(vec![0xff; bytes]), "e": "AQAB" });
        let with = |key: &Value, member: &str, value: Value| {
            let mut key = key.clone();
            key[member] = value;
            key
        };
        let usable = |key: Value| keys(json!({ "keys": [key] }).to_string().as_bytes()).expect("a set").len() == 1;
        for good in [
            ed.clone(),
            with(&ed, "use", json!("sig")),
            with(&ed, "alg", json!("EdDSA")),
            with(&ed, "key_ops", json!(["verify"])),
            rsa(256),
            json!({ "kty": "EC", "crv": "P-256", "kid": "k", "x": point, "y": point }),
        ] {
            assert!(usable(good.clone()), "{good}");
        }
        for bad in [
            with(&ed, "use", json!("enc")),
            with(&ed, "alg", json!("RS256")),
            with(&ed, "key_ops", json!(["sign"])),
            with(&ed, "key_ops", json!("verify")),
            with(&ed, "kid", json!(null)),
            with(&ed, "crv", json!("X25519")),
            with(&ed, "x", json!("AQ")),
            with(&rsa(256), "alg", json!("PS256")),
            rsa(255),
            rsa(1025),
            with(&rsa(128), "n", json!(URL_SAFE_NO_PAD.encode([vec![0; 128], vec![0xff; 128]].concat()))),
            json!({ "kty": "EC", "crv": "P-384", "kid": "k", "x": point, "y": point }),
            json!({ "kty": "oct", "kid": "k", "k": point }),
            json!({ "kid": "k" }),
            json!("k"),
        ] {
            assert!(!usable(bad.clone()), "{bad}");
        }
        assert!(keys(b"{}").is_err() && keys(b"").is_err() && keys(br#"{"keys":{}}"#).is_err());
        let many = json!({ "keys": vec![ed; KEYS_MAX + 1] });
        assert_eq!(keys(many.to_string().as_bytes()).expect("a set").len(), KEYS_MAX);
    }
}
