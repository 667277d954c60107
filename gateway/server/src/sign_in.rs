//! Signs a person in through an identity provider: authorization code (RFC 6749 section 4.1) with PKCE (RFC 7636), over a redirect to this
//! machine (RFC 8252 section 7.3), and refreshes their tokens.

use std::{io::Write, time::Duration};

use aws_lc_rs::digest;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use billwire_schemas::clock::{Clock, SystemClock, Timestamp};
use billwire_webhook::unguarded_client::UnguardedClient;
use chrono::TimeDelta;
use poem::http::{HeaderMap, HeaderValue, header};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::{net::TcpListener, time::timeout};
use url::{Host, Url, form_urlencoded};

use crate::{random, redirect};

/// How long a call of the provider may take.
const CALL_MAX: Duration = Duration::from_secs(30);
/// How long before its end a token is refreshed: clocks differ, and calls take time.
const MARGIN: TimeDelta = TimeDelta::seconds(3);

/// How to sign in.
#[derive(Debug, clap::Args)]
pub struct SignInOptions {
    /// Sign in through the identity provider with this issuer, exactly as it writes itself, instead of with a key
    #[arg(long, requires = "client_id", conflicts_with = "key")]
    pub issuer: Option<String>,
    /// With --issuer: the id of a public client there, with http://127.0.0.1/callback as redirect
    #[arg(long, requires = "issuer")]
    client_id: Option<String>,
    /// With --issuer: the scopes to ask for; offline_access is for a refresh token
    #[arg(long, default_value = "openid offline_access")]
    scope: String,
    /// With --issuer: the resource that tokens are for (RFC 8707), where the provider asks for it
    #[arg(long, requires = "issuer")]
    resource: Option<String>,
    /// With --issuer: how long the browser may take, in seconds
    #[arg(long, default_value_t = 300)]
    timeout_seconds: u64,
}

/// How a token can be replaced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Session {
    issuer: String,
    client_id: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    resource: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    refresh_token: Option<String>,
    /// When the token ends, if the provider says so.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    expires_at: Option<Timestamp>,
}

/// A token, and how to replace it.
pub struct SignedIn {
    /// The access token.
    pub token: String,
    /// How to replace it.
    pub session: Session,
}

/// What a provider says of itself (OpenID Connect Discovery 1.0 section 3).
#[derive(Deserialize)]
struct Provider {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    #[serde(default)]
    code_challenge_methods_supported: Option<Vec<String>>,
    /// RFC 9207.
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
}

/// A URL that tokens may be sent to: https, or on this machine.
///
/// # Errors
/// One line that begins with `what`.
pub fn protected(what: &str, url: &str) -> Result<Url, String> {
    let parsed = Url::parse(url).map_err(|error| format!("{what}: {url}: {error}"))?;
    let here = match parsed.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        _ => false,
    };
    match parsed.scheme() {
        "https" => Ok(parsed),
        "http" if here => Ok(parsed),
        _ => Err(format!("{what}: {url} must begin with https://")),
    }
}

async fn discover(client: &UnguardedClient, issuer: &str) -> Result<Provider, String> {
    protected("--issuer", issuer)?;
    let url = format!("{}/.well-known/openid-configuration", issuer.strip_suffix('/').unwrap_or(issuer));
    let (status, body) = client.read_document(protected("--issuer", &url)?).await.map_err(|error| format!("{url}: {error}"))?;
    if status != 200 {
        return Err(format!("{url}: the answer has status {status}; is this an issuer?"));
    }
    let provider: Provider = serde_json::from_slice(&body).map_err(|error| format!("{url}: {error}"))?;
    if provider.issuer != issuer {
        return Err(format!("--issuer: {url} is of the issuer {}; write it exactly so", provider.issuer));
    }
    if provider.code_challenge_methods_supported.as_ref().is_some_and(|methods| methods.iter().all(|method| method != "S256")) {
        return Err(format!("{issuer} does not offer PKCE with S256"));
    }
    Ok(provider)
}

