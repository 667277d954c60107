//! The settable members of an endpoint and their rules.

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::STANDARD};
use billwire_schemas::{destination, refusal::Code};
use serde::{Deserialize, Serialize};

use super::{ClientCertificate, Secrets, Settings, WebhookEndpoint, url_faults};
use crate::rejected::Violation;

/// Maximum number of custom headers.
const HEADERS_MAX: usize = 20;

/// The public part of the authentication.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Auth {
    /// HTTP Basic, RFC 7617.
    Basic {
        /// User name.
        username: String,
    },
    /// Bearer token, RFC 6750.
    Bearer,
    /// Bearer token obtained with client credentials, RFC 6749 section 4.4.
    #[serde(rename = "oauth2")]
    OAuth2 {
        /// Token endpoint.
        token_url: String,
        /// Client id.
        client_id: String,
        /// Requested scope.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        scope: Option<String>,
    },
}

/// [`Auth`] with its secret.
#[derive(Clone, PartialEq, Eq)]
pub enum Credentials {
    /// Signature only.
    None,
    /// With the password, token or client secret.
    Of(Auth, String),
}

impl Settings {
    /// Applies these settings to an endpoint and its secrets. Returns all violations.
    pub(super) fn apply(self, endpoint: &mut WebhookEndpoint, secrets: &mut Secrets) -> Vec<Violation> {
        let mut broken = Vec::new();
        let text = |text: String| (!text.is_empty()).then_some(text);
        if let Some(name) = self.name {
            endpoint.name = name;
        }
        if let Some(url) = self.url {
            broken.extend(url_faults("/url", &url));
            endpoint.url = url;
        }
        if let Some(path) = self.path {
            let fault = destination::path_fault(&path);
            broken.extend(fault.map(|fault| Violation::new("/path", Code::PathInvalid, format!("Invalid path: {fault}."))));
            endpoint.path = text(path);
        }
        match self.auth {
            None => {}
            Some(Credentials::None) => (endpoint.auth, secrets.credential) = (None, None),
            Some(Credentials::Of(auth, credential)) => {
                if let Auth::OAuth2 { token_url, .. } = &auth {
                    broken.extend(url_faults("/auth/tokenUrl", token_url));
                }
                (endpoint.auth, secrets.credential) = (Some(auth), Some(credential));
            }
        }
        if let Some(headers) = self.headers {
            broken.extend(header_faults(&headers, endpoint.auth.is_some()));
            endpoint.header_names = headers.keys().cloned().collect();
            secrets.headers = headers;
        }
        match self.client_certificate {
            None => {}
            Some(None) => (endpoint.client_certificate, secrets.client_key) = (None, None),
            Some(Some(given)) => {
                broken.extend(certificate_faults(&given));
                (endpoint.client_certificate, secrets.client_key) = (Some(given.certificate), Some(given.key));
            }
        }
        endpoint.retry_waits = self.retry_waits.apply(endpoint.retry_waits.take());
        endpoint.max_in_flight = self.max_in_flight.apply(endpoint.max_in_flight);
        if let Some(max) = self.max_per_second {
            endpoint.max_per_second = (max > 0).then_some(max);
        }
        if let Some(owner) = self.owner_email {
            endpoint.owner_email = text(owner);
        }
        broken
    }
}

/// Checks custom headers. The request schema has already excluded control characters in values.
fn header_faults(headers: &BTreeMap<String, String>, with_auth: bool) -> Vec<Violation> {
    let mut broken = Vec::new();
    if headers.len() > HEADERS_MAX {
        broken.push(Violation::new("/headers", Code::HeadersTooMany, format!("At most {HEADERS_MAX} headers are allowed.")));
    }
    for name in headers.keys() {
        let pointer = format!("/headers/{}", name.replace('~', "~0").replace('/', "~1"));
        // RFC 9110 section 5.6.2.
        let token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
        let message = if name.is_empty() || name.len() > 100 || !name.chars().all(token) {
            "This is not a valid header name.".to_owned()
        } else if destination::header_is_reserved(name) {
            format!("'{name}' is reserved and cannot be set.")
        } else if with_auth && name.eq_ignore_ascii_case("authorization") {
            "'auth' already sets this header; use one or the other.".to_owned()
        } else if headers.keys().any(|other| other < name && other.eq_ignore_ascii_case(name)) {
            "This header is listed twice, in different case.".to_owned()
        } else {
            continue;
        };
        broken.push(Violation::new(pointer, Code::HeaderNotAllowed, message));
    }
    broken
}

/// Checks the format of a certificate and its key. TLS checks that they match.
fn certificate_faults(given: &ClientCertificate) -> Vec<Violation> {
    let parts = [
        ("/clientCertificate/certificate", &given.certificate, &["CERTIFICATE"][..]),
        ("/clientCertificate/key", &given.key, &["PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY"][..]),
    ];
    let broken = parts.into_iter().filter(|(_, pem, labels)| !holds_only(pem, labels));
    broken
        .map(|(pointer, _, labels)| {
            let message = format!("This must be PEM with -----BEGIN {}----- blocks only.", labels[0]);
            Violation::new(pointer, Code::ClientCertificateInvalid, message)
        })
        .collect()
}

/// Whether a text consists of at least one PEM block (RFC 7468), all with these labels.
fn holds_only(pem: &str, labels: &[&str]) -> bool {
    let mut rest = pem.trim();
    while !rest.is_empty() {
        let Some((label, after)) = rest.strip_prefix("-----BEGIN ").and_then(|rest| rest.split_once("-----")) else { return false };
        let Some((body, after)) = after.split_once(&format!("-----END {label}-----")) else { return false };
        let body: String = body.split_whitespace().collect();
        if !labels.contains(&label) || body.is_empty() || STANDARD.decode(body).is_err() {
            return false;
        }
        rest = after.trim();
    }
    !pem.trim().is_empty()
}
