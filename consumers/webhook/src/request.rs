//! The request: an event's bytes, an endpoint and a moment become a URL and headers, signed by Standard Webhooks 1.0.

use base64::{Engine, engine::general_purpose::STANDARD};
use billwire_schemas::{
    clock::Timestamp,
    destination,
    events::parameters::value_of,
    ids::EventId,
    trace::{self, TRACEPARENT, TraceParent},
};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use serde_json::Value;
use url::{Url, form_urlencoded};

use crate::endpoint::{Auth, Endpoint, Secret};

const ID: HeaderName = HeaderName::from_static("webhook-id");
const TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
const SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");

/// Why an endpoint's settings allow no call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unsendable {
    /// An unsigned call would teach receivers not to verify signatures.
    #[error("endpoint has no active signing secret")]
    NoSecret,
    /// The credentials contain a character that is not allowed in a header.
    #[error("endpoint's credentials cannot be sent in a header")]
    Credentials,
}

/// The value of `webhook-signature`: a signature per secret over `<id>.<unix seconds>.<body>`.
pub fn signature<'s>(secrets: impl IntoIterator<Item = &'s Secret>, id: &str, unix_seconds: i64, body: &[u8]) -> String {
    let prefix = format!("{id}.{unix_seconds}.");
    secrets.into_iter().map(|secret| secret.sign(prefix.as_bytes(), body)).collect::<Vec<_>>().join(" ")
}

/// All headers of a call at `now`, with `token` if the endpoint uses an OAuth2 token. The tenant's own headers come first, so that none of
/// them can replace the gateway's.
///
/// # Errors
/// [`Unsendable`], when the endpoint's settings allow no call.
pub fn headers(endpoint: &Endpoint, token: Option<&str>, event: EventId, body: &[u8], now: Timestamp) -> Result<HeaderMap, Unsendable> {
    let secrets: Vec<&Secret> = endpoint.secrets.iter().filter(|secret| secret.active(now)).collect();
    if secrets.is_empty() {
        return Err(Unsendable::NoSecret);
    }
    let mut headers = HeaderMap::new();
    for (name, value) in &endpoint.headers {
        if !destination::header_is_reserved(name.as_str()) {
            let mut value = value.clone();
            value.set_sensitive(true);
            headers.append(name, value);
        }
    }
    let authorization = match (&endpoint.auth, token) {
        (None, _) => None,
        (Some(Auth::Basic { user, password }), _) => Some(basic(user, password)?),
        (Some(Auth::Bearer { token }), _) => Some(sensitive(format!("Bearer {token}"))?),
        (Some(Auth::OAuth2 { .. }), Some(token)) => Some(sensitive(format!("Bearer {token}"))?),
        (Some(Auth::OAuth2 { .. }), None) => return Err(Unsendable::Credentials),
    };
    if let Some(authorization) = authorization {
        headers.insert(header::AUTHORIZATION, authorization);
    }
    let (id, seconds) = (event.to_string(), now.timestamp());
    // These four consist of hex digits, decimal digits and base64, so they always fit into a header.
    let ours = [
        (SIGNATURE, signature(secrets, &id, seconds, body)),
        (ID, id),
        (TIMESTAMP, seconds.to_string()),
        (header::USER_AGENT, format!("Billwire/{}", env!("CARGO_PKG_VERSION"))),
    ];
    for (name, value) in ours {
        headers.insert(name, HeaderValue::try_from(value).map_err(|_| Unsendable::Credentials)?);
    }
    if let Some(trace) = std::str::from_utf8(body).ok().and_then(trace::of_message).filter(|text| TraceParent::parse(text).is_some()) {
        headers.insert(TRACEPARENT, HeaderValue::try_from(trace).map_err(|_| Unsendable::Credentials)?);
    }
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/cloudevents+json"));
    Ok(headers)
}

/// `Authorization` of RFC 7617.
pub(crate) fn basic(user: &str, password: &str) -> Result<HeaderValue, Unsendable> {
    sensitive(format!("Basic {}", STANDARD.encode(format!("{user}:{password}"))))
}

fn sensitive(text: String) -> Result<HeaderValue, Unsendable> {
    let mut value = HeaderValue::try_from(text).map_err(|_| Unsendable::Credentials)?;
    value.set_sensitive(true);
    Ok(value)
}

/// The texts that must not be shown when a receiver echoes its request.
pub fn confidential(endpoint: &Endpoint, token: Option<&str>) -> Vec<String> {
    let mut texts: Vec<String> = endpoint.headers.iter().filter_map(|(_, value)| value.to_str().ok().map(str::to_owned)).collect();
    texts.extend(token.map(str::to_owned));
    match &endpoint.auth {
        None => {}
        Some(Auth::OAuth2 { client_secret, .. }) => texts.push(client_secret.clone()),
        Some(Auth::Bearer { token }) => texts.push(token.clone()),
        Some(Auth::Basic { user, password }) => {
            texts.push(password.clone());
            texts.push(STANDARD.encode(format!("{user}:{password}")));
        }
    }
    texts
}

/// The URL of a call: `path` below the base URL's own path. A query in `path` replaces the base URL's; `path` cannot
/// change the host, whatever it contains.
///
/// # Errors
/// For people: `path`, as filled in, leads out of the base URL's path.
pub fn url(base: &Url, path: Option<&str>) -> Result<Url, String> {
    let mut url = base.clone();
    let Some(path) = path.filter(|path| !path.is_empty()) else { return Ok(url) };
    let (path, query) = path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query)));
    if !path.is_empty() {
        let folder = format!("{}/", base.path().trim_end_matches('/'));
        url.set_path(&format!("{folder}{}", path.trim_start_matches('/')));
        if !url.path().starts_with(&folder) {
            return Err("the path leads out of the endpoint's base path".to_owned());
        }
    }
    if query.is_some() {
        url.set_query(query);
    }
    Ok(url)
}

/// Maximum length of a path with its parameters filled in, in bytes. Servers accept less.
const PATH_BYTES_MAX: usize = 16 * 1024;

/// A path with each `{name}` replaced by that parameter of the event in `body`, percent-encoded: no value can add a segment, a query
/// or a fragment of its own.
///
/// # Errors
/// Which parameter the event does not have, or that the path becomes too long; for people.
pub fn filled_in(path: &str, body: &[u8]) -> Result<String, String> {
    if !path.contains('{') {
        return Ok(path.to_owned());
    }
    let event: Value = serde_json::from_slice(body).map_err(|error| format!("the event cannot be read: {error}"))?;
    let (mut filled, mut rest) = (String::new(), path);
    while let Some((before, (name, after))) = rest.split_once('{').and_then(|(before, after)| Some((before, after.split_once('}')?))) {
        filled.push_str(before);
        let text = match value_of(name, |name| event["data"]["parameters"].get(name)) {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Number(number)) => number.to_string(),
            Some(Value::Bool(flag)) => flag.to_string(),
            _ => return Err(format!("the path names '{name}', which this event does not have")),
        };
        if matches!(text.as_str(), "" | "." | "..") {
            return Err(format!("'{name}' is '{text}', which cannot stand in a path"));
        }
        filled.extend(form_urlencoded::byte_serialize(text.as_bytes()).map(|part| part.replace('+', "%20")));
        if filled.len() > PATH_BYTES_MAX {
            return Err(format!("the path with '{name}' filled in is longer than {PATH_BYTES_MAX} bytes"));
        }
        rest = after;
    }
    filled.push_str(rest);
    Ok(filled)
}

#[cfg(test)]
#[path = "tests/request.rs"]
mod tests;
