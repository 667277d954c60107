//! `createWebhookEndpoint`, `updateWebhookEndpoint`, `enableWebhookEndpoint`, `disableWebhookEndpoint`, `rotateWebhookSecret`,
//! `testWebhookEndpoint`.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use billwire_domain::{
    Change, Rejected,
    access::grant::Grant,
    delivery::subscription::{Action, Subscription},
    delivery::webhook_endpoint::{self, ClientCertificate, Rotate, Secrets, Settings, WebhookEndpoint},
};
use billwire_schemas::{
    clock::{Clock, SystemClock, Timestamp},
    delivery::{Exchange, Health},
    ids::{EventId, OrderingKey, TenantId, WebhookEndpointId},
    refusal::Code,
    signing_secret,
};
use billwire_store::{ConfigurationKind as Kind, Error, Tx, commit::Failure};
use serde_json::value::{RawValue, to_raw_value};

use crate::{
    App, Caller, RequestContext,
    configuration::{ConfigurationObject, ConfigurationUseCase, changed, created},
    ensure_name_free,
    execute::{UseCase, json},
    record::Record,
};

impl ConfigurationObject for WebhookEndpoint {
    const KIND: Kind = Kind::WebhookEndpoint;
    const NAME: &'static str = "webhook endpoint";
    const NOT_FOUND: Code = Code::WebhookEndpointNotFound;
    const DELETE: &'static str = "deleteWebhookEndpoint";
    fn name(&self) -> &str {
        &self.name
    }
    fn carries(&self, subscription: &Subscription) -> bool {
        matches!(&subscription.action, Action::Webhook { webhook_endpoint_id, .. } if *webhook_endpoint_id == self.id)
    }
}

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
    /// What was sent and what came back, if a call was made.
    pub exchange: Option<Box<Exchange>>,
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

/// The endpoint with what its receiver verifies the new signatures by, for the response: the shared secret, or the public key of a pair, whose
/// private one never leaves.
fn shown(endpoint: &WebhookEndpoint, secret: &str) -> Result<Box<RawValue>, Failure> {
    let mut shown = serde_json::to_value(endpoint).map_err(json)?;
    let public = signing_secret::decode(secret).ok().and_then(|key| signing_secret::public(&key));
    shown["secret"] = public.unwrap_or_else(|| secret.to_owned()).into();
    to_raw_value(&shown).map_err(json)
}

async fn secrets_of(tx: &Tx<'_>, endpoint: &WebhookEndpoint) -> Result<Secrets, Failure> {
    let text = tx.secrets(Kind::WebhookEndpoint, endpoint.id.0).await?;
    let missing = || Error::Corrupt { table: "configuration", detail: "a webhook endpoint without secrets".into() };
    serde_json::from_str(&text.ok_or_else(missing)?).map_err(json)
}

fn saved(tx: &mut Tx<'_>, change: &Change<WebhookEndpoint>, secrets: &Secrets) -> Result<Record, Failure> {
    tx.change_secrets(Kind::WebhookEndpoint, change.after.id.0, &sealed(secrets)?)?;
    changed(tx, change)
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
    /// The changes.
    pub settings: Settings,
    webhook_client: Option<Arc<dyn WebhookClient>>,
}

impl App {
    /// `createWebhookEndpoint`.
    pub fn create_webhook_endpoint(&self, command: webhook_endpoint::Create) -> CreateWebhookEndpoint {
        CreateWebhookEndpoint { command, webhook_client: self.webhook_client.clone() }
    }

    /// `updateWebhookEndpoint`.
    pub fn update_webhook_endpoint(&self, settings: Settings) -> UpdateWebhookEndpoint {
        UpdateWebhookEndpoint { settings, webhook_client: self.webhook_client.clone() }
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
        let caller = Caller::part(tenant, "delivery", Grant::default());
        let use_case = DisableWebhookEndpoint { because: because.to_owned() };
        match self.execute_on_configuration(RequestContext::of(caller), &id.to_string(), None, use_case).await {
            Ok(_) | Err(Failure::Rejected(_)) => Ok(()),
            Err(failure) => Err(failure),
        }
    }
}

