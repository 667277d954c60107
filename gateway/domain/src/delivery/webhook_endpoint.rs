//! Webhook endpoints: the receivers of event POST requests, and the contents of the requests.

mod settings;
mod signing;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use billwire_schemas::{clock::Timestamp, destination, events::envelope::Parameters, ids::WebhookEndpointId, refusal::Code};
use serde::{Deserialize, Serialize};

use crate::{
    change::{Change, Entity, Lifecycle, entity_members},
    patch::Patch,
    rejected::{Rejected, Violation},
};

pub use settings::{Auth, Credentials};
pub use signing::{NewSecret, Rotate, SigningKey, rotate};

/// A webhook endpoint. Its secret data is sealed and stored separately, in [`Secrets`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WebhookEndpoint {
    /// Object id.
    pub id: WebhookEndpointId,
    /// Object version, starting at 1.
    pub version: i64,
    /// Name, unique within the tenant.
    pub name: String,
    /// The base URL.
    pub url: String,
    /// The path below the base URL.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub path: Option<String>,
    /// Whether the endpoint is called. While disabled, its deliveries wait.
    pub enabled: bool,
    /// Why the endpoint is disabled.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub disabled_because: Option<String>,
    /// The signing keys, newest first, without secret parts.
    pub signing: Vec<SigningKey>,
    /// Authentication in addition to the signature.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub auth: Option<Auth>,
    /// Names of the custom headers of each call.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub header_names: Vec<String>,
    /// The client certificate chain, as PEM.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub client_certificate: Option<String>,
    /// Delays before each retry, in seconds; absent: the installation's.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub retry_waits: Option<Vec<u32>>,
    /// Maximum concurrent calls; absent: the installation's.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub max_in_flight: Option<u32>,
    /// Maximum calls per second; absent: no limit.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub max_per_second: Option<u32>,
    /// Address that receives a notice when the endpoint is disabled.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub owner_email: Option<String>,
    /// Creation time.
    pub created_at: Timestamp,
}

/// The secret data of an endpoint, stored sealed.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Secrets {
    /// Encoded signing secrets, by the id of their [`SigningKey`].
    pub signing: BTreeMap<String, String>,
    /// The password, token or client secret of [`WebhookEndpoint::auth`].
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub credential: Option<String>,
    /// Header values, by name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub headers: BTreeMap<String, String>,
    /// Private key of the client certificate, as PEM.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub client_key: Option<String>,
}

/// A client certificate and its key, both PEM.
#[derive(Clone, PartialEq, Eq)]
pub struct ClientCertificate {
    /// The certificate chain.
    pub certificate: String,
    /// The private key.
    pub key: String,
}

/// The settable members of an endpoint; absent members are not set, or stay unchanged.
#[derive(Clone, Default)]
pub struct Settings {
    /// See [`WebhookEndpoint::name`].
    pub name: Option<String>,
    /// See [`WebhookEndpoint::url`].
    pub url: Option<String>,
    /// See [`WebhookEndpoint::path`]; an empty string removes it.
    pub path: Option<String>,
    /// Authentication, with secrets.
    pub auth: Option<Credentials>,
    /// All custom headers of each call, by name.
    pub headers: Option<BTreeMap<String, String>>,
    /// The client certificate; `Some(None)` removes it.
    pub client_certificate: Option<Option<ClientCertificate>>,
    /// See [`WebhookEndpoint::retry_waits`].
    pub retry_waits: Patch<Vec<u32>>,
    /// See [`WebhookEndpoint::max_in_flight`].
    pub max_in_flight: Patch<u32>,
    /// See [`WebhookEndpoint::max_per_second`]; 0 removes the limit.
    pub max_per_second: Option<u32>,
    /// See [`WebhookEndpoint::owner_email`]; an empty string removes it.
    pub owner_email: Option<String>,
}

/// `createWebhookEndpoint`.
#[derive(Clone)]
pub struct Create {
    /// The new endpoint's id.
    pub id: WebhookEndpointId,
    /// The signing secret.
    pub secret: NewSecret,
    /// The settings; name and URL are present.
    pub settings: Settings,
}

