//! NATS's auth callout (ADR-26): the server asks who a connecting client is, and a signed answer says what the client may do.
//!
//! Requests and answers are JWTs of NATS's own kind: Ed25519 by nkeys, claims in a member `nats`. The claims used here are few, so they are
//! written here; the crates for all of NATS's claims are not kept up with its servers.

use aws_lc_rs::rand;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use billwire_schemas::clock::Timestamp;
use nkeys::{KeyPair, KeyPairType, XKey};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use crate::Error;

/// The algorithm in the head of a JWT (version 2 of NATS's JWTs).
const ALGORITHM: &str = "ed25519-nkey";
/// The audience of a request.
const REQUEST: &str = "nats-authorization-request";
/// How far clocks of servers may be apart, in seconds.
const SKEW: i64 = 60;

/// The keys of the callout. Not printable on purpose.
pub struct CalloutKeys {
    /// Signs answers; the servers' configuration has its public key.
    issuer: KeyPair,
    /// Opens requests and closes answers; the servers' configuration has its public key.
    curve: XKey,
}

/// A request that was opened and verified.
#[derive(Debug, Clone)]
pub struct CalloutRequest {
    /// The server that asks.
    pub server: String,
    /// The public key that the server made for the client.
    user: String,
    /// The server's own key for the answer.
    server_curve: Option<String>,
    /// The client's number on the server.
    pub client: u64,
    /// The client's address.
    pub host: String,
    /// The password or token it sent.
    pub password: Option<String>,
}

/// A request as it came.
#[derive(Debug)]
pub struct SealedRequest {
    /// The public curve key of the server that closed it, if it is closed.
    pub server_curve: Option<String>,
    /// The request.
    pub body: Vec<u8>,
}

/// What a client may do: publish to and subscribe to these subjects, and nothing else. Neither list is empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Permissions {
    /// Subjects it may publish to.
    pub publish: Vec<String>,
    /// Subjects it may subscribe to.
    pub subscribe: Vec<String>,
}

/// A client that may connect.
#[derive(Debug, Clone)]
pub struct User {
    /// Its name, in the server's reports of connections.
    pub name: String,
    /// The account that it is put in.
    pub account: String,
    /// When the server cuts it off.
    pub until: Timestamp,
    /// What it may do.
    pub permissions: Permissions,
}

#[derive(Serialize, Deserialize)]
struct Head {
    typ: String,
    alg: String,
}

/// The claims of a request.
#[derive(Deserialize)]
struct Asked {
    iss: String,
    aud: String,
    exp: Option<i64>,
    nats: AskedNats,
}

#[derive(Deserialize)]
struct AskedNats {
    server_id: ServerId,
    user_nkey: String,
    client_info: ClientInfo,
    #[serde(default)]
    connect_opts: ConnectOptions,
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Deserialize)]
struct ServerId {
    id: String,
}

#[derive(Deserialize)]
struct ClientInfo {
    #[serde(default)]
    host: String,
    #[serde(default)]
    id: u64,
}

#[derive(Deserialize, Default)]
struct ConnectOptions {
    pass: Option<String>,
    auth_token: Option<String>,
}

fn broken(what: &str) -> Error {
    Error::Unsuitable(format!("a request of the auth callout is not valid: {what}"))
}

fn decoded<T: DeserializeOwned>(part: &str) -> Result<T, Error> {
    let bytes = URL_SAFE_NO_PAD.decode(part).map_err(|_| broken("not base64url"))?;
    serde_json::from_slice(&bytes).map_err(|error| broken(&error.to_string()))
}

/// The claims of a JWT that the key in its claim `iss` has signed.
fn verified(jwt: &[u8]) -> Result<Asked, Error> {
    let text = std::str::from_utf8(jwt).map_err(|_| broken("not text"))?;
    let [head, claims, signature] = text.split('.').collect::<Vec<_>>()[..] else { return Err(broken("not three parts")) };
    let Head { typ, alg } = decoded(head)?;
    if !typ.eq_ignore_ascii_case("jwt") || alg != ALGORITHM {
        return Err(broken("another algorithm"));
    }
    let asked: Asked = decoded(claims)?;
    let signer = KeyPair::from_public_key(&asked.iss).map_err(|_| broken("no issuer"))?;
    let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| broken("no signature"))?;
    let signed = text.rsplit_once('.').map(|(signed, _)| signed).unwrap_or_default();
    signer.verify(signed.as_bytes(), &signature).map_err(|_| broken("a wrong signature"))?;
    // A server's id is its public key.
    if signer.key_pair_type() != KeyPairType::Server || asked.nats.server_id.id != asked.iss {
        return Err(broken("not signed by the server that asks"));
    }
    Ok(asked)
}

