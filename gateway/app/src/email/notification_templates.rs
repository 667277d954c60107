//! `createNotificationTemplate`, `updateNotificationTemplate`, `previewNotificationTemplate`, and the templates that come with the
//! product.

use async_trait::async_trait;
use billwire_domain::{
    Entity, Rejected, Violation,
    delivery::{
        routing::Routing,
        subscription::{self, Subscription},
    },
    email::notification_template::{self, NotificationTemplate, Settings},
};
use billwire_schemas::{
    clock::{Clock, SystemClock, Timestamp},
    events::envelope::Parameters,
    ids::{EventId, NotificationTemplateId, OrderingKey, TenantId, TransactionId},
    refusal::Code,
};
use billwire_store::{Configuration, ConfigurationKind as Kind, Error, Store, Tx, commit::Failure, events::history, page};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::{
    App,
    configuration::{ConfigurationObject, addressed},
    ensure_name_free,
    events::catalogue,
    execute::{UseCase, json},
    record::Record,
};

/// Makes a notification template.
#[derive(Debug, Clone)]
pub struct CreateNotificationTemplate {
    /// The new template's id.
    pub id: NotificationTemplateId,
    /// What it shall be.
    pub settings: Settings,
}

/// Changes a notification template. What is sent with it must be content with the change.
#[derive(Debug, Clone)]
pub struct UpdateNotificationTemplate {
    /// Its id, as the client wrote it.
    pub id: String,
    /// What changes.
    pub settings: Settings,
    /// Only at this version.
    pub if_match: Option<i64>,
}

/// A template as it was from one change to the next.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TemplateVersion {
    /// From when on, in business time.
    pub changed_at: Timestamp,
    /// Who made it so: the name of the API key.
    pub actor: String,
    /// The business transaction that made it so.
    pub business_transaction: TransactionId,
    /// The template then.
    pub template: Value,
}

/// What a business transaction's record tells of a template.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Recorded {
    id: TransactionId,
    occurred_at: Timestamp,
    actor: String,
    entities: Vec<RecordedEntity>,
}

#[derive(Deserialize)]
struct RecordedEntity {
    #[serde(rename = "type")]
    kind: String,
    after: Option<Value>,
}

impl Recorded {
    fn is_of_a_template(&self) -> bool {
        self.entities.iter().any(|entity| entity.kind == NotificationTemplate::TYPE)
    }

    /// Nothing where the template was deleted.
    fn version(mut self) -> Option<TemplateVersion> {
        let template = self.entities.pop()?.after?;
        Some(TemplateVersion { changed_at: self.occurred_at, actor: self.actor, business_transaction: self.id, template })
    }
}

/// The template that comes with the product under this id.
pub(crate) fn predefined(id: Uuid) -> Option<NotificationTemplate> {
    notification_template::predefined().find(|one| one.id.0 == id)
}

/// A tenant's template, or one that comes with the product.
///
/// # Errors
/// When the database fails.
pub(crate) async fn template(tx: &Tx<'_>, id: Uuid) -> Result<Option<NotificationTemplate>, Failure> {
    match predefined(id) {
        Some(found) => Ok(Some(found)),
        None => tx.configuration(Kind::NotificationTemplate, id).await,
    }
}

/// Reading a template of the largest size takes longer than a thread that others wait for should.
async fn off_the_runtime<T: Send + 'static>(run: impl FnOnce() -> T + Send + 'static) -> Result<T, Failure> {
    tokio::task::spawn_blocking(run).await.map_err(|error| Error::Other(error.to_string()).into())
}

#[async_trait]
impl UseCase for CreateNotificationTemplate {
    const OPERATION: &'static str = "createNotificationTemplate";
    const STATUS: u16 = 201;

    fn key(&self) -> OrderingKey {
        Store::configuration_key()
    }
    async fn run(&self, tx: &mut Tx<'_>, now: Timestamp) -> Result<Option<Record>, Failure> {
        ensure_name_free(tx, Kind::NotificationTemplate, self.settings.name.as_deref().unwrap_or_default()).await?;
        let (id, settings, catalogue) = (self.id, self.settings.clone(), catalogue::of(tx).await?);
        let change = off_the_runtime(move || notification_template::create(id, settings, &catalogue, now)).await??;
        let (id, name, body) = (change.after.id.0, change.after.name.clone(), change.after.clone());
        let kind = Kind::NotificationTemplate;
        tx.save_configuration(Configuration { id, kind, name, body, secrets: None, created_at: SystemClock.now() }).await?;
        Record::of(&change).map(Some)
    }
}

