//! The webhook channel: POSTs one event to one endpoint, signed, and tells the delivery engine how it went.
//!
//! Called by the engine in `billwire_delivery` (one [`WebhookChannel`] per process, made by `server`), and by `server` for
//! the test button of an endpoint. It never retries, never waits for a rate limit, never touches SQL or NATS, never follows
//! a redirect and never calls an address that is not public: when to try is the engine's business, where to is the rule of
//! [`billwire_schemas::destination`]. It exists so that the only code that dials a place named by a tenant is small enough
//! to be read in one sitting.
//!
//! [`request`] (pure) makes URL and headers, [`client`] is the only IO, [`reply`] (pure) judges what came back.

pub mod client;
pub mod reply;
pub mod request;

use std::sync::Arc;

use async_trait::async_trait;
use billwire_delivery::{
    channel::{Channel, Outcome, Report, Task},
    event::Action,
    sent,
};
use billwire_schemas::{
    clock::Clock,
    ids::{EventId, TenantId, WebhookEndpointId},
};
use bytes::Bytes;

pub use crate::{
    client::{Client, Config},
    request::{Auth, Endpoint, Secret},
};

/// Where endpoints come from; `server` implements it over its database, with secrets decrypted.
#[async_trait]
pub trait Endpoints: Send + Sync + 'static {
    /// The endpoint of this tenant with this id; `None` when the tenant has no such endpoint (any more).
    ///
    /// # Errors
    /// Text for people when it could not be looked up; the try is then not counted.
    async fn endpoint(&self, tenant: &TenantId, id: WebhookEndpointId) -> Result<Option<Arc<Endpoint>>, String>;
}

/// The channel behind `webhook` subscriptions.
pub struct WebhookChannel {
    endpoints: Arc<dyn Endpoints>,
    client: Client,
    clock: Arc<dyn Clock>,
}

impl WebhookChannel {
    /// A channel that looks endpoints up in `endpoints`, calls through `client` and stamps calls with `clock`. The clock must
    /// be the machine's, not the test clock: receivers compare the stamp with their own.
    pub fn new(endpoints: Arc<dyn Endpoints>, client: Client, clock: Arc<dyn Clock>) -> Self {
        Self { endpoints, client, clock }
    }

    /// Sends `body` to `endpoint`, to a `path` below its own, once, under the id `event`.
    pub async fn send(&self, endpoint: &Endpoint, path: Option<&str>, event: EventId, body: Bytes) -> Outcome {
        if !endpoint.enabled {
            return Outcome::NotTried("endpoint is disabled".to_owned());
        }
        let headers = match request::headers(endpoint, event, &body, self.clock.now()) {
            Ok(headers) => headers,
            Err(fault) => return Outcome::NotTried(fault.to_string()),
        };
        let url = request::url(&request::url(&endpoint.url, endpoint.path.as_deref()), path);
        let answer = self.client.call(url, headers, body).await;
        reply::outcome(answer, &request::confidential(endpoint), self.clock.now())
    }
}

#[async_trait]
impl Channel for WebhookChannel {
    async fn attempt(&self, task: &Task) -> Outcome {
        let Action::Webhook { endpoint, path } = &task.subscription.action else {
            return Outcome::GiveUp(Report::new(None, "not a webhook subscription"));
        };
        let body = match sent::body(&task.event, &task.subscription) {
            Ok(body) => body,
            Err(fault) => return Outcome::GiveUp(Report::new(None, fault)),
        };
        let path = match path.as_deref().map(|path| request::filled_in(path, &body)).transpose() {
            Ok(path) => path,
            Err(fault) => return Outcome::GiveUp(Report::new(None, fault)),
        };
        match self.endpoints.endpoint(&task.subscription.tenant, *endpoint).await {
            Ok(Some(endpoint)) => self.send(&endpoint, path.as_deref(), task.event.id, body).await,
            Ok(None) => Outcome::GiveUp(Report::new(None, "endpoint does not exist")),
            Err(text) => Outcome::NotTried(text),
        }
    }
}

#[cfg(test)]
mod tests;
