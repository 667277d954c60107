//! `createDataSource`, and the check before `deleteDataSource`.

use async_trait::async_trait;
use billwire_domain::{
    Rejected,
    email::notification_template::NotificationTemplate,
    events::data_source::{self, DataSource},
};
use billwire_schemas::{clock::Timestamp, refusal::Code};
use billwire_store::{ConfigurationKind as Kind, Tx, commit::Failure};

use crate::{
    configuration::{ConfigurationObject, created},
    ensure_name_free,
    events::catalogue,
    execute::UseCase,
    record::Record,
};

#[async_trait]
impl ConfigurationObject for DataSource {
    const KIND: Kind = Kind::DataSource;
    const NAME: &'static str = "data source";
    const NOT_FOUND: Code = Code::DataSourceNotFound;
    const DELETE: &'static str = "deleteDataSource";
    fn name(&self) -> &str {
        &self.name
    }
    async fn before_deletion(&self, tx: &mut Tx<'_>) -> Result<(), Failure> {
        let catalogue = catalogue::of(tx).await?.without(self.id);
        let templates: Vec<NotificationTemplate> = tx.configurations(Kind::NotificationTemplate).await?;
        if let Some(template) = templates.iter().find(|template| !template.suits(&catalogue)) {
            let message = format!("Notification template '{}' uses its parameters; delete the template first.", template.name);
            return Err(Rejected::conflict(Code::StillInUse, message).into());
        }
        Ok(())
    }
}

/// Creates a data source.
#[derive(Debug, Clone)]
pub struct CreateDataSource(pub data_source::Create);

#[async_trait]
impl UseCase for CreateDataSource {
    const OPERATION: &'static str = "createDataSource";
    const STATUS: u16 = 201;

    async fn run(&self, tx: &mut Tx<'_>, now: Timestamp) -> Result<Option<Record>, Failure> {
        ensure_name_free(tx, Kind::DataSource, &self.0.name).await?;
        let count = tx.configurations::<DataSource>(Kind::DataSource).await?.len();
        created(tx, &data_source::create(self.0.clone(), count, now)?, None).await.map(Some)
    }
}
