//! `createNotificationTemplate`, `updateNotificationTemplate`, template versions, and predefined templates.

use async_trait::async_trait;
use billwire_domain::{
    Entity, Rejected, Violation,
    delivery::{
        routing::Routing,
        subscription::{self, Action, Subscription},
    },
    email::notification_template::{self, NotificationTemplate, Settings},
};
use billwire_schemas::{
    clock::Timestamp,
    events::envelope::{Action as EntityAction, Parameters},
    ids::{EventId, NotificationTemplateId, TenantId, TransactionId},
    refusal::Code,
};
use billwire_store::{ConfigurationKind as Kind, Error, Tx, commit::Failure, events::history, page};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::{
    App, Purgeable,
    configuration::{ConfigurationObject, ConfigurationUseCase, changed, created, find},
    ensure_name_free,
    events::catalogue,
    execute::{UseCase, json},
    record::Record,
};

impl ConfigurationObject for NotificationTemplate {
    const KIND: Kind = Kind::NotificationTemplate;
    const NAME: &'static str = "notification template";
    const NOT_FOUND: Code = Code::NotificationTemplateNotFound;
    const DELETE: &'static str = "deleteNotificationTemplate";
    fn name(&self) -> &str {
        &self.name
    }
    fn carries(&self, subscription: &Subscription) -> bool {
        matches!(&subscription.action, Action::Email { notification_template_id, .. } if *notification_template_id == self.id)
    }
    fn fixed(id: &str) -> Option<Rejected> {
        let message = "This template is predefined and cannot be changed; create your own template from its parts.";
        id.parse().ok().and_then(predefined).map(|_| Rejected::conflict(Code::TemplatePredefined, message))
    }
}

/// Creates a notification template.
#[derive(Debug, Clone)]
pub struct CreateNotificationTemplate {
    /// The new template's id.
    pub id: NotificationTemplateId,
    /// What to create.
    pub settings: Settings,
}

/// Changes a notification template. The change must be valid for every subscription that uses it.
#[derive(Debug, Clone)]
pub struct UpdateNotificationTemplate(pub Settings);

/// A version of a template.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TemplateVersion {
    /// Time since which this version was used, in business time.
    pub changed_at: Timestamp,
    /// Name of the API key that created the version.
    pub actor: String,
    /// Id of the business transaction that created the version.
    pub business_transaction: TransactionId,
    /// The template at this version.
    pub template: Value,
}

/// The parts of a recorded business transaction needed for a template version.
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
    action: EntityAction,
    after: Option<Value>,
}

impl Recorded {
    fn is_of_a_template(&self) -> bool {
        self.entities.iter().any(|entity| entity.kind == NotificationTemplate::TYPE)
    }

    /// The version; `None` for the deletion, and for an update that changed nothing.
    fn version(mut self) -> Option<TemplateVersion> {
        let template = self.entities.pop().filter(|entity| entity.action != EntityAction::Unchanged)?.after?;
        Some(TemplateVersion { changed_at: self.occurred_at, actor: self.actor, business_transaction: self.id, template })
    }
}

/// The predefined template with this id.
pub(crate) fn predefined(id: Uuid) -> Option<NotificationTemplate> {
    notification_template::predefined().find(|one| one.id.0 == id)
}

/// A tenant's template, by its id or its name, or a predefined one.
///
/// # Errors
/// A database failure.
pub(crate) async fn template(tx: &Tx<'_>, reference: &str) -> Result<Option<NotificationTemplate>, Failure> {
    match reference.parse().ok().and_then(predefined) {
        Some(found) => Ok(Some(found)),
        None => find(tx, reference).await,
    }
}

/// Runs `run` on a blocking thread: parsing a template of maximum size would block the runtime for too long.
async fn off_the_runtime<T: Send + 'static>(run: impl FnOnce() -> T + Send + 'static) -> Result<T, Failure> {
    tokio::task::spawn_blocking(run).await.map_err(|error| Error::Other(error.to_string()).into())
}

#[async_trait]
impl UseCase for CreateNotificationTemplate {
    const OPERATION: &'static str = "createNotificationTemplate";
    const STATUS: u16 = 201;

    async fn run(&self, tx: &mut Tx<'_>, now: Timestamp) -> Result<Option<Record>, Failure> {
        ensure_name_free(tx, Kind::NotificationTemplate, self.settings.name.as_deref().unwrap_or_default()).await?;
        let (id, settings, catalogue) = (self.id, self.settings.clone(), catalogue::of(tx).await?);
        let change = off_the_runtime(move || notification_template::create(id, settings, &catalogue, now)).await??;
        created(tx, &change, None).await.map(Some)
    }
}