#[async_trait]
impl UseCase for UpdateNotificationTemplate {
    const OPERATION: &'static str = "updateNotificationTemplate";

    fn key(&self) -> OrderingKey {
        Store::configuration_key()
    }
    async fn run(&self, tx: &mut Tx<'_>, _: Timestamp) -> Result<Option<Record>, Failure> {
        let last: NotificationTemplate = addressed(tx, &self.id, self.if_match).await?;
        if let Some(name) = self.settings.name.as_ref().filter(|name| **name != last.name) {
            ensure_name_free(tx, Kind::NotificationTemplate, name).await?;
        }
        let catalogue = catalogue::of(tx).await?;
        let settings = self.settings.clone();
        let (change, catalogue) = off_the_runtime(move || (notification_template::update(last, settings, &catalogue), catalogue)).await?;
        let change = change?;
        let after = &change.after;
        let (queues, subscriptions) = (tx.configurations(Kind::Queue).await?, tx.configurations::<Subscription>(Kind::Subscription).await?);
        let routing = Routing { queues: &queues, subscriptions: &subscriptions, catalogue: &catalogue };
        for one in subscriptions.iter().filter(|one| after.carries(one)) {
            let unfit = |broken: Violation| {
                let message = format!("Subscription '{}' does not go with this: {}", one.name, broken.message);
                Violation::new("/text", Code::SubscriptionUnfit, message)
            };
            let broken = subscription::faults(one, Some(after), &routing).into_iter().map(unfit).collect();
            Rejected::from_violations(broken).map_or(Ok(()), Err)?;
        }
        tx.change_configuration(after.id.0, after.version, after.name.clone(), after)?;
        Record::of(&change).map(Some)
    }
}

impl App {
    /// A tenant's template, or one that comes with the product.
    ///
    /// # Errors
    /// `notification_template_not_found`, or the database's failure.
    pub async fn notification_template(&self, tenant: &TenantId, id: &str) -> Result<NotificationTemplate, Failure> {
        match id.parse().ok().and_then(predefined) {
            Some(found) => Ok(found),
            None => self.configuration(tenant, id).await,
        }
    }

    /// A page of the versions a template has had, newest first; of a deleted one, too.
    ///
    /// # Errors
    /// `notification_template_not_found`, or the database's failure.
    pub async fn notification_template_versions(
        &self,
        tenant: &TenantId,
        id: &str,
        page_request: page::PageRequest,
    ) -> Result<page::Page<TemplateVersion>, Failure> {
        let missing = || Failure::from(Rejected::not_found(Code::NotificationTemplateNotFound, "notification template", id));
        let wanted = history::Transactions { object: Some(id.to_owned()), ..history::Transactions::default() };
        let page = self.store.list_business_transactions(tenant, wanted, page_request).await?;
        let recorded: Vec<Recorded> =
            page.items.iter().map(|record| serde_json::from_str(record).map_err(json)).collect::<Result<_, _>>()?;
        if recorded.is_empty() || !recorded.iter().all(Recorded::is_of_a_template) {
            return Err(missing());
        }
        Ok(page::Page { items: recorded.into_iter().filter_map(Recorded::version).collect(), next: page.next })
    }

    /// A past event with all that e-mails are offered of it, and its type.
    ///
    /// # Errors
    /// `event_not_found`, or the database's failure.
    pub async fn parameters_of_event(&self, tenant: &TenantId, id: &str) -> Result<(String, Parameters), Failure> {
        let missing = || Failure::from(Rejected::not_found(Code::EventNotFound, "event", id));
        let event: EventId = id.parse().map_err(|_| missing())?;
        let found = self.store.events(&[event]).await?.into_iter().find(|found| found.tenant == *tenant).ok_or_else(missing)?;
        let body: Value = serde_json::from_str(&found.body).map_err(json)?;
        let mut parameters: Parameters = serde_json::from_value(body["data"]["parameters"].clone()).map_err(json)?;
        if let Some(private) = self.store.private_parameters(tenant, event).await? {
            parameters.extend(serde_json::from_str::<Parameters>(&private).map_err(json)?);
        }
        Ok((found.kind, parameters))
    }
}