/// Decides `createWebhookEndpoint`.
///
/// # Errors
/// All violations of [`destination::parse`]; `path_invalid`, `secret_invalid`, `header_not_allowed`, `headers_too_many`,
/// `client_certificate_invalid`.
pub fn create(command: Create, now: Timestamp) -> Result<(Change<WebhookEndpoint>, Secrets), Rejected> {
    let mut broken = Vec::new();
    let (mut signing, mut secrets) = (Vec::new(), Secrets::default());
    match command.secret.read(now) {
        Ok(key) => {
            secrets.signing.insert(key.id.clone(), command.secret.text);
            signing.push(key);
        }
        Err(violation) => broken.push(violation),
    }
    let mut endpoint = WebhookEndpoint {
        id: command.id,
        version: 1,
        name: String::new(),
        url: String::new(),
        path: None,
        enabled: true,
        disabled_because: None,
        signing,
        auth: None,
        header_names: Vec::new(),
        client_certificate: None,
        retry_waits: None,
        max_in_flight: None,
        max_per_second: None,
        owner_email: None,
        created_at: now,
    };
    broken.extend(command.settings.apply(&mut endpoint, &mut secrets));
    Rejected::from_violations(broken).map_or(Ok((Change::created(endpoint), secrets)), Err)
}

/// Decides `updateWebhookEndpoint`.
///
/// # Errors
/// The errors of [`create`], without `secret_invalid`.
pub fn update(last: WebhookEndpoint, mut secrets: Secrets, settings: Settings) -> Result<(Change<WebhookEndpoint>, Secrets), Rejected> {
    let (mut after, known) = (next(&last), secrets.clone());
    let broken = settings.apply(&mut after, &mut secrets);
    if let Some(rejected) = Rejected::from_violations(broken) {
        return Err(rejected);
    }
    let change = if secrets == known { updated(last, after) } else { Change::updated_in_secret(last, after) };
    Ok((change, secrets))
}

/// Decides `enableWebhookEndpoint`.
///
/// # Errors
/// `webhook_endpoint_enabled`.
pub fn enable(last: WebhookEndpoint) -> Result<Change<WebhookEndpoint>, Rejected> {
    if last.enabled {
        return Err(Rejected::conflict(Code::WebhookEndpointEnabled, "The webhook endpoint is already enabled."));
    }
    let after = WebhookEndpoint { enabled: true, disabled_because: None, ..next(&last) };
    Ok(updated(last, after))
}

/// Decides `disableWebhookEndpoint`, on a person's request or after failures of the receiver.
///
/// # Errors
/// `webhook_endpoint_disabled`.
pub fn disable(last: WebhookEndpoint, because: &str) -> Result<Change<WebhookEndpoint>, Rejected> {
    if !last.enabled {
        return Err(Rejected::conflict(Code::WebhookEndpointDisabled, "The webhook endpoint is already disabled."));
    }
    let after = WebhookEndpoint { enabled: false, disabled_because: Some(because.to_owned()), ..next(&last) };
    let parameters = Parameters::from([
        ("webhookEndpoint.id".to_owned(), after.id.to_string().into()),
        ("webhookEndpoint.name".to_owned(), after.name.clone().into()),
        ("webhookEndpoint.url".to_owned(), without_query(&after.url).into()),
        ("webhookEndpoint.disabledBecause".to_owned(), because.into()),
    ]);
    Ok(updated(last, after).and(Lifecycle { kind: "webhook_endpoint.disabled", parameters }))
}

/// A query may contain a key, which must not appear in events.
fn without_query(url: &str) -> &str {
    url.split('?').next().unwrap_or(url)
}

fn next(last: &WebhookEndpoint) -> WebhookEndpoint {
    WebhookEndpoint { version: last.version + 1, ..last.clone() }
}

fn updated(before: WebhookEndpoint, after: WebhookEndpoint) -> Change<WebhookEndpoint> {
    Change::updated(before, after, Vec::<&'static str>::new())
}

/// The violations of a URL to call, reported at `pointer`.
fn url_faults(pointer: &'static str, url: &str) -> Vec<Violation> {
    let Err(refused) = destination::parse(url) else { return Vec::new() };
    refused.0.into_iter().map(|rule| Violation::new(pointer, rule.code, rule.message)).collect()
}

impl Entity for WebhookEndpoint {
    const TYPE: &'static str = "webhookEndpoint";
    const EVENT_OBJECT: Option<&'static str> = None;

    entity_members!(only_version, configuration);
}
