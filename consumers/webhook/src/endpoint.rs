//! A webhook endpoint with its secrets opened.

use std::fmt;

use aws_lc_rs::{hmac, signature::Ed25519KeyPair};
use base64::{Engine, engine::general_purpose::STANDARD};
use billwire_schemas::{
    clock::Timestamp,
    ids::WebhookEndpointId,
    signing_secret::{self, Key, NotASecret},
};
use http::{HeaderName, HeaderValue};
use url::Url;

/// A webhook endpoint with its secrets opened.
pub struct Endpoint {
    /// The endpoint's id.
    pub id: WebhookEndpointId,
    /// Its version.
    pub version: i64,
    /// The base URL, as [`billwire_schemas::destination::parse`] gave it.
    pub url: Url,
    /// A path (and query) below the base URL.
    pub path: Option<String>,
    /// The secrets, newest first. More than one during a rotation.
    pub secrets: Vec<Secret>,
    /// Whether it may be called.
    pub enabled: bool,
    /// Credentials besides the signature.
    pub auth: Option<Auth>,
    /// Headers the tenant adds. Reserved names ([`billwire_schemas::destination::header_is_reserved`]) are left out.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// The client certificate and its key.
    pub identity: Option<Identity>,
}

/// Names no secret, no credential and no value of a header; the URL's query may hold a key, so it stays out as well.
impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint")
            .field("id", &self.id)
            .field("host", &self.url.host_str())
            .field("secrets", &self.secrets.len())
            .field("enabled", &self.enabled)
            .field("auth", &self.auth)
            .finish_non_exhaustive()
    }
}

/// A client certificate, PEM.
#[derive(Clone, PartialEq, Eq)]
pub struct Identity {
    /// The chain.
    pub certificate: String,
    /// The private key.
    pub key: String,
}

/// Credentials sent in `Authorization`.
#[derive(Clone)]
pub enum Auth {
    /// RFC 7617.
    Basic {
        /// User name.
        user: String,
        /// Password.
        password: String,
    },
    /// RFC 6750.
    Bearer {
        /// The token.
        token: String,
    },
    /// A token requested by client credentials, RFC 6749 section 4.4.
    OAuth2 {
        /// The token endpoint.
        token_url: Url,
        /// The client id.
        client_id: String,
        /// The client's secret.
        client_secret: String,
        /// The scope.
        scope: Option<String>,
    },
}

impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Basic { .. } => "Basic",
            Self::Bearer { .. } => "Bearer",
            Self::OAuth2 { .. } => "OAuth2",
        })
    }
}

/// A signing secret. It cannot be printed or turned back into text.
pub struct Secret {
    signer: Signer,
    /// Until when it signs; absent: without end.
    expires_at: Option<Timestamp>,
}

enum Signer {
    Hmac(Box<hmac::Key>),
    Ed25519(Ed25519KeyPair),
}

impl Secret {
    /// Reads `whsec_…` or `whsk_…`, valid until `expires_at`.
    ///
    /// # Errors
    /// [`NotASecret`].
    pub fn parse(text: &str, expires_at: Option<Timestamp>) -> Result<Self, NotASecret> {
        let signer = match signing_secret::decode(text)? {
            Key::Shared(key) => Signer::Hmac(Box::new(hmac::Key::new(hmac::HMAC_SHA256, &key))),
            Key::Pair { seed, public } => {
                Signer::Ed25519(Ed25519KeyPair::from_seed_and_public_key(&seed, &public).map_err(|_| NotASecret)?)
            }
        };
        Ok(Self { signer, expires_at })
    }

    /// Whether calls are signed with it at `now`.
    pub fn active(&self, now: Timestamp) -> bool {
        self.expires_at.is_none_or(|at| now < at)
    }

    /// The signature over `prefix` and `body`, with its version before it.
    pub(crate) fn sign(&self, prefix: &[u8], body: &[u8]) -> String {
        match &self.signer {
            Signer::Hmac(key) => {
                let mut context = hmac::Context::with_key(key);
                context.update(prefix);
                context.update(body);
                format!("v1,{}", STANDARD.encode(context.sign()))
            }
            Signer::Ed25519(pair) => format!("v1a,{}", STANDARD.encode(pair.sign(&[prefix, body].concat()))),
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}
