//! `createWebhookEndpoint`, `updateWebhookEndpoint`, `enableWebhookEndpoint`, `disableWebhookEndpoint`, `rotateWebhookSecret`,
//! `testWebhookEndpoint`.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use billwire_domain::{
    Change, Rejected,
    delivery::webhook_endpoint::{self, ClientCertificate, Rotate, Secrets, Settings, WebhookEndpoint},
};
use billwire_schemas::{
    clock::{Clock, SystemClock, Timestamp},
    delivery::Health,
    ids::{EventId, OrderingKey, TenantId, WebhookEndpointId},
    refusal::Code,
};
use billwire_store::{Configuration, ConfigurationKind as Kind, Error, Store, Tx, commit::Failure};
use serde_json::value::{RawValue, to_raw_value};

use crate::{
    App, Caller, RequestContext,
    configuration::addressed,
    ensure_name_free,
    execute::{UseCase, json},
    record::Record,
};

/// The result of a test call.
#[derive(Debug, Clone)]
pub struct Tried {
    /// Whether the receiver accepted the call.
    pub delivered: bool,
    /// Status code of the response, if any.
    pub status: Option<u16>,
    /// An excerpt of the response, or the reason why there was none.
    pub detail: String,
    /// Duration of the call.
    pub latency: Duration,
}

/// A client for webhook receivers; `server` implements it over the webhook channel.
#[async_trait]
pub trait WebhookClient: Send + Sync + 'static {
    /// Why TLS cannot use this certificate, or `None` if it can.
    fn unusable(&self, certificate: &ClientCertificate) -> Option<String>;

    /// Calls an endpoint once, as a delivery would, even if it is disabled.
    ///
    /// # Errors
    /// A message if the call could not be attempted.
    async fn call(&self, tenant: &TenantId, endpoint: WebhookEndpointId, event: EventId, body: Vec<u8>) -> Result<Tried, String>;
}

/// Refuses a certificate that TLS cannot use.
fn ensure_usable(webhook_client: Option<&Arc<dyn WebhookClient>>, settings: &Settings) -> Result<(), Failure> {
    let (Some(webhook_client), Some(Some(certificate))) = (webhook_client, &settings.client_certificate) else { return Ok(()) };
    webhook_client.unusable(certificate).map_or(Ok(()), |why| {
        let message = format!("This certificate and key are not usable: {why}.");
        Err(Rejected::violation("/clientCertificate", Code::ClientCertificateInvalid, message).into())
    })
}

fn sealed(secrets: &Secrets) -> Result<String, Failure> {
    serde_json::to_string(secrets).map_err(json)
}

/// The endpoint with the new secret, for the response.
fn shown(endpoint: &WebhookEndpoint, secret: &str) -> Result<Box<RawValue>, Failure> {
    let mut shown = serde_json::to_value(endpoint).map_err(json)?;
    shown["secret"] = secret.into();
    to_raw_value(&shown).map_err(json)
}

async fn secrets_of(tx: &Tx<'_>, endpoint: &WebhookEndpoint) -> Result<Secrets, Failure> {
    let text = tx.secrets(Kind::WebhookEndpoint, endpoint.id.0).await?;
    let missing = || Error::Corrupt { table: "configuration", detail: "a webhook endpoint without secrets".into() };
    serde_json::from_str(&text.ok_or_else(missing)?).map_err(json)
}

fn saved(tx: &mut Tx<'_>, change: &Change<WebhookEndpoint>, secrets: Option<&Secrets>) -> Result<Record, Failure> {
    let after = &change.after;
    tx.change_configuration(after.id.0, after.version, after.name.clone(), after)?;
    if let Some(secrets) = secrets {
        tx.change_secrets(Kind::WebhookEndpoint, after.id.0, &sealed(secrets)?)?;
    }
    Record::of(change)
}

/// Creates a webhook endpoint. Only the reply shows the signing secret.
#[derive(Clone)]
pub struct CreateWebhookEndpoint {
    /// What to create.
    pub command: webhook_endpoint::Create,
    webhook_client: Option<Arc<dyn WebhookClient>>,
}

