//! Webhook endpoints: where events are POSTed, and what the call carries.

mod settings;
mod signing;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use billwire_schemas::{clock::Timestamp, destination, events::envelope::Parameters, ids::WebhookEndpointId, refusal::Code};
use serde::{Deserialize, Serialize};

use crate::{
    change::{Change, Entity, Lifecycle, entity_members},
    rejected::{Rejected, Violation},
};

pub use settings::{Auth, Credentials};
pub use signing::{NewSecret, Rotate, SigningKey, rotate};

/// A webhook endpoint. What is secret of it stands sealed beside it, in [`Secrets`], never in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WebhookEndpoint {
    /// Its id.
    pub id: WebhookEndpointId,
    /// Its version, from 1.
    pub version: i64,
    /// Its name, unique in the tenant.
    pub name: String,
    /// The base URL.
    pub url: String,
    /// The path below the base URL.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub path: Option<String>,
    /// Whether it is called. What it is owed while it is not waits.
    pub enabled: bool,
    /// Why it is not called.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub disabled_because: Option<String>,
    /// The keys its calls are signed with, newest first, without what is secret of them.
    pub signing: Vec<SigningKey>,
    /// How calls say who they are, besides the signature.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub auth: Option<Auth>,
    /// Names of the headers that go with each call.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub header_names: Vec<String>,
    /// The certificate, and those that vouch for it, that is shown to the receiver: PEM.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub client_certificate: Option<String>,
    /// Waits before each further try, in seconds; absent: the installation's.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub retry_waits: Option<Vec<u32>>,
    /// Calls under way at once; absent: the installation's.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub max_in_flight: Option<u32>,
    /// Calls started in a second; absent: no limit.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub max_per_second: Option<u32>,
    /// Address of who is told when it is disabled.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub owner_email: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// What of an endpoint rests sealed.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Secrets {
    /// Written signing secrets, by the id of their [`SigningKey`].
    pub signing: BTreeMap<String, String>,
    /// The password, token or client secret of [`WebhookEndpoint::auth`].
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub credential: Option<String>,
    /// Values of the headers, by name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub headers: BTreeMap<String, String>,
    /// The private key of the client certificate: PEM.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub client_key: Option<String>,
}

/// A client certificate with its key, PEM both.
#[derive(Clone, PartialEq, Eq)]
pub struct ClientCertificate {
    /// The chain.
    pub certificate: String,
    /// The private key.
    pub key: String,
}

/// What can be set when an endpoint is made and later; what is absent is not set, or stays.
#[derive(Clone, Default)]
pub struct Settings {
    /// See [`WebhookEndpoint::name`].
    pub name: Option<String>,
    /// See [`WebhookEndpoint::url`].
    pub url: Option<String>,
    /// See [`WebhookEndpoint::path`]; the empty text: none.
    pub path: Option<String>,
    /// How calls say who they are.
    pub auth: Option<Credentials>,
    /// All headers that go with each call, by name.
    pub headers: Option<BTreeMap<String, String>>,
    /// The client certificate; `Some(None)`: none.
    pub client_certificate: Option<Option<ClientCertificate>>,
    /// See [`WebhookEndpoint::retry_waits`].
    pub retry_waits: Option<Vec<u32>>,
    /// See [`WebhookEndpoint::max_in_flight`].
    pub max_in_flight: Option<u32>,
    /// See [`WebhookEndpoint::max_per_second`]; 0: no limit.
    pub max_per_second: Option<u32>,
    /// See [`WebhookEndpoint::owner_email`]; the empty text: nobody.
    pub owner_email: Option<String>,
}

/// `createWebhookEndpoint`.
#[derive(Clone)]
pub struct Create {
    /// The new endpoint's id.
    pub id: WebhookEndpointId,
    /// What its calls are signed with.
    pub secret: NewSecret,
    /// What it shall be; name and URL are there.
    pub settings: Settings,
}

/// Decides `createWebhookEndpoint`.
///
/// # Errors
/// Every broken rule of [`destination::parse`]; `secret_invalid`, `header_not_allowed`, `headers_too_many`, `retry_waits_invalid`,
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
/// As [`create`], without `secret_invalid`.
pub fn update(last: WebhookEndpoint, mut secrets: Secrets, settings: Settings) -> Result<(Change<WebhookEndpoint>, Secrets), Rejected> {
    let mut after = next(&last);
    let broken = settings.apply(&mut after, &mut secrets);
    Rejected::from_violations(broken).map_or_else(|| Ok((updated(last, after), secrets)), Err)
}

/// Decides `enableWebhookEndpoint`.
///
/// # Errors
/// `webhook_endpoint_enabled`.
pub fn enable(last: WebhookEndpoint) -> Result<Change<WebhookEndpoint>, Rejected> {
    if last.enabled {
        return Err(Rejected::conflict(Code::WebhookEndpointEnabled, "The webhook endpoint is enabled already."));
    }
    let after = WebhookEndpoint { enabled: true, disabled_because: None, ..next(&last) };
    Ok(updated(last, after))
}

/// Decides `disableWebhookEndpoint`, asked for by a person or by what its receiver did.
///
/// # Errors
/// `webhook_endpoint_disabled`.
pub fn disable(last: WebhookEndpoint, because: &str) -> Result<Change<WebhookEndpoint>, Rejected> {
    if !last.enabled {
        return Err(Rejected::conflict(Code::WebhookEndpointDisabled, "The webhook endpoint is disabled already."));
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

/// A query may hold a key, which belongs in no event.
fn without_query(url: &str) -> &str {
    url.split('?').next().unwrap_or(url)
}

fn next(last: &WebhookEndpoint) -> WebhookEndpoint {
    WebhookEndpoint { version: last.version + 1, ..last.clone() }
}

fn updated(before: WebhookEndpoint, after: WebhookEndpoint) -> Change<WebhookEndpoint> {
    Change::updated(before, after, Vec::<&'static str>::new())
}

/// The violations of a URL that is to be called, told of at `pointer`.
fn url_faults(pointer: &'static str, url: &str) -> Vec<Violation> {
    let Err(refused) = destination::parse(url) else { return Vec::new() };
    refused.0.into_iter().map(|rule| Violation::new(pointer, rule.code, rule.message)).collect()
}

impl Entity for WebhookEndpoint {
    const TYPE: &'static str = "webhookEndpoint";
    const EVENT_OBJECT: Option<&'static str> = None;

    entity_members!(only_version, configuration);
}
