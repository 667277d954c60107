//! `createSubscription`, `updateSubscription`, `enableSubscription`, `disableSubscription`, `deleteSubscription`.

use std::collections::BTreeMap;

use async_trait::async_trait;
use billwire_domain::{
    Change, Rejected,
    delivery::{
        queue::Queue,
        routing::Routing,
        subscription::{self, Action, GivenUp, Subscription},
        webhook_endpoint::WebhookEndpoint,
    },
    email::{notification_template::NotificationTemplate, smtp_account::SmtpAccount, system_user::SystemUser},
    events::catalogue::Catalogue,
};
use billwire_schemas::{
    clock::{Clock, SystemClock, Timestamp},
    events::selection::{ObjectEvents, Selection},
    ids::{OrderingKey, SubscriptionId},
    recipient::Recipient,
    refusal::Code,
};
use billwire_store::{Configuration, ConfigurationKind as Kind, Store, Tx, commit::Failure};

use crate::{
    configuration::{ConfigurationObject, addressed, referenced},
    email::notification_templates,
    ensure_name_free,
    events::catalogue,
    execute::UseCase,
    record::Record,
};

/// What a request asks to be done, references not yet resolved.
#[derive(Debug, Clone)]
pub enum NewAction {
    /// POST to this endpoint.
    Webhook {
        /// Its id.
        endpoint: String,
        /// A path below the endpoint's.
        path: Option<String>,
    },
    /// Mail by this account with this template.
    Email {
        /// Its id; absent: the default one.
        smtp_account: Option<String>,
        /// Its id.
        template: String,
        /// The recipients.
        to: Vec<Recipient>,
        /// Those who get a copy.
        cc: Vec<Recipient>,
        /// Those who get one unseen.
        bcc: Vec<Recipient>,
        /// Whether the event is attached.
        attach_event: bool,
    },
    /// Hand over to this queue.
    Forward {
        /// Its id.
        queue: String,
    },
    /// Publish what follows.
    Calculate {
        /// The custom type.
        event_type: String,
        /// Its members.
        data: BTreeMap<String, String>,
    },
}

/// Finds what an action names, and the template, which has to be held against the events.
async fn resolved(tx: &Tx<'_>, action: NewAction) -> Result<(Action, Option<NotificationTemplate>), Failure> {
    Ok(match action {
        NewAction::Webhook { endpoint, path } => {
            let endpoint: WebhookEndpoint = referenced(tx, "/action/webhookEndpointId", Code::WebhookEndpointUnknown, &endpoint).await?;
            (Action::Webhook { webhook_endpoint_id: endpoint.id, path }, None)
        }
        NewAction::Email { smtp_account, template, to, cc, bcc, attach_event } => {
            let smtp_account_id = match smtp_account {
                Some(id) => Some(referenced::<SmtpAccount>(tx, "/action/smtpAccountId", Code::SmtpAccountUnknown, &id).await?.id),
                None => {
                    let accounts: Vec<SmtpAccount> = tx.configurations(Kind::SmtpAccount).await?;
                    if !accounts.iter().any(|one| one.is_default) {
                        let message = "There is no default SMTP account; name one, or make one the default.";
                        return Err(Rejected::violation("/action/smtpAccountId", Code::SmtpAccountUnknown, message).into());
                    }
                    None
                }
            };
            let unknown = || {
                let message = format!("There is no notification template '{template}'.");
                Rejected::violation("/action/notificationTemplateId", Code::NotificationTemplateUnknown, message)
            };
            let id = template.parse().map_err(|_| unknown())?;
            let template = notification_templates::template(tx, id).await?.ok_or_else(unknown)?;
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
        NewAction::Forward { queue } => {
            let queue: Queue = referenced(tx, "/action/queueId", Code::QueueUnknown, &queue).await?;
            (Action::Forward { queue_id: queue.id }, None)
        }
        NewAction::Calculate { event_type, data } => (Action::Calculate { event_type, data }, None),
    })
}

/// All that subscriptions are held against.
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

/// Makes a subscription.
#[derive(Debug, Clone)]
pub struct CreateSubscription {
    /// The new subscription's id.
    pub id: SubscriptionId,
    /// Its name.
    pub name: String,
    /// The queue it is on.
    pub queue: String,
    /// The events it wants of the queue; nothing named: all.
    pub chosen: Selection,
    /// What must hold for an event.
    pub filter: Option<String>,
    /// Parameters it adds.
    pub parameters: BTreeMap<String, String>,
    /// What is done.
    pub action: NewAction,
    /// What becomes of a lane whose head is given up on.
    pub when_given_up: GivenUp,
}

#[async_trait]
impl UseCase for CreateSubscription {
    const OPERATION: &'static str = "createSubscription";
    const STATUS: u16 = 201;

    fn key(&self) -> OrderingKey {
        Store::configuration_key()
    }
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
        let (id, name, body) = (self.id.0, self.name.clone(), change.after.clone());
        let kind = Kind::Subscription;
        tx.save_configuration(Configuration { id, kind, name, body, secrets: None, created_at: SystemClock.now() }).await?;
        Record::of(&change).map(Some)
    }
}

