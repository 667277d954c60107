//! `createSubscription`, `updateSubscription`, `enableSubscription`, `disableSubscription`, and the check before `deleteSubscription`.

use std::collections::BTreeMap;

use async_trait::async_trait;
use billwire_domain::{
    Rejected,
    delivery::{
        queue::Queue,
        routing::Routing,
        subscription::{self, Action, GivenUp, NewAction, Subscription},
        webhook_endpoint::WebhookEndpoint,
    },
    email::{notification_template::NotificationTemplate, smtp_account::SmtpAccount, system_user::SystemUser},
    events::catalogue::Catalogue,
};
use billwire_schemas::{
    clock::Timestamp,
    events::selection::{ObjectEvents, Selection},
    ids::SubscriptionId,
    recipient::Recipient,
    refusal::Code,
};
use billwire_store::{ConfigurationKind as Kind, Tx, commit::Failure};

use crate::{
    configuration::{ConfigurationObject, ConfigurationUseCase, changed, created, referenced},
    email::notification_templates,
    ensure_name_free,
    events::catalogue,
    execute::UseCase,
    record::Record,
};

/// Resolves the references of an action. Also returns the template, to be checked against the events.
async fn resolved(tx: &Tx<'_>, action: NewAction) -> Result<(Action, Option<NotificationTemplate>), Failure> {
    Ok(match action {
        NewAction::Webhook { webhook_endpoint_id, path } => {
            let endpoint: WebhookEndpoint =
                referenced(tx, "/action/webhookEndpointId", Code::WebhookEndpointUnknown, &webhook_endpoint_id).await?;
            (Action::Webhook { webhook_endpoint_id: endpoint.id, path }, None)
        }
        NewAction::Email { smtp_account_id, notification_template_id, to, cc, bcc, attach_event } => {
            let smtp_account_id = match smtp_account_id {
                Some(id) => Some(referenced::<SmtpAccount>(tx, "/action/smtpAccountId", Code::SmtpAccountUnknown, &id).await?.id),
                None => {
                    let accounts: Vec<SmtpAccount> = tx.configurations(Kind::SmtpAccount).await?;
                    if !accounts.iter().any(|one| one.is_default) {
                        let message = "There is no default SMTP account; name an account, or set a default.";
                        return Err(Rejected::violation("/action/smtpAccountId", Code::SmtpAccountUnknown, message).into());
                    }
                    None
                }
            };
            let unknown = || {
                let message = format!("There is no notification template '{notification_template_id}'.");
                Rejected::violation("/action/notificationTemplateId", Code::NotificationTemplateUnknown, message)
            };
            let template = notification_templates::template(tx, &notification_template_id).await?.ok_or_else(unknown)?;
            let action = Action::Email { smtp_account_id, notification_template_id: template.id, to, cc, bcc, attach_event };
            let users: Vec<SystemUser> = tx.configurations(Kind::SystemUser).await?;
            for (pointer, recipient) in action.recipients() {
                if let Recipient::User(id) = recipient
                    && !users.iter().any(|user| user.id == *id)
                {
                    return Err(Rejected::violation(pointer, Code::SystemUserUnknown, format!("There is no system user '{id}'.")).into());
                }
            }
            (action, Some(template))
        }
        NewAction::Forward { queue_id } => {
            let queue: Queue = referenced(tx, "/action/queueId", Code::QueueUnknown, &queue_id).await?;
            (Action::Forward { queue_id: queue.id }, None)
        }
        NewAction::Calculate { event_type, data } => (Action::Calculate { event_type, data }, None),
    })
}

/// The configuration that subscriptions are validated against.
struct Standing {
    queues: Vec<Queue>,
    subscriptions: Vec<Subscription>,
    catalogue: Catalogue,
}

impl Standing {
    async fn of(tx: &Tx<'_>) -> Result<Self, Failure> {
        let (queues, subscriptions) = (tx.configurations(Kind::Queue).await?, tx.configurations(Kind::Subscription).await?);
        Ok(Self { queues, subscriptions, catalogue: catalogue::of(tx).await? })
    }

    fn routing(&self) -> Routing<'_> {
        Routing { queues: &self.queues, subscriptions: &self.subscriptions, catalogue: &self.catalogue }
    }
}

#[async_trait]
impl ConfigurationObject for Subscription {
    const KIND: Kind = Kind::Subscription;
    const NAME: &'static str = "subscription";
    const NOT_FOUND: Code = Code::SubscriptionNotFound;
    const DELETE: &'static str = "deleteSubscription";
    fn name(&self) -> &str {
        &self.name
    }
    async fn before_deletion(&self, tx: &mut Tx<'_>) -> Result<(), Failure> {
        let standing = Standing::of(tx).await?;
        // Subscriptions on other queues may depend on what this one forwards.
        let others: Vec<Subscription> = standing.subscriptions.iter().filter(|one| one.id != self.id).cloned().collect();
        let routing = Routing { subscriptions: &others, ..standing.routing() };
        if let Some(to) = self.action.forwards_to() {
            let carried = routing.carried(to);
            let stranded = others.iter().find(|one| {
                let named = |entry: &&String| standing.catalogue.find(entry).is_some() && !carried.contains(*entry);
                one.queue_id == to && one.chosen.event_types.iter().any(|entry| named(&entry))
            });
            if let Some(stranded) = stranded {
                let message = format!("Subscription '{}' needs events that this one forwards; change or delete it first.", stranded.name);
                return Err(Rejected::conflict(Code::StillInUse, message).into());
            }
        }
        tx.discard_waiting(self.id, "the subscription was deleted");
        Ok(())
    }
}