/// Signs in with a browser. `None`: an issuer was not given.
///
/// # Errors
/// One line that says what is wrong and what to do.
pub async fn sign_in(options: &SignInOptions) -> Result<Option<SignedIn>, String> {
    let SignInOptions { issuer: Some(issuer), client_id: Some(client_id), scope, resource, timeout_seconds } = options else {
        return Ok(None);
    };
    let client = UnguardedClient::new(CALL_MAX)?;
    let provider = discover(&client, issuer).await?;
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(|error| format!("127.0.0.1: {error}"))?;
    let port = listener.local_addr().map_err(|error| format!("127.0.0.1: {error}"))?.port();
    let back = format!("http://127.0.0.1:{port}{}", redirect::PATH);
    let (state, verifier) = (URL_SAFE_NO_PAD.encode(random::bytes::<32>()?), URL_SAFE_NO_PAD.encode(random::bytes::<32>()?));
    let challenge = URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, verifier.as_bytes()));
    let mut url = protected("authorization_endpoint", &provider.authorization_endpoint)?;
    url.query_pairs_mut()
        .extend_pairs([("response_type", "code"), ("client_id", client_id), ("redirect_uri", &back), ("scope", scope), ("state", &state)])
        .extend_pairs([("code_challenge", challenge.as_str()), ("code_challenge_method", "S256")])
        .extend_pairs(resource.iter().map(|resource| ("resource", resource)));
    writeln!(std::io::stderr(), "open this page in a browser on this machine to sign in:\n\n{url}\n").map_err(|error| error.to_string())?;
    let expected = redirect::Expected { state: &state, issuer, names_issuer: provider.authorization_response_iss_parameter_supported };
    let code = timeout(Duration::from_secs(*timeout_seconds), redirect::code(&listener, &expected)).await;
    let code = code.map_err(|_| format!("nobody signed in within {timeout_seconds} seconds"))??;
    let session =
        Session { issuer: issuer.clone(), client_id: client_id.clone(), resource: resource.clone(), refresh_token: None, expires_at: None };
    let fields = [("grant_type", "authorization_code"), ("code", code.as_str()), ("redirect_uri", &back), ("code_verifier", &verifier)];
    session.asked(&client, &provider, &fields).await.map(Some)
}

impl Session {
    /// Whether the token has ended, or ends in a moment.
    pub fn has_ended(&self) -> bool {
        self.expires_at.is_some_and(|at| at - MARGIN <= SystemClock.now())
    }

    /// A new token. The provider may replace the refresh token too, so what is returned must be kept.
    ///
    /// # Errors
    /// One line that says what is wrong.
    pub async fn refreshed(&self) -> Result<SignedIn, String> {
        let token = self.refresh_token.as_deref().ok_or("the token has ended, and the provider gave none to refresh it with")?;
        let client = UnguardedClient::new(CALL_MAX)?;
        let provider = discover(&client, &self.issuer).await?;
        self.asked(&client, &provider, &[("grant_type", "refresh_token"), ("refresh_token", token)]).await
    }

    /// Asks the token endpoint.
    async fn asked(&self, client: &UnguardedClient, provider: &Provider, fields: &[(&str, &str)]) -> Result<SignedIn, String> {
        let url = protected("token_endpoint", &provider.token_endpoint)?;
        let resource = self.resource.as_deref().map(|resource| ("resource", resource));
        let form = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(fields.iter().copied().chain([("client_id", self.client_id.as_str())]).chain(resource))
            .finish();
        let form_type = HeaderValue::from_static("application/x-www-form-urlencoded");
        let accepted = HeaderValue::from_static("application/json");
        let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, form_type), (header::ACCEPT, accepted)]);
        let asked_at = SystemClock.now();
        let (status, body) = client.post(url, headers, form.into()).await.map_err(|error| format!("{}: {error}", self.issuer))?;
        let said: Value = serde_json::from_slice(&body).unwrap_or_default();
        let text = |member: &str| said[member].as_str().filter(|text| !text.is_empty()).map(str::to_owned);
        let Some(token) = text("access_token").filter(|_| status == 200) else {
            let why = text("error_description").or_else(|| text("error")).unwrap_or_else(|| "no reason was given".to_owned());
            return Err(format!("{} gave no token: status {status}: {why}", self.issuer));
        };
        let expires_at = said["expires_in"].as_i64().and_then(TimeDelta::try_seconds).and_then(|lasts| asked_at.checked_add_signed(lasts));
        let refresh_token = text("refresh_token").or_else(|| self.refresh_token.clone());
        Ok(SignedIn { token, session: Self { refresh_token, expires_at, ..self.clone() } })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_sent_over_tls_or_stay_on_this_machine() {
        for good in ["https://login.example.com/token", "http://127.0.0.1:8080/token", "http://[::1]/token"] {
            assert!(protected("x", good).is_ok(), "{good}");
        }
        for bad in ["http://login.example.com/", "http://localhost.example.com/", "http://10.0.0.1/", "file:///etc/passwd", "login"] {
            assert!(protected("x", bad).is_err(), "{bad}");
        }
    }
}