impl CalloutKeys {
    /// Reads the seeds of an account (`SA…`) and of a curve key (`SX…`), with commas, spaces or line ends between them.
    ///
    /// # Errors
    /// What is missing or wrong; it does not repeat the text.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let wrong = || {
            Error::Unsuitable(
                "must have the seed of an account (SA…) and that of a curve key (SX…); `billwire stream keys` makes them".into(),
            )
        };
        let (mut issuer, mut curve) = (None, None);
        for seed in text.split([',', ' ', '\n', '\r', '\t']).filter(|part| !part.is_empty()) {
            match seed.get(..2) {
                Some("SA") => issuer = Some(KeyPair::from_seed(seed).map_err(|_| wrong())?),
                Some("SX") => curve = Some(XKey::from_seed(seed).map_err(|_| wrong())?),
                _ => return Err(wrong()),
            }
        }
        Ok(Self { issuer: issuer.ok_or_else(wrong)?, curve: curve.ok_or_else(wrong)? })
    }

    /// New seeds, as [`CalloutKeys::parse`] reads them.
    ///
    /// # Errors
    /// When the system's random generator fails.
    pub fn fresh() -> Result<String, Error> {
        let bytes = || {
            let mut bytes = [0; 32];
            rand::fill(&mut bytes).map(|()| bytes).map_err(|_| failed("the system's random generator"))
        };
        let issuer = KeyPair::new_from_raw(KeyPairType::Account, bytes()?).map_err(|_| failed("a new key"))?;
        let curve = XKey::new_from_raw(bytes()?);
        Ok(format!("{},{}", issuer.seed().map_err(|_| failed("a new key"))?, curve.seed().map_err(|_| failed("a new key"))?))
    }

    /// The public keys for the servers' configuration: `issuer` and `xkey`.
    pub fn public(&self) -> (String, String) {
        (self.issuer.public_key(), self.curve.public_key())
    }

    /// Opens and verifies a request.
    ///
    /// # Errors
    /// What is wrong with it, for the log.
    pub fn open(&self, sealed: &SealedRequest, now: Timestamp) -> Result<CalloutRequest, Error> {
        let opened;
        let jwt = match &sealed.server_curve {
            Some(curve) => {
                let sender = XKey::from_public_key(curve).map_err(|_| broken("no curve key"))?;
                opened = self.curve.open(&sealed.body, &sender).map_err(|_| broken("it is closed for another key"))?;
                &opened
            }
            None => return Err(broken("it is not encrypted: the server's configuration lacks the xkey")),
        };
        let Asked { iss, aud, exp, nats } = verified(jwt)?;
        if aud != REQUEST || nats.kind != "authorization_request" {
            return Err(broken("another purpose"));
        }
        if exp.is_some_and(|exp| exp + SKEW < now.timestamp()) {
            return Err(broken("it has expired"));
        }
        let AskedNats { user_nkey, client_info, connect_opts, .. } = nats;
        Ok(CalloutRequest {
            server: iss,
            user: user_nkey,
            server_curve: sealed.server_curve.clone(),
            client: client_info.id,
            host: client_info.host,
            password: connect_opts.pass.or(connect_opts.auth_token),
        })
    }

    /// The answer that lets a client in.
    ///
    /// # Errors
    /// When it cannot be signed.
    pub fn permit(&self, request: &CalloutRequest, user: &User, now: Timestamp) -> Result<Vec<u8>, Error> {
        let Permissions { publish, subscribe } = &user.permissions;
        if publish.is_empty() || subscribe.is_empty() {
            // To the server an empty list is no restriction.
            return self.refuse(request, "nothing may be read", now);
        }
        let claims = json!({
            "iss": self.issuer.public_key(), "sub": request.user, "aud": user.account, "name": user.name,
            "iat": now.timestamp(), "exp": user.until.timestamp(),
            "nats": {
                "type": "user", "version": 2, "pub": { "allow": publish }, "sub": { "allow": subscribe },
                // A server without operator takes these limits from its configuration; none here is no further one.
                "subs": -1, "data": -1, "payload": -1, "allowed_connection_types": ["STANDARD"],
            },
        });
        let jwt = self.signed(claims)?;
        self.answer(request, json!({ "jwt": jwt }), now)
    }

    /// The answer that turns a client away. The server logs `why`; the client is told only that it is not authorized.
    ///
    /// # Errors
    /// When it cannot be signed.
    pub fn refuse(&self, request: &CalloutRequest, why: &str, now: Timestamp) -> Result<Vec<u8>, Error> {
        self.answer(request, json!({ "error": why }), now)
    }

    fn answer(&self, request: &CalloutRequest, mut nats: Value, now: Timestamp) -> Result<Vec<u8>, Error> {
        nats["type"] = "authorization_response".into();
        nats["version"] = 2.into();
        let answer = self.signed(json!({
            "iss": self.issuer.public_key(), "sub": request.user, "aud": request.server, "iat": now.timestamp(), "nats": nats,
        }))?;
        let Some(curve) = &request.server_curve else { return Ok(answer.into_bytes()) };
        let receiver = XKey::from_public_key(curve).map_err(|_| broken("no curve key"))?;
        self.curve.seal(answer.as_bytes(), &receiver).map_err(|_| failed("closing an answer"))
    }

    fn signed(&self, mut claims: Value) -> Result<String, Error> {
        let mut id = [0; 16];
        rand::fill(&mut id).map_err(|_| failed("the system's random generator"))?;
        claims["jti"] = URL_SAFE_NO_PAD.encode(id).into();
        let head = json!({ "typ": "JWT", "alg": ALGORITHM });
        let text = [head, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string())).join(".");
        let signature = self.issuer.sign(text.as_bytes()).map_err(|_| failed("signing an answer"))?;
        Ok(format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}

fn failed(what: &str) -> Error {
    Error::Unsuitable(format!("{what} failed"))
}

#[cfg(test)]
mod tests;
