//! What a webhook endpoint's calls carry, in requests and answers.

use std::collections::{BTreeMap, HashMap};

use billwire_app::domain::delivery::webhook_endpoint::{Auth, ClientCertificate, Credentials};
use poem_openapi::{Object, types::Example};
use serde_json::Value;

use crate::{
    http::problem::Violation,
    types::scalars::{AuthType, ClientId, HeaderValue, Moment, Pem, Token, TokenScope, Url, Username},
};

/// How calls shall say who they are, besides the signature. `none` takes nothing; `basic` takes `username` and `password`; `bearer` takes
/// `token`; `oauth2` (client credentials, RFC 6749 section 4.4) takes `tokenUrl`, `clientId`, `clientSecret` and, if wanted, `scope`.
/// What is secret rests sealed and is never shown.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub(crate) struct NewWebhookAuth {
    /// Which way.
    #[oai(rename = "type")]
    kind: AuthType,
    /// Of `basic`: the user name.
    username: Option<Username>,
    /// Of `basic`: the password.
    password: Option<HeaderValue>,
    /// Of `bearer`: the token.
    token: Option<Token>,
    /// Of `oauth2`: where tokens are got. The rules of the base URL hold for it, too.
    token_url: Option<Url>,
    /// Of `oauth2`: the name of the client.
    client_id: Option<ClientId>,
    /// Of `oauth2`: the client's secret.
    client_secret: Option<HeaderValue>,
    /// Of `oauth2`: what the token is for.
    scope: Option<TokenScope>,
}

/// What each way must have, and what it may have besides.
const TAKES: [(&str, &[&str], &[&str]); 4] = [
    ("none", &[], &[]),
    ("basic", &["username", "password"], &[]),
    ("bearer", &["token"], &[]),
    ("oauth2", &["tokenUrl", "clientId", "clientSecret"], &["scope"]),
];

/// Names what a way to say who calls lacks, and what does not go with its type.
pub(crate) fn check_auth(body: &Value, found: &mut Vec<Violation>) {
    crate::types::tagged_union::check(body, "auth", &TAKES, found);
}

impl NewWebhookAuth {
    /// In the domain's form.
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

/// A client certificate for mutual TLS. An empty object takes away the one there is.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub(crate) struct NewClientCertificate {
    /// The certificate and those that vouch for it, PEM.
    certificate: Option<Pem>,
    /// Its private key, PEM, without a passphrase. Rests sealed and is never shown.
    key: Option<Pem>,
}

/// Names the half of a client certificate that is missing.
pub(crate) fn check_certificate(body: &Value, found: &mut Vec<Violation>) {
    let Some(given) = body.get("clientCertificate").and_then(Value::as_object) else { return };
    for (name, other) in [("certificate", "key"), ("key", "certificate")] {
        if !given.contains_key(name) && given.contains_key(other) {
            let pointer = format!("/clientCertificate/{name}");
            let message = format!("'{pointer}' is required with /clientCertificate/{other}.");
            found.push(Violation::at(pointer, "missing", message));
        }
    }
}

impl NewClientCertificate {
    /// In the domain's form; `None`: none.
    pub fn wanted(self) -> Option<ClientCertificate> {
        let (certificate, key) = (self.certificate?.0, self.key?.0);
        Some(ClientCertificate { certificate, key })
    }
}

/// Headers in the domain's form.
pub(crate) fn headers(given: HashMap<String, HeaderValue>) -> BTreeMap<String, String> {
    given.into_iter().map(|(name, value)| (name, value.0)).collect()
}

/// How calls say who they are, without what is secret of it.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub(crate) struct WebhookAuth {
    /// `basic`, `bearer` or `oauth2`. More values may be added.
    #[oai(rename = "type")]
    kind: String,
    /// Of `basic`: the user name.
    username: Option<String>,
    /// Of `oauth2`: where tokens are got.
    token_url: Option<String>,
    /// Of `oauth2`: the name of the client.
    client_id: Option<String>,
    /// Of `oauth2`: what the token is for.
    scope: Option<String>,
}

impl Example for WebhookAuth {
    fn example() -> Self {
        Self { kind: "bearer".to_owned(), username: None, token_url: None, client_id: None, scope: None }
    }
}

/// A key that calls are signed with, without what is secret of it.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub(crate) struct SigningKey {
    /// Unique id.
    id: String,
    /// `hmac` (signatures `v1,…`) or `ed25519` (signatures `v1a,…`).
    algorithm: String,
    /// Of `ed25519`: what signatures are checked with, `whpk_` and base64.
    public_key: Option<String>,
    /// Since when calls are signed with it.
    created_at: Moment,
    /// Until when, where another has taken its place.
    expires_at: Option<Moment>,
}

impl Example for SigningKey {
    fn example() -> Self {
        let (id, algorithm) = (crate::types::example::example_id(0x51).to_string(), "hmac".to_owned());
        Self { id, algorithm, public_key: None, created_at: crate::types::example::example_moment(), expires_at: None }
    }
}
