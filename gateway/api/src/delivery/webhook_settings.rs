//! Authentication, client certificate, headers and signing keys of webhook endpoints.

use std::collections::{BTreeMap, HashMap};

use billwire_app::domain::delivery::webhook_endpoint::{Auth, ClientCertificate, Credentials};
use poem_openapi::{Object, types::Example};
use serde_json::Value;

use crate::{
    http::problem::Violation,
    types::scalars::{AuthType, ClientId, HeaderValue, Moment, Pem, Token, TokenScope, Url, Username},
};

/// Authentication of calls, besides the signature. `none` has no members; `basic` requires `username` and `password`; `bearer` requires
/// `token`; `oauth2` (client credentials, RFC 6749 section 4.4) requires `tokenUrl`, `clientId` and `clientSecret` and allows `scope`.
/// Secrets are stored encrypted and never shown.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub(crate) struct WebhookAuthInput {
    /// Type of authentication.
    #[oai(rename = "type")]
    kind: AuthType,
    /// For `basic`: the user name.
    username: Option<Username>,
    /// For `basic`: the password.
    password: Option<HeaderValue>,
    /// For `bearer`: the token.
    token: Option<Token>,
    /// For `oauth2`: the token endpoint. The rules for the base URL apply.
    token_url: Option<Url>,
    /// For `oauth2`: the client id.
    client_id: Option<ClientId>,
    /// For `oauth2`: the client secret.
    client_secret: Option<HeaderValue>,
    /// For `oauth2`: the requested scope.
    scope: Option<TokenScope>,
}

/// The required and the optional members of each authentication type.
const TAKES: [(&str, &[&str], &[&str]); 4] = [
    ("none", &[], &[]),
    ("basic", &["username", "password"], &[]),
    ("bearer", &["token"], &[]),
    ("oauth2", &["tokenUrl", "clientId", "clientSecret"], &["scope"]),
];

/// Adds to `found` missing members and members that the authentication type does not allow.
pub(crate) fn check_auth(body: &Value, found: &mut Vec<Violation>) {
    crate::types::tagged_union::check(body, "auth", &TAKES, found);
}

impl WebhookAuthInput {
    /// Converts to the domain's type.
    pub fn credentials(self) -> Credentials {
        let secret = |text: Option<HeaderValue>| text.map(|text| text.0).unwrap_or_default();
        match self.kind {
            AuthType::None => Credentials::None,
            AuthType::Basic => {
                Credentials::Of(Auth::Basic { username: self.username.map(|name| name.0).unwrap_or_default() }, secret(self.password))
            }
            AuthType::Bearer => Credentials::Of(Auth::Bearer, self.token.map(|token| token.0).unwrap_or_default()),
            AuthType::OAuth2 => {
                let token_url = self.token_url.map(|url| url.0).unwrap_or_default();
                let client_id = self.client_id.map(|id| id.0).unwrap_or_default();
                Credentials::Of(Auth::OAuth2 { token_url, client_id, scope: self.scope.map(|scope| scope.0) }, secret(self.client_secret))
            }
        }
    }

    /// Builds an example.
    pub fn of_token() -> Self {
        let kind = AuthType::Bearer;
        let token = Some("b1946ac92492d234".into());
        Self { kind, username: None, password: None, token, token_url: None, client_id: None, client_secret: None, scope: None }
    }
}

/// A client certificate for mutual TLS. An empty object removes the current one.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub(crate) struct ClientCertificateInput {
    /// The certificate and its chain, PEM.
    certificate: Option<Pem>,
    /// The private key, PEM, without a passphrase. Stored encrypted and never shown.
    key: Option<Pem>,
}

/// Adds a violation to `found` if only one of certificate and key is given.
pub(crate) fn check_certificate(body: &Value, found: &mut Vec<Violation>) {
    let Some(given) = body.get("clientCertificate").and_then(Value::as_object) else { return };
    for (name, other) in [("certificate", "key"), ("key", "certificate")] {
        if !given.contains_key(name) && given.contains_key(other) {
            let pointer = format!("/clientCertificate/{name}");
            let message = format!("'{pointer}' is required with '/clientCertificate/{other}'.");
            found.push(Violation::at(pointer, "missing", message));
        }
    }
}

impl ClientCertificateInput {
    /// Converts to the domain's type; `None` removes the certificate.
    pub fn wanted(self) -> Option<ClientCertificate> {
        let (certificate, key) = (self.certificate?.0, self.key?.0);
        Some(ClientCertificate { certificate, key })
    }
}

/// Converts headers to the domain's type.
pub(crate) fn headers(given: HashMap<String, HeaderValue>) -> BTreeMap<String, String> {
    given.into_iter().map(|(name, value)| (name, value.0)).collect()
}

/// Authentication of calls, without secrets.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub(crate) struct WebhookAuth {
    /// `basic`, `bearer` or `oauth2`. More values may be added.
    #[oai(rename = "type")]
    kind: String,
    /// For `basic`: the user name.
    username: Option<String>,
    /// For `oauth2`: the token endpoint.
    token_url: Option<String>,
    /// For `oauth2`: the client id.
    client_id: Option<String>,
    /// For `oauth2`: the requested scope.
    scope: Option<String>,
}

impl Example for WebhookAuth {
    fn example() -> Self {
        Self { kind: "bearer".to_owned(), username: None, token_url: None, client_id: None, scope: None }
    }
}

/// A signing key, without its secret.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub(crate) struct SigningKey {
    /// Unique id.
    id: String,
    /// `hmac` (signatures `v1,…`) or `ed25519` (signatures `v1a,…`).
    algorithm: String,
    /// For `ed25519`: the public key to verify signatures with, `whpk_` and base64.
    public_key: Option<String>,
    /// Time since which calls are signed with the key.
    created_at: Moment,
    /// Time until which calls are signed with the key, if it has been replaced.
    expires_at: Option<Moment>,
}

impl Example for SigningKey {
    fn example() -> Self {
        let (id, algorithm) = (crate::types::example::example_id(0x51).to_string(), "hmac".to_owned());
        Self { id, algorithm, public_key: None, created_at: crate::types::example::example_moment(), expires_at: None }
    }
}