/// Changes a webhook endpoint.
#[derive(Clone)]
pub struct UpdateWebhookEndpoint {
    /// The id, as the client sent it.
    pub id: String,
    /// The changes.
    pub settings: Settings,
    /// The required version, if any.
    pub if_match: Option<i64>,
    webhook_client: Option<Arc<dyn WebhookClient>>,
}

impl App {
    /// `createWebhookEndpoint`.
    pub fn create_webhook_endpoint(&self, command: webhook_endpoint::Create) -> CreateWebhookEndpoint {
        CreateWebhookEndpoint { command, webhook_client: self.webhook_client.clone() }
    }

    /// `updateWebhookEndpoint`.
    pub fn update_webhook_endpoint(&self, id: String, settings: Settings, if_match: Option<i64>) -> UpdateWebhookEndpoint {
        UpdateWebhookEndpoint { id, settings, if_match, webhook_client: self.webhook_client.clone() }
    }

    /// `testWebhookEndpoint`: sends `body` as the event `event`.
    ///
    /// # Errors
    /// `webhook_endpoint_not_found`, no webhook client in this process, or a database failure.
    pub async fn test_webhook_endpoint(&self, tenant: &TenantId, id: &str, event: EventId, body: Vec<u8>) -> Result<Tried, Failure> {
        let endpoint: WebhookEndpoint = self.configuration(tenant, id).await?;
        let webhook_client = self.webhook_client.as_ref().ok_or_else(|| Error::Unavailable("this process has no webhook client".into()))?;
        webhook_client.call(tenant, endpoint.id, event, body).await.map_err(|why| Error::Unavailable(why).into())
    }

    /// The health record of an endpoint; `None` means healthy.
    ///
    /// # Errors
    /// A database failure.
    pub async fn health(&self, tenant: &TenantId, endpoint: uuid::Uuid) -> Result<Option<Health>, Failure> {
        Ok(self.store.health(tenant, endpoint).await?)
    }

    /// Disables an endpoint because of its receiver. Does nothing if the endpoint is already disabled or deleted.
    ///
    /// # Errors
    /// A database failure.
    pub async fn give_up_webhook_endpoint(&self, tenant: TenantId, id: WebhookEndpointId, because: &str) -> Result<(), Failure> {
        let caller = Caller { tenant, actor: "delivery".to_owned(), scopes: Vec::new() };
        let use_case = DisableWebhookEndpoint { id: id.to_string(), because: because.to_owned(), if_match: None };
        match self.execute(RequestContext { caller, claim: None }, use_case).await {
            Ok(_) | Err(Failure::Rejected(_)) => Ok(()),
            Err(failure) => Err(failure),
        }
    }
}

#[async_trait]
impl UseCase for CreateWebhookEndpoint {
    const OPERATION: &'static str = "createWebhookEndpoint";
    const STATUS: u16 = 201;

    fn key(&self) -> OrderingKey {
        Store::configuration_key()
    }
    async fn run(&self, tx: &mut Tx<'_>, _: Timestamp) -> Result<Option<Record>, Failure> {
        let name = self.command.settings.name.clone().unwrap_or_default();
        ensure_name_free(tx, Kind::WebhookEndpoint, &name).await?;
        // Wall-clock time, since receivers compare the expiry of secrets with their own clocks.
        let (change, secrets) = webhook_endpoint::create(self.command.clone(), SystemClock.now())?;
        ensure_usable(self.webhook_client.as_ref(), &self.command.settings)?;
        let (id, kind, body, secrets) = (change.after.id.0, Kind::WebhookEndpoint, change.after.clone(), Some(sealed(&secrets)?));
        tx.save_configuration(Configuration { id, kind, name, body, secrets, created_at: SystemClock.now() }).await?;
        Ok(Some(Record::of(&change)?.reveal(shown(&change.after, &self.command.secret.text)?)))
    }
}

#[async_trait]
impl UseCase for UpdateWebhookEndpoint {
    const OPERATION: &'static str = "updateWebhookEndpoint";

