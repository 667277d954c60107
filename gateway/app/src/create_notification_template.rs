//! `createNotificationTemplate`.

use async_trait::async_trait;
use billwire_domain::notification_template;
use billwire_schemas::{
    clock::{Clock, SystemClock, Timestamp},
    ids::OrderingKey,
};
use billwire_store::{Configuration, ConfigurationKind as Kind, Store, Tx, commit::Failure};

use crate::{catalogue, once::UseCase, record::Record, unless_named};

/// Makes a notification template.
#[derive(Debug, Clone)]
pub struct CreateNotificationTemplate(pub notification_template::Create);

#[async_trait]
impl UseCase for CreateNotificationTemplate {
    const OPERATION: &'static str = "createNotificationTemplate";
    const STATUS: u16 = 201;

    fn key(&self) -> OrderingKey {
        Store::configuration_key()
    }
    async fn run(&self, tx: &mut Tx<'_>, now: Timestamp) -> Result<Option<Record>, Failure> {
        unless_named(tx, Kind::NotificationTemplate, &self.0.name).await?;
        let change = notification_template::create(self.0.clone(), &catalogue::of(tx).await?, now)?;
        let (id, name, body) = (change.after.id.0, change.after.name.clone(), change.after.clone());
        let kind = Kind::NotificationTemplate;
        tx.save_configuration(Configuration { id, kind, name, body, secrets: None, created_at: SystemClock.now() }).await?;
        Record::of(&change).map(Some)
    }
}
