//! Tokens by client credentials (RFC 6749 section 4.4), cached while they are valid.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use billwire_schemas::ids::WebhookEndpointId;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header};
use serde_json::Value;
use tokio::time::Instant;
use url::{Url, form_urlencoded};

use crate::{client::Client, reply, request};

/// How long a token is used if the server does not say when it expires.
const UNTOLD: Duration = Duration::from_secs(300);
/// How long a token is used at most.
const LONGEST: Duration = Duration::from_secs(24 * 3600);
/// How long before it expires a token is no longer used: clocks differ, and calls take time.
const MARGIN: Duration = Duration::from_secs(30);

/// Endpoints whose tokens are cached; beyond that, all are dropped.
const KEPT_MAX: usize = 10_000;

/// The request for a token.
pub(crate) struct Grant<'a> {
    pub token_url: &'a Url,
    pub client_id: &'a str,
    pub client_secret: &'a str,
    pub scope: Option<&'a str>,
}

#[derive(Clone)]
struct Token {
    text: Arc<str>,
    version: i64,
    good_until: Instant,
}

/// The cached token of one endpoint; the holder of the lock requests it.
type Slot = Arc<tokio::sync::Mutex<Option<Token>>>;

/// The tokens of all endpoints.
#[derive(Default)]
pub(crate) struct Tokens(Mutex<HashMap<WebhookEndpointId, Slot>>);

impl Tokens {
    fn slot(&self, endpoint: WebhookEndpointId) -> Slot {
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if slots.len() >= KEPT_MAX && !slots.contains_key(&endpoint) {
            slots.clear();
        }
        slots.entry(endpoint).or_default().clone()
    }

    /// The token of an endpoint at this version of its settings; requested if no valid one is cached. Concurrent calls cause one request.
    ///
    /// # Errors
    /// Why there is no token, for people.
    pub async fn of(&self, client: &Client, endpoint: WebhookEndpointId, version: i64, grant: Grant<'_>) -> Result<Arc<str>, String> {
        let slot = self.slot(endpoint);
        let mut slot = slot.lock().await;
        if let Some(token) = slot.as_ref().filter(|token| token.version == version && Instant::now() < token.good_until) {
            return Ok(token.text.clone());
        }
        *slot = None;
        let (text, lasts) = get(client, grant).await?;
        *slot = Some(Token { text: text.clone(), version, good_until: Instant::now() + lasts });
        Ok(text)
    }

    /// Drops a token that the receiver refused.
    pub async fn invalidate(&self, endpoint: WebhookEndpointId, token: &str) {
        let slot = self.slot(endpoint);
        let mut slot = slot.lock().await;
        if slot.as_ref().is_some_and(|kept| &*kept.text == token) {
            *slot = None;
        }
    }
}

async fn get(client: &Client, grant: Grant<'_>) -> Result<(Arc<str>, Duration), String> {
    // RFC 6749 section 2.3.1: both are form-encoded before they are joined.
    let encoded = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let authorization = request::basic(&encoded(grant.client_id), &encoded(grant.client_secret)).map_err(|unfit| unfit.to_string())?;
    let scope = grant.scope.map(|scope| ("scope", scope));
    let form = form_urlencoded::Serializer::new(String::new())
        .extend_pairs([("grant_type", "client_credentials")].into_iter().chain(scope))
        .finish();
    let mut headers = HeaderMap::new();
    headers.insert(header::AUTHORIZATION, authorization);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
    headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
    let answer = client.call(grant.token_url.clone(), headers, Bytes::from(form)).await;
    let answer = answer.map_err(|failure| format!("no token: {failure}"))?;
    if !answer.status.is_success() {
        let excerpt = reply::excerpt(&answer.body, &[grant.client_secret.to_owned()]);
        return Err(format!("no token: the token endpoint answered {}: {excerpt}", answer.status.as_u16()));
    }
    let (token, lasts) = granted(&answer.body).ok_or_else(|| "no token: the token endpoint's answer holds none".to_owned())?;
    if HeaderValue::try_from(&*token).is_err() {
        return Err("no token: what the token endpoint gave cannot be sent in a header".to_owned());
    }
    Ok((token, lasts.saturating_sub(MARGIN).max(lasts / 2)))
}

/// The token in an answer and how long it lasts. Of RFC 6749 section 5.1 only `access_token` is required here: real servers send
/// `expires_in` as text, as a fraction, as `null` or as a number that means nothing, and some put a byte-order mark first.
fn granted(body: &[u8]) -> Option<(Arc<str>, Duration)> {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    let answer: Value = serde_json::from_slice(body).ok()?;
    let token = answer["access_token"].as_str().map(str::trim).filter(|token| !token.is_empty())?;
    let seconds = match &answer["expires_in"] {
        Value::String(text) => text.trim().parse().ok(),
        number => number.as_f64(),
    };
    let told = seconds.filter(|seconds| *seconds > 0.0).map(|seconds| LONGEST.min(Duration::try_from_secs_f64(seconds).unwrap_or(LONGEST)));
    Some((token.into(), told.unwrap_or(UNTOLD)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_a_server_says_of_its_end_a_token_is_a_token() {
        for (expires_in, seconds) in [
            ("3600", 3600),
            ("\"3600\"", 3600),
            ("\" 3599 \"", 3599),
            ("3600.0", 3600),
            ("\"1e3\"", 1000),
            ("null", 300),
            ("\"\"", 300),
            ("\"never\"", 300),
            ("\"NaN\"", 300),
            ("0", 300),
            ("-1", 300),
            ("[]", 300),
            ("1e300", 86400),
            ("\"inf\"", 86400),
            ("99999999999999999999", 86400),
        ] {
            let answer = format!("\u{feff}{{\"access_token\":\"t\",\"token_type\":\"BearerToken\",\"expires_in\":{expires_in}}}\r\n");
            assert_eq!(granted(answer.as_bytes()), Some(("t".into(), Duration::from_secs(seconds))), "{expires_in}");
        }
        assert_eq!(granted(br#"{"access_token":"t"}"#), Some(("t".into(), UNTOLD)));
        assert_eq!(granted(br#"{"access_token":"a","access_token":"b"}"#), Some(("b".into(), UNTOLD)));
        for none in [&b"access_token=t"[..], b"{}", br#"{"access_token":7}"#, br#"{"access_token":" "}"#, b"", b"[]", b"\"t\""] {
            assert_eq!(granted(none), None, "{}", String::from_utf8_lossy(none));
        }
    }
}
