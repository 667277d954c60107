//! `createDataSource` and `deleteDataSource`.

use async_trait::async_trait;
use billwire_domain::{
    Change, Entity, Rejected,
    delivery::subscription::Subscription,
    email::notification_template::NotificationTemplate,
    events::data_source::{self, DataSource},
};
use billwire_schemas::{
    clock::{Clock, SystemClock, Timestamp},
    ids::OrderingKey,
    refusal::Code,
};
use billwire_store::{Configuration, ConfigurationKind as Kind, Store, Tx, commit::Failure};

use crate::{configuration::ConfigurationObject, ensure_name_free, events::catalogue, execute::UseCase, record::Record};

impl ConfigurationObject for DataSource {
    const KIND: Kind = Kind::DataSource;
    const NAME: &'static str = "data source";
    const NOT_FOUND: Code = Code::DataSourceNotFound;
    const DELETE: &'static str = "deleteDataSource";
    fn carries(&self, _: &Subscription) -> bool {
        false
    }
}

/// Creates a data source.
#[derive(Debug, Clone)]
pub struct CreateDataSource(pub data_source::Create);

#[async_trait]
impl UseCase for CreateDataSource {
    const OPERATION: &'static str = "createDataSource";
    const STATUS: u16 = 201;

    fn key(&self) -> OrderingKey {
        Store::configuration_key()
    }
    async fn run(&self, tx: &mut Tx<'_>, now: Timestamp) -> Result<Option<Record>, Failure> {
        ensure_name_free(tx, Kind::DataSource, &self.0.name).await?;
        let count = tx.configurations::<DataSource>(Kind::DataSource).await?.len();
        let change = data_source::create(self.0.clone(), count, now)?;
        let (id, name, body) = (change.after.id.0, change.after.name.clone(), change.after.clone());
        let kind = Kind::DataSource;
        tx.save_configuration(Configuration { id, kind, name, body, secrets: None, created_at: SystemClock.now() }).await?;
        Record::of(&change).map(Some)
    }
}

/// Deletes a data source whose parameters no template uses.
#[derive(Debug, Clone)]
pub struct DeleteDataSource {
    /// The id, as the client sent it.
    pub id: String,
    /// The required version, if any.
    pub if_match: Option<i64>,
}

#[async_trait]
impl UseCase for DeleteDataSource {
    const OPERATION: &'static str = DataSource::DELETE;

    fn key(&self) -> OrderingKey {
        Store::configuration_key()
    }
    async fn run(&self, tx: &mut Tx<'_>, _: Timestamp) -> Result<Option<Record>, Failure> {
        let missing = || Rejected::not_found(DataSource::NOT_FOUND, DataSource::NAME, &self.id);
        let id = self.id.parse().map_err(|_| missing())?;
        let last: DataSource = tx.configuration(Kind::DataSource, id).await?.ok_or_else(missing)?;
        Rejected::ensure_current(self.if_match, last.version())?;
        let catalogue = catalogue::of(tx).await?.without(last.id);
        let templates: Vec<NotificationTemplate> = tx.configurations(Kind::NotificationTemplate).await?;
        if let Some(template) = templates.iter().find(|template| !template.suits(&catalogue)) {
            let message = format!("Notification template '{}' uses its parameters; delete the template first.", template.name);
            return Err(Rejected::conflict(Code::StillInUse, message).into());
        }
        tx.delete_configuration(id);
        Record::of(&Change::deleted(last)).map(Some)
    }
}
