//! The webhook channel: POSTs one event to one endpoint, signed, and reports the outcome to the delivery engine.
//!
//! Called by the engine in `billwire_delivery` (one [`WebhookChannel`] per process, made by `server`), and by `server` for
//! the test button of an endpoint. It never retries, never waits for a rate limit, never touches SQL or NATS, never follows
//! a redirect and never calls an address that is not public: the engine decides when to call, and
//! [`billwire_schemas::destination`] where to. It exists so that the only code that connects to hosts named by a tenant is small
//! enough to read in one sitting.
//!
//! [`request`] (pure) makes URL and headers from an [`endpoint`], [`client`] makes the call over a connection of the pool (`pool`,
//! `connections`, opened by `connect`: the only IO), [`reply`] (pure) turns the answer into an outcome.

pub mod client;
mod connect;
mod connections;
pub mod endpoint;
pub mod exchange;
mod pool;
pub mod reply;
pub mod request;
mod tokens;
pub mod unguarded_client;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use billwire_delivery::{
    channel::{Attempt, Channel, ChannelAction, FailureScope, Outcome, Report},
    payload,
};
use billwire_schemas::{
    clock::Clock,
    ids::{EventId, TenantId, WebhookEndpointId},
};
use bytes::Bytes;
use uuid::Uuid;

use crate::tokens::{Grant, Tokens};
pub use crate::{
    client::{Client, Config},
    endpoint::{Auth, Endpoint, Identity, Secret},
};

/// Where endpoints come from; `server` implements it over its database, with secrets decrypted.
#[async_trait]
pub trait Endpoints: Send + Sync + 'static {
    /// The endpoint of this tenant with this id; `None`: the tenant has no such endpoint (any more).
    ///
    /// # Errors
    /// Text for people when it could not be read; the attempt then does not count.
    async fn endpoint(&self, tenant: &TenantId, id: WebhookEndpointId) -> Result<Option<Arc<Endpoint>>, String>;
}

/// The channel of `webhook` subscriptions.
pub struct WebhookChannel {
    endpoints: Arc<dyn Endpoints>,
    client: Client,
    clock: Arc<dyn Clock>,
    /// The clients of endpoints with a client certificate, each with the version of the endpoint it was made for.
    with_client_certificate: Mutex<HashMap<WebhookEndpointId, (i64, Client)>>,
    tokens: Tokens,
}

impl WebhookChannel {
    /// A channel that reads endpoints from `endpoints`, calls through `client` and takes timestamps from `clock`. The clock must
    /// be the machine's, not the test clock: receivers compare the timestamp with their own clock.
    pub fn new(endpoints: Arc<dyn Endpoints>, client: Client, clock: Arc<dyn Clock>) -> Self {
        Self { endpoints, client, clock, with_client_certificate: Mutex::default(), tokens: Tokens::default() }
    }

    /// Why a client certificate cannot be used, if it cannot.
    pub fn unusable(&self, identity: &Identity) -> Option<String> {
        self.client.with_client_certificate(identity).err()
    }

    /// Sends `body` to the endpoint `id` once, under the id `event`, whether or not it is enabled.
    ///
    /// # Errors
    /// Text for people: the endpoint could not be read, or does not exist.
    pub async fn test(&self, tenant: &TenantId, id: WebhookEndpointId, event: EventId, body: Bytes) -> Result<Outcome, String> {
        let endpoint = self.endpoints.endpoint(tenant, id).await?.ok_or("endpoint does not exist")?;
        Ok(self.send(&endpoint, None, event, body).await)
    }

