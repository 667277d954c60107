//! The webhook endpoints from the store, and test calls for the use cases.

use std::{sync::Arc, time::Instant};

use async_trait::async_trait;
use billwire_app::{Tried, WebhookClient};
use billwire_delivery::{
    channel::{Outcome, Report},
    store::DeliveryStore,
};
use billwire_schemas::{
    destination,
    ids::{EventId, TenantId, WebhookEndpointId},
};
use billwire_store::ConfigurationKind as Kind;
use billwire_webhook::{Auth, Endpoint, Identity, Secret, WebhookChannel};

use crate::{
    adapters::delivery_store::{SqlDeliveryStore, text},
    domain::delivery::webhook_endpoint::{self, ClientCertificate, Secrets},
};

fn auth_of(auth: webhook_endpoint::Auth, credential: Option<String>) -> Result<Auth, String> {
    let secret = credential.unwrap_or_default();
    Ok(match auth {
        webhook_endpoint::Auth::Basic { username } => Auth::Basic { user: username, password: secret },
        webhook_endpoint::Auth::Bearer => Auth::Bearer { token: secret },
        webhook_endpoint::Auth::OAuth2 { token_url, client_id, scope } => {
            Auth::OAuth2 { token_url: destination::parse(&token_url).map_err(text)?, client_id, client_secret: secret, scope }
        }
    })
}

fn endpoint_of(body: webhook_endpoint::WebhookEndpoint, secrets: Secrets) -> Result<Endpoint, String> {
    let keys = body.signing.iter().filter_map(|key| Some((secrets.signing.get(&key.id)?, key.expires_at)));
    let headers = secrets.headers.iter().map(|(name, value)| {
        Ok::<_, String>((name.parse().map_err(|_| format!("header '{name}' cannot be sent"))?, value.parse().map_err(text)?))
    });
    Ok(Endpoint {
        id: body.id,
        version: body.version,
        url: destination::parse(&body.url).map_err(text)?,
        path: body.path,
        secrets: keys.map(|(secret, until)| Secret::parse(secret, until).map_err(text)).collect::<Result<_, _>>()?,
        enabled: body.enabled,
        auth: body.auth.map(|auth| auth_of(auth, secrets.credential)).transpose()?,
        headers: headers.collect::<Result<_, _>>()?,
        identity: body.client_certificate.zip(secrets.client_key).map(|(certificate, key)| Identity { certificate, key }),
    })
}

#[async_trait]
impl billwire_webhook::Endpoints for SqlDeliveryStore {
    async fn endpoint(&self, tenant: &TenantId, id: WebhookEndpointId) -> Result<Option<Arc<Endpoint>>, String> {
        let read = async {
            let row = self.store().configuration_with_secrets::<webhook_endpoint::WebhookEndpoint>(tenant, Kind::WebhookEndpoint, id.0);
            let Some((body, secrets)) = row.await.map_err(text)? else { return Ok(None) };
            let secrets = secrets.map(|text| serde_json::from_str(&text)).transpose().map_err(text)?.unwrap_or_default();
            Ok(Some(Arc::new(endpoint_of(body, secrets)?)))
        };
        self.cached(tenant, |cache| &mut cache.endpoints, id, read).await
    }
}

/// The webhook channel as the use cases see it.
pub struct WebhookAdapter {
    /// Where endpoints are read from.
    pub delivery_store: SqlDeliveryStore,
    /// The channel that calls.
    pub channel: Arc<WebhookChannel>,
}

#[async_trait]
impl WebhookClient for WebhookAdapter {
    fn unusable(&self, certificate: &ClientCertificate) -> Option<String> {
        self.channel.unusable(&Identity { certificate: certificate.certificate.clone(), key: certificate.key.clone() })
    }

    async fn call(&self, tenant: &TenantId, endpoint: WebhookEndpointId, event: EventId, body: Vec<u8>) -> Result<Tried, String> {
        // Clears the cache after a change.
        self.delivery_store.routing().await?;
        let began = Instant::now();
        let outcome = self.channel.test(tenant, endpoint, event, body.into()).await?;
        let latency = began.elapsed();
        let tried =
            |delivered: bool, Report { status, detail, exchange, .. }: Report| Tried { delivered, status, detail, latency, exchange };
        Ok(match outcome {
            Outcome::Delivered(report) => tried(true, report),
            Outcome::Retry { report, .. } | Outcome::GiveUp(report) | Outcome::Gone(report) => tried(false, report),
            Outcome::NotAttempted(why) => tried(false, Report::new(None, why)),
        })
    }
}
