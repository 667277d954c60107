//! Webhook endpoints: where events are POSTed.

use billwire_schemas::{
    clock::Timestamp,
    destination,
    ids::{OrderingKey, WebhookEndpointId},
};
use serde::{Deserialize, Serialize};

use crate::{
    change::{Change, Entity},
    rejected::{Rejected, Violation},
};

/// A webhook endpoint. Its signing secret and credentials stand sealed beside it, never in it.
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
    /// When it was made.
    pub created_at: Timestamp,
}

/// `createWebhookEndpoint`.
#[derive(Debug, Clone)]
pub struct Create {
    /// The new endpoint's id.
    pub id: WebhookEndpointId,
    /// See [`WebhookEndpoint::name`].
    pub name: String,
    /// See [`WebhookEndpoint::url`].
    pub url: String,
    /// See [`WebhookEndpoint::path`].
    pub path: Option<String>,
}

/// Decides `createWebhookEndpoint`.
///
/// # Errors
/// Every broken rule of [`destination::parse`].
pub fn create(command: Create, now: Timestamp) -> Result<Change<WebhookEndpoint>, Rejected> {
    if let Err(refused) = destination::parse(&command.url) {
        let broken = refused.0.into_iter().map(|v| Violation::new("/url", v.code, v.message)).collect();
        if let Some(rejected) = Rejected::from_violations(broken) {
            return Err(rejected);
        }
    }
    Ok(Change::created(WebhookEndpoint {
        id: command.id,
        version: 1,
        name: command.name,
        url: command.url,
        path: command.path,
        created_at: now,
    }))
}

impl Entity for WebhookEndpoint {
    const TYPE: &'static str = "webhookEndpoint";
    const EVENT_OBJECT: Option<&'static str> = None;

    fn id(&self) -> uuid::Uuid {
        self.id.0
    }
    fn ordering_key(&self) -> OrderingKey {
        OrderingKey::CONFIGURATION
    }
    fn version(&self) -> i64 {
        self.version
    }
    fn created_at(&self) -> Timestamp {
        self.created_at
    }
}