    /// Sends `body` to `endpoint`, to a `path` below its own, once, under the id `event`.
    pub async fn send(&self, endpoint: &Endpoint, path: Option<&str>, event: EventId, body: Bytes) -> Outcome {
        let url = request::url(&endpoint.url, endpoint.path.as_deref()).and_then(|below| request::url(&below, path));
        let url = match url {
            Ok(url) => url,
            Err(fault) => return Outcome::GiveUp(Report::new(None, fault)),
        };
        let client = match self.client_for(endpoint) {
            Ok(client) => client,
            Err(fault) => return failed(format!("the client certificate cannot be used: {fault}")),
        };
        let token = match &endpoint.auth {
            Some(Auth::OAuth2 { token_url, client_id, client_secret, scope }) => {
                let grant = Grant { token_url, client_id, client_secret, scope: scope.as_deref() };
                match self.tokens.of(&self.client, endpoint.id, endpoint.version, grant).await {
                    Ok(token) => Some(token),
                    Err(fault) => return failed(fault),
                }
            }
            _ => None,
        };
        let headers = match request::headers(endpoint, token.as_deref(), event, &body, self.clock.now()) {
            Ok(headers) => headers,
            Err(fault) => return Outcome::NotAttempted(fault.to_string()),
        };
        let sent = headers.clone();
        let answer = client.call(url.clone(), headers, body).await;
        if let (Some(token), Ok(answer)) = (&token, &answer)
            && answer.status == http::StatusCode::UNAUTHORIZED
        {
            self.tokens.invalidate(endpoint.id, token).await;
        }
        let confidential = request::confidential(endpoint, token.as_deref());
        let exchange = exchange::exchange(&url, &sent, answer.as_ref().ok(), &confidential);
        let mut outcome = reply::outcome(answer, &confidential, self.clock.now());
        if let Some(report) = outcome.report_mut() {
            report.exchange = Some(Box::new(exchange));
        }
        outcome
    }

    fn client_for(&self, endpoint: &Endpoint) -> Result<Client, String> {
        let Some(identity) = &endpoint.identity else { return Ok(self.client.clone()) };
        let mut with_client_certificate = self.with_client_certificate.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((version, client)) = with_client_certificate.get(&endpoint.id)
            && *version == endpoint.version
        {
            return Ok(client.clone());
        }
        let client = self.client.with_client_certificate(identity)?;
        if with_client_certificate.len() >= CERTIFICATE_CLIENTS_MAX {
            with_client_certificate.clear();
        }
        with_client_certificate.insert(endpoint.id, (endpoint.version, client.clone()));
        Ok(client)
    }
}

/// Clients with a certificate that are kept, with their connections; beyond that, all are dropped.
const CERTIFICATE_CLIENTS_MAX: usize = 1_000;

/// An attempt that did not reach the receiver, for a reason that may pass.
fn failed(why: String) -> Outcome {
    Outcome::Retry { report: Report::new(None, why), after: None, failure_scope: FailureScope::Target }
}

/// What a webhook subscription asks for: a POST to an endpoint.
#[derive(Debug)]
pub struct WebhookAction {
    /// The endpoint.
    pub endpoint: WebhookEndpointId,
    /// A path below the endpoint's own, in which `{name}` stands for a parameter.
    pub path: Option<String>,
}

impl ChannelAction for WebhookAction {
    const CHANNEL: &'static str = "webhook";

    fn target(&self) -> Option<Uuid> {
        Some(self.endpoint.0)
    }
}

#[async_trait]
impl Channel for WebhookChannel {
    type Action = WebhookAction;

    async fn attempt(&self, attempt: &Attempt, WebhookAction { endpoint, path }: &WebhookAction) -> Outcome {
        let body = match payload::body(&attempt.event, &attempt.subscription) {
            Ok(body) => body,
            Err(fault) => return Outcome::GiveUp(Report::new(None, fault)),
        };
        let path = match path.as_deref().map(|path| request::filled_in(path, &body)).transpose() {
            Ok(path) => path,
            Err(fault) => return Outcome::GiveUp(Report::new(None, fault)),
        };
        match self.endpoints.endpoint(&attempt.subscription.tenant, *endpoint).await {
            Ok(Some(endpoint)) if !endpoint.enabled => Outcome::NotAttempted("endpoint is disabled".to_owned()),
            Ok(Some(endpoint)) => self.send(&endpoint, path.as_deref(), attempt.event.id, body).await,
            Ok(None) => Outcome::GiveUp(Report::new(None, "endpoint does not exist")),
            Err(text) => Outcome::NotAttempted(text),
        }
    }
}

#[cfg(test)]
mod tests;