impl CreateSubscription {
    /// A refusal for a reference that names nothing, with what can be said of the expressions without it.
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

/// Changes a subscription; what is absent stays.
#[derive(Debug, Clone)]
pub struct UpdateSubscription {
    /// Its id, as the client wrote it.
    pub id: String,
    /// Only at this version.
    pub if_match: Option<i64>,
    /// Its name.
    pub name: Option<String>,
    /// The types it wants.
    pub event_types: Option<Vec<String>>,
    /// The objects whose events it wants.
    pub objects: Option<Vec<ObjectEvents>>,
    /// What must hold; the empty text: nothing.
    pub filter: Option<String>,
    /// Parameters it adds.
    pub parameters: Option<BTreeMap<String, String>>,
    /// What is done.
    pub action: Option<NewAction>,
    /// What becomes of a lane whose head is given up on.
    pub when_given_up: Option<GivenUp>,
}

#[async_trait]
impl UseCase for UpdateSubscription {
    const OPERATION: &'static str = "updateSubscription";

    fn key(&self) -> OrderingKey {
        Store::configuration_key()
    }
    async fn run(&self, tx: &mut Tx<'_>, _: Timestamp) -> Result<Option<Record>, Failure> {
        let last: Subscription = addressed(tx, &self.id, self.if_match).await?;
        if let Some(name) = self.name.as_ref().filter(|name| **name != last.name) {
            ensure_name_free(tx, Kind::Subscription, name).await?;
        }
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
        let change = subscription::update(last, command, template.as_ref(), &standing.routing())?;
        saved(tx, &change)
    }
}

pub(crate) async fn template_of(tx: &Tx<'_>, action: &Action) -> Result<Option<NotificationTemplate>, Failure> {
    match action {
        Action::Email { notification_template_id, .. } => notification_templates::template(tx, notification_template_id.0).await,
        _ => Ok(None),
    }
}

/// Enables a subscription, from now on, or disables it: what it waits for rests, and what happens meanwhile it is not owed.
#[derive(Debug, Clone)]
pub struct EnableSubscription<const ENABLED: bool> {
    /// Its id, as the client wrote it.
    pub id: String,
    /// Only at this version.
    pub if_match: Option<i64>,
}

#[async_trait]
impl<const ENABLED: bool> UseCase for EnableSubscription<ENABLED> {
    const OPERATION: &'static str = if ENABLED { "enableSubscription" } else { "disableSubscription" };

    fn key(&self) -> OrderingKey {
        Store::configuration_key()
    }
    async fn run(&self, tx: &mut Tx<'_>, _: Timestamp) -> Result<Option<Record>, Failure> {
        let change = subscription::enable(addressed(tx, &self.id, self.if_match).await?, ENABLED)?;
        if ENABLED {
            tx.start_configuration_anew(change.after.id.0).await?;
        }
        saved(tx, &change)
    }
}

/// Deletes a subscription. What it still waits for is discarded.
#[derive(Debug, Clone)]
pub struct DeleteSubscription {
    /// Its id, as the client wrote it.
    pub id: String,
    /// Only at this version.
    pub if_match: Option<i64>,
}

#[async_trait]
impl UseCase for DeleteSubscription {
    const OPERATION: &'static str = Subscription::DELETE;

    fn key(&self) -> OrderingKey {
        Store::configuration_key()
    }
    async fn run(&self, tx: &mut Tx<'_>, _: Timestamp) -> Result<Option<Record>, Failure> {
        let last: Subscription = addressed(tx, &self.id, self.if_match).await?;
        let standing = Standing::of(tx).await?;
        // What it forwards may be what others count on.
        let others: Vec<Subscription> = standing.subscriptions.iter().filter(|one| one.id != last.id).cloned().collect();
        let routing = Routing { subscriptions: &others, ..standing.routing() };
        if let Some(to) = last.action.forwards_to() {
            let carried = routing.carried(to);
            let stranded = others.iter().find(|one| {
                let named = |entry: &&String| standing.catalogue.find(entry).is_some() && !carried.contains(*entry);
                one.queue_id == to && one.chosen.event_types.iter().any(|entry| named(&entry))
            });
            if let Some(stranded) = stranded {
                let message = format!("Subscription '{}' wants what is forwarded by it; change or delete that first.", stranded.name);
                return Err(Rejected::conflict(Code::StillInUse, message).into());
            }
        }
        tx.delete_configuration(last.id.0);
        tx.discard_waiting(last.id, "the subscription was deleted");
        Record::of(&Change::deleted(last)).map(Some)
    }
}

fn saved(tx: &mut Tx<'_>, change: &Change<Subscription>) -> Result<Option<Record>, Failure> {
    let after = &change.after;
    tx.change_configuration(after.id.0, after.version, after.name.clone(), after)?;
    Record::of(change).map(Some)
}