#[async_trait]
impl UseCase for CreateWebhookEndpoint {
    const OPERATION: &'static str = "createWebhookEndpoint";
    const STATUS: u16 = 201;

    async fn run(&self, tx: &mut Tx<'_>, _: Timestamp) -> Result<Option<Record>, Failure> {
        ensure_name_free(tx, Kind::WebhookEndpoint, self.command.settings.name.as_deref().unwrap_or_default()).await?;
        // Wall-clock time, since receivers compare the expiry of secrets with their own clocks.
        let (change, secrets) = webhook_endpoint::create(self.command.clone(), SystemClock.now())?;
        ensure_usable(self.webhook_client.as_ref(), &self.command.settings)?;
        let record = created(tx, &change, Some(sealed(&secrets)?)).await?;
        Ok(Some(record.reveal(shown(&change.after, &self.command.secret.text)?)))
    }
}

#[async_trait]
impl ConfigurationUseCase for UpdateWebhookEndpoint {
    type Object = WebhookEndpoint;
    const OPERATION: &'static str = "updateWebhookEndpoint";

    fn name(&self) -> Option<&str> {
        self.settings.name.as_deref()
    }
    async fn run(&self, tx: &mut Tx<'_>, last: WebhookEndpoint, _: Timestamp) -> Result<Record, Failure> {
        let secrets = secrets_of(tx, &last).await?;
        let (change, secrets) = webhook_endpoint::update(last, secrets, self.settings.clone())?;
        ensure_usable(self.webhook_client.as_ref(), &self.settings)?;
        saved(tx, &change, &secrets)
    }
}

/// Rotates the signing secret of a webhook endpoint. Only the reply shows the new secret.
#[derive(Clone)]
pub struct RotateWebhookSecret(pub Rotate);

#[async_trait]
impl ConfigurationUseCase for RotateWebhookSecret {
    type Object = WebhookEndpoint;
    const OPERATION: &'static str = "rotateWebhookSecret";

    async fn run(&self, tx: &mut Tx<'_>, last: WebhookEndpoint, _: Timestamp) -> Result<Record, Failure> {
        let secrets = secrets_of(tx, &last).await?;
        let (change, secrets) = webhook_endpoint::rotate(last, secrets, self.0.clone(), SystemClock.now())?;
        let shown = shown(&change.after, &self.0.secret.text)?;
        Ok(saved(tx, &change, &secrets)?.reveal(shown))
    }
}

/// Enables a webhook endpoint; waiting deliveries are sent.
#[derive(Debug, Clone)]
pub struct EnableWebhookEndpoint;

#[async_trait]
impl ConfigurationUseCase for EnableWebhookEndpoint {
    type Object = WebhookEndpoint;
    const OPERATION: &'static str = "enableWebhookEndpoint";

    async fn run(&self, tx: &mut Tx<'_>, last: WebhookEndpoint, _: Timestamp) -> Result<Record, Failure> {
        tx.delete_health(last.id.0);
        changed(tx, &webhook_endpoint::enable(last)?)
    }
}

/// Disables a webhook endpoint; its deliveries wait until it is enabled.
#[derive(Debug, Clone)]
pub struct DisableWebhookEndpoint {
    /// Reason, as free text.
    pub because: String,
}

#[async_trait]
impl ConfigurationUseCase for DisableWebhookEndpoint {
    type Object = WebhookEndpoint;
    const OPERATION: &'static str = "disableWebhookEndpoint";

    /// The endpoint's own id: its event needs a gapless sequence, and that of the configuration key also counts changes without events.
    fn key(id: &str) -> Option<OrderingKey> {
        id.parse().ok().map(|id: WebhookEndpointId| id.0.into())
    }
    async fn run(&self, tx: &mut Tx<'_>, last: WebhookEndpoint, _: Timestamp) -> Result<Record, Failure> {
        let id = last.id.0;
        let change = webhook_endpoint::disable(last, &self.because)?;
        tx.delete_health(id);
        // The delivery engine compares this number to detect configuration changes.
        tx.next_sequence(&OrderingKey::CONFIGURATION)?;
        Ok(changed(tx, &change)?.in_order_of(id.into()))
    }
}
