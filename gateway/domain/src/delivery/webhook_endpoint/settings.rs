//! What can be set of an endpoint, and its rules.

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::STANDARD};
use billwire_schemas::{destination, refusal::Code};
use serde::{Deserialize, Serialize};

use super::{ClientCertificate, Secrets, Settings, WebhookEndpoint, url_faults};
use crate::rejected::Violation;

/// Most headers of a tenant's own.
const HEADERS_MAX: usize = 20;

/// How calls say who they are: what may be shown of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Auth {
    /// RFC 7617.
    Basic {
        /// User name.
        username: String,
    },
    /// RFC 6750.
    Bearer,
    /// A bearer token got by client credentials, RFC 6749 section 4.4.
    #[serde(rename = "oauth2")]
    OAuth2 {
        /// Where tokens are got.
        token_url: String,
        /// Who asks.
        client_id: String,
        /// What for.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        scope: Option<String>,
    },
}

/// [`Auth`] with what is secret of it.
#[derive(Clone, PartialEq, Eq)]
pub enum Credentials {
    /// By the signature alone.
    None,
    /// With a password, token or client secret.
    Of(Auth, String),
}

impl Settings {
    /// Puts these settings into an endpoint and its secrets. Gives every rule that is broken.
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
        if let Some(waits) = self.retry_waits {
            endpoint.retry_waits = Some(waits);
        }
        if let Some(max) = self.max_in_flight {
            endpoint.max_in_flight = Some(max);
        }
        if let Some(max) = self.max_per_second {
            endpoint.max_per_second = (max > 0).then_some(max);
        }
        if let Some(owner) = self.owner_email {
            endpoint.owner_email = text(owner);
        }
        broken
    }
}

/// What is wrong with a tenant's headers. Their values are held against the schema, which lets no control character through.
fn header_faults(headers: &BTreeMap<String, String>, with_auth: bool) -> Vec<Violation> {
    let mut broken = Vec::new();
    if headers.len() > HEADERS_MAX {
        broken.push(Violation::new("/headers", Code::HeadersTooMany, format!("There may be {HEADERS_MAX} headers at the most.")));
    }
    for name in headers.keys() {
        let pointer = format!("/headers/{}", name.replace('~', "~0").replace('/', "~1"));
        // RFC 9110 section 5.6.2.
        let token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
        let message = if name.is_empty() || name.len() > 100 || !name.chars().all(token) {
            "This is no name of a header.".to_owned()
        } else if destination::header_is_reserved(name) {
            format!("'{name}' belongs to the call itself and cannot be set.")
        } else if with_auth && name.eq_ignore_ascii_case("authorization") {
            "'auth' makes this header already; give one of them.".to_owned()
        } else if headers.keys().any(|other| other < name && other.eq_ignore_ascii_case(name)) {
            "This header stands twice, spelled differently.".to_owned()
        } else {
            continue;
        };
        broken.push(Violation::new(pointer, Code::HeaderNotAllowed, message));
    }
    broken
}

/// What is wrong with the form of a certificate and its key. Whether they belong together is for TLS to say.
fn certificate_faults(given: &ClientCertificate) -> Vec<Violation> {
    let parts = [
        ("/clientCertificate/certificate", &given.certificate, &["CERTIFICATE"][..]),
        ("/clientCertificate/key", &given.key, &["PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY"][..]),
    ];
    let broken = parts.into_iter().filter(|(_, pem, labels)| !holds_only(pem, labels));
    broken
        .map(|(pointer, _, labels)| {
            let message = format!("This is not PEM with -----BEGIN {}-----, and nothing else.", labels[0]);
            Violation::new(pointer, Code::ClientCertificateInvalid, message)
        })
        .collect()
}

/// Whether a text consists of PEM blocks (RFC 7468) of these labels, at least one.
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