    fn key(&self) -> OrderingKey {
        Store::configuration_key()
    }
    async fn run(&self, tx: &mut Tx<'_>, _: Timestamp) -> Result<Option<Record>, Failure> {
        let last: WebhookEndpoint = addressed(tx, &self.id, self.if_match).await?;
        if let Some(name) = self.settings.name.as_ref().filter(|name| **name != last.name) {
            ensure_name_free(tx, Kind::WebhookEndpoint, name).await?;
        }
        let secrets = secrets_of(tx, &last).await?;
        let (change, secrets) = webhook_endpoint::update(last, secrets, self.settings.clone())?;
        ensure_usable(self.webhook_client.as_ref(), &self.settings)?;
        saved(tx, &change, Some(&secrets)).map(Some)
    }
}

/// Rotates the signing secret of a webhook endpoint. Only the reply shows the new secret.
#[derive(Clone)]
pub struct RotateWebhookSecret {
    /// The id, as the client sent it.
    pub id: String,
    /// The new secret, and the overlap with the current ones.
    pub command: Rotate,
    /// The required version, if any.
    pub if_match: Option<i64>,
}

#[async_trait]
impl UseCase for RotateWebhookSecret {
    const OPERATION: &'static str = "rotateWebhookSecret";

    fn key(&self) -> OrderingKey {
        Store::configuration_key()
    }
    async fn run(&self, tx: &mut Tx<'_>, _: Timestamp) -> Result<Option<Record>, Failure> {
        let last: WebhookEndpoint = addressed(tx, &self.id, self.if_match).await?;
        let secrets = secrets_of(tx, &last).await?;
        let (change, secrets) = webhook_endpoint::rotate(last, secrets, self.command.clone(), SystemClock.now())?;
        let shown = shown(&change.after, &self.command.secret.text)?;
        Ok(Some(saved(tx, &change, Some(&secrets))?.reveal(shown)))
    }
}

/// Enables a webhook endpoint; waiting deliveries are sent.
#[derive(Debug, Clone)]
pub struct EnableWebhookEndpoint {
    /// The id, as the client sent it.
    pub id: String,
    /// The required version, if any.
    pub if_match: Option<i64>,
}

#[async_trait]
impl UseCase for EnableWebhookEndpoint {
    const OPERATION: &'static str = "enableWebhookEndpoint";

    fn key(&self) -> OrderingKey {
        Store::configuration_key()
    }
    async fn run(&self, tx: &mut Tx<'_>, _: Timestamp) -> Result<Option<Record>, Failure> {
        let change = webhook_endpoint::enable(addressed(tx, &self.id, self.if_match).await?)?;
        tx.delete_health(change.after.id.0);
        saved(tx, &change, None).map(Some)
    }
}

/// Disables a webhook endpoint; its deliveries wait until it is enabled.
#[derive(Debug, Clone)]
pub struct DisableWebhookEndpoint {
    /// The id, as the client sent it.
    pub id: String,
    /// Reason, as free text.
    pub because: String,
    /// The required version, if any.
    pub if_match: Option<i64>,
}

#[async_trait]
impl UseCase for DisableWebhookEndpoint {
    const OPERATION: &'static str = "disableWebhookEndpoint";

    /// The endpoint's own id: its event needs a gapless sequence, and that of the configuration key also counts changes without events.
    fn key(&self) -> OrderingKey {
        self.id.parse().map_or(OrderingKey::CONFIGURATION, |id: WebhookEndpointId| id.0.into())
    }
    fn locks(&self) -> Vec<OrderingKey> {
        if self.key() == OrderingKey::CONFIGURATION { Vec::new() } else { vec![OrderingKey::CONFIGURATION] }
    }
    async fn run(&self, tx: &mut Tx<'_>, _: Timestamp) -> Result<Option<Record>, Failure> {
        let last: WebhookEndpoint = addressed(tx, &self.id, self.if_match).await?;
        let change = webhook_endpoint::disable(last, &self.because)?;
        tx.delete_health(change.after.id.0);
        // The delivery engine compares this number to detect configuration changes.
        tx.next_sequence(&OrderingKey::CONFIGURATION)?;
        Ok(Some(saved(tx, &change, None)?.in_order_of(self.key())))
    }
}
