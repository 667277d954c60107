//! The responses of an operation: success from its response type, refusals from its registry entry.

use std::collections::BTreeMap;

use billwire_schemas::refusal::Code;

use serde_json::{Map, Value, json};

use crate::{http::problem::CONTENT_TYPE, openapi::operation::Operation};

/// Responses shared by several operations.
#[derive(Default)]
pub(super) struct Shared(Map<String, Value>);

impl Shared {
    pub fn into_components(self) -> Value {
        Value::Object(self.0)
    }
}

/// The component name of a shared response.
fn shared_name(status: u16, codes: &[Code]) -> Option<&'static str> {
    Some(match status {
        401 => "Unauthenticated",
        403 if codes.len() == 1 => "Forbidden",
        408 => "RequestTimeout",
        412 => "Stale",
        413 => "BodyTooLarge",
        415 => "UnsupportedMediaType",
        429 => "TooManyRequests",
        500 => "InternalError",
        503 if !codes.contains(&Code::Overloaded) => "Unavailable",
        503 => "UnavailableOrOverloaded",
        _ => return None,
    })
}

/// Adds every refusal to `operation`, and the headers of every response.
pub(super) fn add(operation: &mut Value, asks: &Operation, shared: &mut Shared) {
    let codes = asks.codes();
    let mut by_status: BTreeMap<u16, Vec<Code>> = BTreeMap::new();
    for code in Code::ALL.iter().filter(|known| codes.contains(known)) {
        by_status.entry(code.status()).or_default().push(*code);
    }
    let Some(responses) = operation["responses"].as_object_mut() else { return };
    responses.values_mut().for_each(|response| {
        request_id(response);
        rate_limits(response);
    });
    for (status, codes) in by_status {
        let made = match shared_name(status, &codes) {
            Some(name) => {
                shared.0.entry(name).or_insert_with(|| refusal(status, &codes));
                json!({ "$ref": format!("#/components/responses/{name}") })
            }
            None => refusal(status, &codes),
        };
        responses.insert(status.to_string(), made);
    }
}

fn request_id(response: &mut Value) {
    let names: Vec<String> = response["headers"].as_object().into_iter().flatten().map(|(name, _)| name.clone()).collect();
    for name in names {
        if let Some(header) = response["headers"][&name].as_object_mut() {
            header.remove("deprecated");
        }
    }
    response["headers"]["X-Request-Id"] = header("The request id: the caller's own, or a generated one.");
}

/// The fields that tell what is left of the caller's limits.
const RATE_LIMITS: [(&str, &str, &str); 2] = [
    (
        "RateLimit",
        "RateLimit",
        "What is left of the limits that apply (draft-ietf-httpapi-ratelimit-headers), such as `\"key\";r=999;t=1`.",
    ),
    ("RateLimit-Policy", "RateLimitPolicy", "The limits that apply: requests (`q`) in seconds (`w`), such as `\"key\";q=1000;w=1`."),
];

/// The headers that responses share, by component name.
pub(super) fn headers() -> Value {
    RATE_LIMITS.iter().map(|(_, component, description)| ((*component).to_owned(), header(description))).collect::<Map<_, _>>().into()
}

fn rate_limits(response: &mut Value) {
    for (name, component, _) in RATE_LIMITS {
        response["headers"][name] = json!({ "$ref": format!("#/components/headers/{component}") });
    }
}

fn header(description: &str) -> Value {
    json!({ "description": description, "schema": { "type": "string" } })
}

fn refusal(status: u16, codes: &[Code]) -> Value {
    let lines: Vec<String> = codes.iter().map(|code| format!("- `{code}`: {}", code.title())).collect();
    let example = codes.last().map(|code| {
        json!({
            "type": format!("urn:billwire:problem:{code}"),
            "title": code.title(),
            "status": status,
            "code": code,
            "detail": format!("{}.", code.title()),
            "requestId": "0198c0de-0000-7000-8000-00000000000f",
        })
    });
    let content = json!({ CONTENT_TYPE: { "schema": { "$ref": "#/components/schemas/Problem" }, "example": example } });
    let mut response = json!({ "description": format!("{}\n\n{}", reason(status), lines.join("\n")), "content": content });
    request_id(&mut response);
    match status {
        401 => response["headers"]["WWW-Authenticate"] = header("The challenge (RFC 6750)."),
        429 | 503 => response["headers"]["Retry-After"] = header("Seconds to wait."),
        _ => {}
    }
    // Who is not known has no limits of their own.
    if (400..500).contains(&status) && status != 401 {
        rate_limits(&mut response);
    }
    response
}

fn reason(status: u16) -> &'static str {
    match status {
        400 => "The request is not well-formed.",
        401 => "The caller is not authenticated.",
        403 => "The caller is not authorized.",
        404 => "The resource does not exist.",
        408 => "The request took too long to arrive.",
        409 => "The state of the resource does not allow the operation.",
        412 => "The resource has changed since the given version.",
        413 => "The request is too large.",
        415 => "The media type is not supported.",
        422 => "The request is well-formed, but breaks a rule.",
        429 => "The caller or the tenant has sent more requests than allowed; retry after the given time.",
        503 => "Nothing was changed; retry after a moment.",
        _ => "An internal error occurred.",
    }
}
