//! What is sent: an event's bytes, an endpoint and a moment become a URL and headers, signed as Standard Webhooks 1.0 asks.

use std::fmt;

use aws_lc_rs::{hmac, rand};
use base64::{Engine, engine::general_purpose::STANDARD};
use billwire_schemas::{
    clock::Timestamp,
    destination,
    ids::{EventId, WebhookEndpointId},
    signing_secret::{self, NotASecret},
};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use serde_json::Value;
use url::{Url, form_urlencoded};

const ID: HeaderName = HeaderName::from_static("webhook-id");
const TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
const SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");

/// How many random bytes a fresh secret has: as many as HMAC-SHA256 can make use of without hashing the key first.
const FRESH_KEY_BYTES: usize = 32;

/// A receiver of webhooks, ready to be called.
pub struct Endpoint {
    /// The endpoint's id.
    pub id: WebhookEndpointId,
    /// The base URL, as [`destination::parse`] gave it.
    pub url: Url,
    /// A path (and query) below the base URL.
    pub path: Option<String>,
    /// The active secrets, newest first. More than one while a rotation is under way.
    pub secrets: Vec<Secret>,
    /// Whether it may be called.
    pub enabled: bool,
    /// Credentials besides the signature.
    pub auth: Option<Auth>,
    /// Headers the tenant adds. Names the call owns ([`destination::header_is_reserved`]) are left out.
    pub headers: Vec<(HeaderName, HeaderValue)>,
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
}

impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Basic { .. } => "Basic",
            Self::Bearer { .. } => "Bearer",
        })
    }
}

/// A signing secret, ready to sign. Cannot be printed and cannot be turned back into text.
#[derive(Clone)]
pub struct Secret(hmac::Key);

impl Secret {
    /// Reads `whsec_…`.
    ///
    /// # Errors
    /// [`NotASecret`].
    pub fn parse(text: &str) -> Result<Self, NotASecret> {
        Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, &signing_secret::decode(text)?)))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// The machine gave no random bytes.
#[derive(Debug, thiserror::Error)]
#[error("no random bytes for a signing secret")]
pub struct NoEntropy;

/// Makes a fresh secret, as the text that is shown to the tenant once.
///
/// # Errors
/// [`NoEntropy`].
pub fn generate_secret() -> Result<String, NoEntropy> {
    let mut key = [0; FRESH_KEY_BYTES];
    rand::fill(&mut key).map_err(|_| NoEntropy)?;
    signing_secret::encode(&key).map_err(|_| NoEntropy)
}

/// Why no call could be made from an endpoint's own settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unsendable {
    /// An unsigned call would teach receivers not to check.
    #[error("endpoint has no active signing secret")]
    NoSecret,
    /// The credentials hold something a header must not.
    #[error("endpoint's credentials cannot be sent in a header")]
    Credentials,
}

/// The value of `webhook-signature`: one `v1,` signature per secret over `<id>.<unix seconds>.<body>`.
pub fn signature(secrets: &[Secret], id: &str, unix_seconds: i64, body: &[u8]) -> String {
    let prefix = format!("{id}.{unix_seconds}.");
    let one = |secret: &Secret| {
        let mut context = hmac::Context::with_key(&secret.0);
        context.update(prefix.as_bytes());
        context.update(body);
        format!("v1,{}", STANDARD.encode(context.sign()))
    };
    secrets.iter().map(one).collect::<Vec<_>>().join(" ")
}

