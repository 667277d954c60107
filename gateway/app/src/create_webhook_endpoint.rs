//! `createWebhookEndpoint`.

use async_trait::async_trait;
use billwire_domain::webhook_endpoint;
use billwire_schemas::{
    clock::{Clock, SystemClock, Timestamp},
    ids::OrderingKey,
};
use billwire_store::{Configuration, ConfigurationKind as Kind, Store, Tx, commit::Failure};

use crate::{once::UseCase, record::Record, unless_named};

/// Makes a webhook endpoint. The reply, and only the reply, shows the signing secret.
#[derive(Clone)]
pub struct CreateWebhookEndpoint {
    /// What it shall be.
    pub command: webhook_endpoint::Create,
    /// Its signing secret, `whsec_…`; rests sealed.
    pub secret: String,
}

#[async_trait]
impl UseCase for CreateWebhookEndpoint {
    const OPERATION: &'static str = "createWebhookEndpoint";
    const STATUS: u16 = 201;

    fn key(&self) -> OrderingKey {
        Store::configuration_key()
    }
    async fn run(&self, tx: &mut Tx<'_>, now: Timestamp) -> Result<Option<Record>, Failure> {
        unless_named(tx, Kind::WebhookEndpoint, &self.command.name).await?;
        let change = webhook_endpoint::create(self.command.clone(), now)?;
        let (id, name, body) = (change.after.id.0, change.after.name.clone(), change.after.clone());
        let mut shown = serde_json::to_value(&body).map_err(|e| billwire_store::Error::Other(e.to_string()))?;
        shown["secret"] = self.secret.clone().into();
        let shown = serde_json::value::to_raw_value(&shown).map_err(|e| billwire_store::Error::Other(e.to_string()))?;
        let secrets = Some(self.secret.clone());
        tx.save_configuration(Configuration { id, kind: Kind::WebhookEndpoint, name, body, secrets, created_at: SystemClock.now() })
            .await?;
        Ok(Some(Record::of(&change)?.reveal(shown)))
    }
}