#[async_trait]
impl ConfigurationUseCase for UpdateNotificationTemplate {
    type Object = NotificationTemplate;
    const OPERATION: &'static str = "updateNotificationTemplate";

    fn name(&self) -> Option<&str> {
        self.0.name.as_deref()
    }
    async fn run(&self, tx: &mut Tx<'_>, last: NotificationTemplate, _: Timestamp) -> Result<Record, Failure> {
        let (catalogue, settings) = (catalogue::of(tx).await?, self.0.clone());
        let (change, catalogue) = off_the_runtime(move || (notification_template::update(last, settings, &catalogue), catalogue)).await?;
        let change = change?;
        let after = &change.after;
        let (queues, subscriptions) = (tx.configurations(Kind::Queue).await?, tx.configurations::<Subscription>(Kind::Subscription).await?);
        let routing = Routing { queues: &queues, subscriptions: &subscriptions, catalogue: &catalogue };
        for one in subscriptions.iter().filter(|one| after.carries(one)) {
            let unfit = |broken: Violation| {
                let message = format!("The change is invalid for subscription '{}': {}", one.name, broken.message);
                Violation::new("/text", Code::SubscriptionUnfit, message)
            };
            let broken = subscription::faults(one, Some(after), &routing).into_iter().map(unfit).collect();
            Rejected::from_violations(broken).map_or(Ok(()), Err)?;
        }
        changed(tx, &change)
    }
}

impl App {
    /// A tenant's template or a predefined one.
    ///
    /// # Errors
    /// `notification_template_not_found`, or a database failure.
    pub async fn notification_template(&self, tenant: &TenantId, id: &str) -> Result<NotificationTemplate, Failure> {
        match id.parse().ok().and_then(predefined) {
            Some(found) => Ok(found),
            None => self.configuration(tenant, id).await,
        }
    }

    /// A template with parts that are not saved, held against the rules of an update.
    ///
    /// # Errors
    /// The refusals of an update, or a database failure.
    pub async fn with_unsaved_parts(
        &self,
        tenant: &TenantId,
        template: NotificationTemplate,
        parts: Settings,
    ) -> Result<NotificationTemplate, Failure> {
        let catalogue = self.catalogue(tenant).await?;
        Ok(off_the_runtime(move || notification_template::update(template, parts, &catalogue)).await??.after)
    }

    /// A page of a template's versions, newest first; deleted templates included.
    ///
    /// # Errors
    /// `notification_template_not_found`, or a database failure.
    pub async fn notification_template_versions(
        &self,
        tenant: &TenantId,
        id: &str,
        page_request: page::PageRequest,
    ) -> Result<page::Page<TemplateVersion>, Failure> {
        let missing = || Failure::from(Rejected::not_found(Code::NotificationTemplateNotFound, "notification template", id));
        let object = self.id_of::<NotificationTemplate>(tenant, id).await?;
        let wanted = history::Transactions { object: Some(object), ..history::Transactions::default() };
        let page = self.store.list_business_transactions(tenant, wanted, page_request).await?;
        let recorded: Vec<Recorded> =
            page.items.iter().map(|record| serde_json::from_str(record).map_err(json)).collect::<Result<_, _>>()?;
        if recorded.is_empty() || !recorded.iter().all(Recorded::is_of_a_template) {
            return Err(missing());
        }
        Ok(page::Page { items: recorded.into_iter().filter_map(Recorded::version).collect(), next: page.next })
    }

    /// The type of a past event, and its parameters including those for e-mails only.
    ///
    /// # Errors
    /// `event_not_found`, `purged`, or a database failure.
    pub async fn parameters_of_event(&self, tenant: &TenantId, id: &str) -> Result<(String, Parameters), Failure> {
        let event = id.parse::<EventId>().ok();
        let found = self.store.events(event.as_slice()).await?.into_iter().find(|found| found.tenant == *tenant);
        let Some(found) = found else { return Err(self.absent(tenant, Purgeable::Events, id).await?.into()) };
        let body: Value = serde_json::from_str(&found.body).map_err(json)?;
        let mut parameters: Parameters = serde_json::from_value(body["data"]["parameters"].clone()).map_err(json)?;
        if let Some(private) = self.store.private_parameters(tenant, found.id).await? {
            parameters.extend(serde_json::from_str::<Parameters>(&private).map_err(json)?);
        }
        Ok((found.kind, parameters))
    }
}