/// All headers of a call made at `now`. What the tenant adds goes in first, so that nothing of it can replace ours.
///
/// # Errors
/// [`Unsendable`], when the endpoint's settings allow no call.
pub fn headers(endpoint: &Endpoint, event: EventId, body: &[u8], now: Timestamp) -> Result<HeaderMap, Unsendable> {
    if endpoint.secrets.is_empty() {
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
    if let Some(auth) = &endpoint.auth {
        headers.insert(header::AUTHORIZATION, authorization(auth)?);
    }
    let (id, seconds) = (event.to_string(), now.timestamp());
    // These four consist of hex digits, decimal digits and base64, so they always fit into a header.
    let ours = [
        (SIGNATURE, signature(&endpoint.secrets, &id, seconds, body)),
        (ID, id),
        (TIMESTAMP, seconds.to_string()),
        (header::USER_AGENT, format!("Billwire/{}", env!("CARGO_PKG_VERSION"))),
    ];
    for (name, value) in ours {
        headers.insert(name, HeaderValue::try_from(value).map_err(|_| Unsendable::Credentials)?);
    }
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/cloudevents+json"));
    Ok(headers)
}

fn authorization(auth: &Auth) -> Result<HeaderValue, Unsendable> {
    let text = match auth {
        Auth::Basic { user, password } => format!("Basic {}", STANDARD.encode(format!("{user}:{password}"))),
        Auth::Bearer { token } => format!("Bearer {token}"),
    };
    let mut value = HeaderValue::try_from(text).map_err(|_| Unsendable::Credentials)?;
    value.set_sensitive(true);
    Ok(value)
}

/// The texts that must not come back to light when a receiver echoes its request.
pub fn confidential(endpoint: &Endpoint) -> Vec<String> {
    let mut texts: Vec<String> = endpoint.headers.iter().filter_map(|(_, value)| value.to_str().ok().map(str::to_owned)).collect();
    match &endpoint.auth {
        None => {}
        Some(Auth::Bearer { token }) => texts.push(token.clone()),
        Some(Auth::Basic { user, password }) => {
            texts.push(password.clone());
            texts.push(STANDARD.encode(format!("{user}:{password}")));
        }
    }
    texts
}

/// The URL of a call: `path` below the base URL's own path. A query in `path` replaces the base URL's; the host is beyond
/// the reach of `path`, whatever it holds.
pub fn url(base: &Url, path: Option<&str>) -> Url {
    let mut url = base.clone();
    let Some(path) = path.filter(|path| !path.is_empty()) else { return url };
    let (path, query) = path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query)));
    if !path.is_empty() {
        url.set_path(&format!("{}/{}", base.path().trim_end_matches('/'), path.trim_start_matches('/')));
    }
    if query.is_some() {
        url.set_query(query);
    }
    url
}