/// Creates a subscription.
#[derive(Debug, Clone)]
pub struct CreateSubscription {
    /// The new subscription's id.
    pub id: SubscriptionId,
    /// Display name.
    pub name: String,
    /// Id of the queue.
    pub queue: String,
    /// The selected events of the queue; empty: all.
    pub chosen: Selection,
    /// The filter expression.
    pub filter: Option<String>,
    /// The added parameters.
    pub parameters: BTreeMap<String, String>,
    /// The action.
    pub action: NewAction,
    /// Whether a lane continues after its head becomes a dead letter.
    pub when_given_up: GivenUp,
}

#[async_trait]
impl UseCase for CreateSubscription {
    const OPERATION: &'static str = "createSubscription";
    const STATUS: u16 = 201;

    async fn run(&self, tx: &mut Tx<'_>, now: Timestamp) -> Result<Option<Record>, Failure> {
        ensure_name_free(tx, Kind::Subscription, &self.name).await?;
        let found = async {
            let queue: Queue = referenced(tx, "/queueId", Code::QueueUnknown, &self.queue).await?;
            resolved(tx, self.action.clone()).await.map(|(action, template)| (queue, action, template))
        };
        let (queue, action, template) = found.await.map_err(|failure| self.with_syntax(failure))?;
        let wanted = subscription::Wanted {
            name: self.name.clone(),
            chosen: self.chosen.clone(),
            filter: self.filter.clone(),
            parameters: self.parameters.clone(),
            action,
            when_given_up: self.when_given_up,
        };
        let standing = Standing::of(tx).await?;
        let change = subscription::create(self.id, queue.id, wanted, template.as_ref(), &standing.routing(), now)?;
        created(tx, &change, None).await.map(Some)
    }
}

impl CreateSubscription {
    /// Adds the syntax violations of the expressions to a refusal of a missing reference.
    fn with_syntax(&self, failure: Failure) -> Failure {
        let Failure::Rejected(refusal) = failure else { return failure };
        let data = match &self.action {
            NewAction::Calculate { data, .. } => Some(data),
            _ => None,
        };
        let mut broken = refusal.violations.clone();
        broken.extend(subscription::syntax(self.filter.as_deref(), &self.parameters, data));
        Rejected::from_violations(broken).unwrap_or(refusal).into()
    }
}

/// Changes a subscription; absent members keep their values.
#[derive(Debug, Clone)]
pub struct UpdateSubscription {
    /// The new name.
    pub name: Option<String>,
    /// The selected event types.
    pub event_types: Option<Vec<String>>,
    /// The objects whose events are selected.
    pub objects: Option<Vec<ObjectEvents>>,
    /// The filter expression; empty removes the filter.
    pub filter: Option<String>,
    /// The added parameters.
    pub parameters: Option<BTreeMap<String, String>>,
    /// The action.
    pub action: Option<NewAction>,
    /// Whether a lane continues after its head becomes a dead letter.
    pub when_given_up: Option<GivenUp>,
}

#[async_trait]
impl ConfigurationUseCase for UpdateSubscription {
    type Object = Subscription;
    const OPERATION: &'static str = "updateSubscription";

    fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }
    async fn run(&self, tx: &mut Tx<'_>, last: Subscription, _: Timestamp) -> Result<Record, Failure> {
        let (action, template) = match self.action.clone() {
            Some(action) => {
                let (action, template) = resolved(tx, action).await?;
                (Some(action), template)
            }
            None => (None, template_of(tx, &last.action).await?),
        };
        let command = subscription::Update {
            name: self.name.clone(),
            event_types: self.event_types.clone(),
            objects: self.objects.clone(),
            filter: self.filter.clone(),
            parameters: self.parameters.clone(),
            action,
            when_given_up: self.when_given_up,
        };
        let standing = Standing::of(tx).await?;
        changed(tx, &subscription::update(last, command, template.as_ref(), &standing.routing())?)
    }
}

pub(crate) async fn template_of(tx: &Tx<'_>, action: &Action) -> Result<Option<NotificationTemplate>, Failure> {
    match action {
        Action::Email { notification_template_id, .. } => notification_templates::template(tx, &notification_template_id.to_string()).await,
        _ => Ok(None),
    }
}

/// Enables or disables a subscription. While it is disabled, waiting deliveries pause and new events are not delivered to it.
#[derive(Debug, Clone)]
pub struct EnableSubscription<const ENABLED: bool>;

#[async_trait]
impl<const ENABLED: bool> ConfigurationUseCase for EnableSubscription<ENABLED> {
    type Object = Subscription;
    const OPERATION: &'static str = if ENABLED { "enableSubscription" } else { "disableSubscription" };

    async fn run(&self, tx: &mut Tx<'_>, last: Subscription, _: Timestamp) -> Result<Record, Failure> {
        let change = subscription::enable(last, ENABLED)?;
        if ENABLED {
            tx.start_configuration_anew(change.after.id.0).await?;
        }
        changed(tx, &change)
    }
}