/// A path with each `{name}` replaced by that parameter of the event in `body`, percent-encoded: no value can add a segment, a query
/// or a fragment of its own.
///
/// # Errors
/// Which parameter the event does not have, for people.
pub fn filled_in(path: &str, body: &[u8]) -> Result<String, String> {
    if !path.contains('{') {
        return Ok(path.to_owned());
    }
    let event: Value = serde_json::from_slice(body).map_err(|error| format!("the event cannot be read: {error}"))?;
    let (mut filled, mut rest) = (String::new(), path);
    while let Some((before, (name, after))) = rest.split_once('{').and_then(|(before, after)| Some((before, after.split_once('}')?))) {
        filled.push_str(before);
        let text = match &event["data"]["parameters"][name] {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            Value::Bool(flag) => flag.to_string(),
            _ => return Err(format!("the path names '{name}', which this event does not have")),
        };
        if matches!(text.as_str(), "" | "." | "..") {
            return Err(format!("'{name}' is '{text}', which cannot stand in a path"));
        }
        filled.extend(form_urlencoded::byte_serialize(text.as_bytes()).map(|part| part.replace('+', "%20")));
        rest = after;
    }
    filled.push_str(rest);
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_paths_parameters_are_percent_encoded_and_must_be_there() {
        let body = br#"{"data":{"parameters":{"account.id":"a1","account.name":"A/B ?x=1#y&z","bucket.tier":2,"x.dots":".."}}}"#;
        let filled = |path: &str| filled_in(path, body);
        assert_eq!(filled("/plain?x=1"), Ok("/plain?x=1".to_owned()));
        assert_eq!(filled("/a/{account.id}/t{bucket.tier}"), Ok("/a/a1/t2".to_owned()));
        assert_eq!(filled("/a/{account.name}?n={account.name}"), Ok("/a/A%2FB%20%3Fx%3D1%23y%26z?n=A%2FB%20%3Fx%3D1%23y%26z".to_owned()));
        assert!(filled("/a/{account.currency}").is_err_and(|fault| fault.contains("account.currency")));
        assert!(filled("/a/{x.dots}/b").is_err(), "it would lead elsewhere");
    }

    const SPEC_SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const SPEC_SIGNATURE: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

    fn endpoint() -> Endpoint {
        Endpoint {
            id: WebhookEndpointId(billwire_schemas::ids::fresh()),
            url: Url::parse("https://hooks.example.com/in?key=k").unwrap(),
            path: None,
            secrets: vec![Secret::parse(SPEC_SECRET).unwrap()],
            enabled: true,
            auth: None,
            headers: Vec::new(),
        }
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_timestamp(seconds, 0).unwrap()
    }

    #[test]
    fn the_signature_of_the_specification_comes_out() {
        let sign = |secrets: &[Secret]| signature(secrets, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#);
        let spec = Secret::parse(SPEC_SECRET).unwrap();
        assert_eq!(sign(std::slice::from_ref(&spec)), SPEC_SIGNATURE);
        let other = Secret::parse(&generate_secret().unwrap()).unwrap();
        let both = sign(&[other, spec]);
        assert_eq!(both.split(' ').count(), 2);
        assert!(both.ends_with(&format!(" {SPEC_SIGNATURE}")), "{both}");
    }

    #[test]
    fn the_headers_carry_what_is_signed() {
        let (endpoint, event) = (endpoint(), EventId(billwire_schemas::ids::fresh()));
        let headers = headers(&endpoint, event, b"{}", at(1_614_265_330)).unwrap();
        assert_eq!(headers["webhook-id"], event.to_string());
        assert_eq!(headers["webhook-timestamp"], "1614265330");
        assert_eq!(headers["webhook-signature"], signature(&endpoint.secrets, &event.to_string(), 1_614_265_330, b"{}"));
        assert_eq!(headers["content-type"], "application/cloudevents+json");
        assert!(headers["user-agent"].to_str().unwrap().starts_with("Billwire/"));
    }

    #[test]
    fn a_tenants_headers_are_added_but_replace_nothing_of_ours() {
        let mut endpoint = endpoint();
        for (name, value) in [("x-api-key", "k1"), ("host", "evil"), ("webhook-id", "forged"), ("content-type", "text/plain")] {
            endpoint.headers.push((HeaderName::from_static(name), HeaderValue::from_static(value)));
        }
        endpoint.headers.push((header::AUTHORIZATION, HeaderValue::from_static("Custom x")));
        endpoint.auth = Some(Auth::Basic { user: "u".into(), password: "p".into() });
        let headers = headers(&endpoint, EventId(billwire_schemas::ids::fresh()), b"{}", at(0)).unwrap();
        assert_eq!(headers["x-api-key"], "k1");
        assert!(headers["x-api-key"].is_sensitive());
        assert!(!headers.contains_key("host"));
        assert_eq!(headers.get_all("authorization").iter().collect::<Vec<_>>(), ["Basic dTpw"]);
        assert_eq!(headers.get_all("content-type").iter().count(), 1);
        assert_ne!(headers["webhook-id"], "forged");
    }

    #[test]
    fn settings_that_allow_no_call_are_told_apart() {
        let event = EventId(billwire_schemas::ids::fresh());
        let unsigned = Endpoint { secrets: Vec::new(), ..endpoint() };
        assert_eq!(headers(&unsigned, event, b"", at(0)), Err(Unsendable::NoSecret));
        let injecting = Endpoint { auth: Some(Auth::Bearer { token: "a\r\nhost: b".into() }), ..endpoint() };
        assert_eq!(headers(&injecting, event, b"", at(0)), Err(Unsendable::Credentials));
    }

    #[test]
    fn nothing_secret_is_printed() {
        let auth = Some(Auth::Bearer { token: "tok-4711".into() });
        let headers = vec![(HeaderName::from_static("x-key"), HeaderValue::from_static("val-4711"))];
        let printed = format!("{:?} {:?}", Endpoint { auth, headers, ..endpoint() }, Secret::parse(SPEC_SECRET));
        for hidden in ["4711", "MfKQ", "key=k"] {
            assert!(!printed.contains(hidden), "{printed}");
        }
    }

    #[test]
    fn a_path_stays_on_the_host() {
        for (base, path, expected) in [
            ("https://a.example/", None, "https://a.example/"),
            ("https://a.example/in/", Some("events"), "https://a.example/in/events"),
            ("https://a.example/in", Some("/events/"), "https://a.example/in/events/"),
            ("https://a.example/in?k=1", Some("x"), "https://a.example/in/x?k=1"),
            ("https://a.example/in?k=1", Some("x?l=2"), "https://a.example/in/x?l=2"),
            ("https://a.example/in", Some("?l=2"), "https://a.example/in?l=2"),
            ("https://a.example", Some("//evil.example/x"), "https://a.example/evil.example/x"),
            ("https://a.example", Some("https://evil.example/"), "https://a.example/https://evil.example/"),
            ("https://a.example", Some("@evil.example#x"), "https://a.example/@evil.example%23x"),
        ] {
            assert_eq!(url(&Url::parse(base).unwrap(), path).as_str(), expected);
        }
    }
}
