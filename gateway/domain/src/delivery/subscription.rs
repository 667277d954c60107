//! Subscriptions: which events of a queue a subscriber receives, and how.

mod check;

use std::collections::BTreeMap;

use billwire_schemas::{
    clock::Timestamp,
    events::selection::Selection,
    ids::{NotificationTemplateId, QueueId, SmtpAccountId, SubscriptionId, WebhookEndpointId},
    recipient::Recipient,
    refusal::Code,
};
use serde::{Deserialize, Serialize};

use crate::{
    change::{Change, Entity, entity_members},
    delivery::routing::{Routing, ensure_no_cycle},
    email::notification_template::NotificationTemplate,
    rejected::Rejected,
};

pub use check::{faults, syntax};

/// Maximum number of added parameters, and of members of a calculation.
pub const EXPRESSIONS_MAX: usize = 32;

/// What happens with a matching event. The parameters are the types of the references to other objects.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Action<Endpoint = WebhookEndpointId, Account = SmtpAccountId, Template = NotificationTemplateId, Queue = QueueId> {
    /// POSTs the event to a webhook endpoint.
    Webhook {
        /// The endpoint.
        webhook_endpoint_id: Endpoint,
        /// A path below the endpoint's, in which `{name}` is replaced by a parameter's value.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        path: Option<String>,
    },
    /// Sends the event by e-mail.
    Email {
        /// The sending SMTP account; absent: the tenant's default.
        #[serde(skip_serializing_if = "Option::is_none")]
        smtp_account_id: Option<Account>,
        /// The template of the e-mail.
        notification_template_id: Template,
        /// The recipients.
        to: Vec<Recipient>,
        /// Copy recipients.
        #[serde(skip_serializing_if = "Vec::is_empty", default)]
        cc: Vec<Recipient>,
        /// Blind copy recipients.
        #[serde(skip_serializing_if = "Vec::is_empty", default)]
        bcc: Vec<Recipient>,
        /// Whether the event is attached as JSON.
        #[serde(default)]
        attach_event: bool,
    },
    /// Forwards the event to the subscriptions of another queue.
    Forward {
        /// The target queue.
        queue_id: Queue,
    },
    /// Publishes a new event computed from this one.
    Calculate {
        /// The custom event type to publish.
        event_type: String,
        /// The members of the new event's data, each a CEL expression over the event.
        data: BTreeMap<String, String>,
    },
}

/// A requested action: its references are texts from the request.
pub type NewAction = Action<String, String, String, String>;

impl Action {
    /// The queue the action forwards to, if it forwards.
    pub fn forwards_to(&self) -> Option<QueueId> {
        match self {
            Self::Forward { queue_id } => Some(*queue_id),
            _ => None,
        }
    }

    /// All e-mail recipients, each with its JSON pointer in the request.
    pub fn recipients(&self) -> impl Iterator<Item = (String, &Recipient)> {
        let (to, cc, bcc) = match self {
            Self::Email { to, cc, bcc, .. } => (to.as_slice(), cc.as_slice(), bcc.as_slice()),
            _ => (&[][..], &[][..], &[][..]),
        };
        [("to", to), ("cc", cc), ("bcc", bcc)].into_iter().flat_map(|(member, recipients)| {
            recipients.iter().enumerate().map(move |(index, one)| (format!("/action/{member}/{index}"), one))
        })
    }
}

/// What happens to a lane of an in-order queue after its head becomes a dead letter.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum GivenUp {
    /// The lane continues after the dead letter.
    #[default]
    Skip,
    /// The lane stops until the dead letter is redriven or discarded.
    Block,
}

/// A subscription.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Subscription {
    /// Object id.
    pub id: SubscriptionId,
    /// Object version, starting at 1.
    pub version: i64,
    /// Name, unique within the tenant.
    pub name: String,
    /// The subscribed queue.
    pub queue_id: QueueId,
    /// The selected events of the queue; if empty, all of them.
    #[serde(flatten)]
    pub chosen: Selection,
    /// A CEL expression that must be true for an event; absent: every selected event matches.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub filter: Option<String>,
    /// Parameters added to the events, each a CEL expression.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub parameters: BTreeMap<String, String>,
    /// What happens with a matching event.
    pub action: Action,
    /// What happens to a lane after its head becomes a dead letter.
    #[serde(default)]
    pub when_given_up: GivenUp,
    /// Whether new events are delivered.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// Creation time. Every matching event committed later is delivered, except those committed while disabled.
    pub created_at: Timestamp,
}

fn yes() -> bool {
    true
}

/// The definition of a subscription, apart from its id and queue.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// See [`Subscription::name`].
    pub name: String,
    /// See [`Subscription::chosen`].
    pub chosen: Selection,
    /// See [`Subscription::filter`].
    pub filter: Option<String>,
    /// See [`Subscription::parameters`].
    pub parameters: BTreeMap<String, String>,
    /// See [`Subscription::action`].
    pub action: Action,
    /// See [`Subscription::when_given_up`].
    pub when_given_up: GivenUp,
}

/// `updateSubscription`; absent members stay unchanged.
#[derive(Debug, Clone, Default)]
pub struct Update {
    /// See [`Subscription::name`].
    pub name: Option<String>,
    /// Replaces the entries of [`Selection::event_types`].
    pub event_types: Option<Vec<String>>,
    /// Replaces the entries of [`Selection::objects`].
    pub objects: Option<Vec<billwire_schemas::events::selection::ObjectEvents>>,
    /// See [`Subscription::filter`]; an empty string removes it.
    pub filter: Option<String>,
    /// See [`Subscription::parameters`].
    pub parameters: Option<BTreeMap<String, String>>,
    /// See [`Subscription::action`].
    pub action: Option<Action>,
    /// See [`Subscription::when_given_up`].
    pub when_given_up: Option<GivenUp>,
}

/// Decides `createSubscription`; the caller has resolved the action's references. Filter, parameters, template and calculation must
/// use only parameters that *every* event type that can arrive offers.
///
/// # Errors
/// `forward_cycle`, and all violations of [`faults`].
pub fn create(
    id: SubscriptionId,
    queue: QueueId,
    wanted: Wanted,
    template: Option<&NotificationTemplate>,
    routing: &Routing<'_>,
    now: Timestamp,
) -> Result<Change<Subscription>, Rejected> {
    ensure_no_cycle(routing, queue, &wanted.action)?;
    let made = Subscription {
        id,
        version: 1,
        name: wanted.name,
        queue_id: queue,
        chosen: wanted.chosen,
        filter: wanted.filter.filter(|filter| !filter.is_empty()),
        parameters: wanted.parameters,
        action: wanted.action,
        when_given_up: wanted.when_given_up,
        enabled: true,
        created_at: now,
    };
    Rejected::from_violations(faults(&made, template, routing)).map_or(Ok(()), Err)?;
    Ok(Change::created(made))
}

/// Decides `updateSubscription`; `routing` contains the subscription before the update.
///
/// # Errors
/// See [`create`].
pub fn update(
    subscription: Subscription,
    command: Update,
    template: Option<&NotificationTemplate>,
    routing: &Routing<'_>,
) -> Result<Change<Subscription>, Rejected> {
    let mut after = next(&subscription);
    after.name = command.name.unwrap_or(after.name);
    after.chosen.event_types = command.event_types.unwrap_or(after.chosen.event_types);
    after.chosen.objects = command.objects.unwrap_or(after.chosen.objects);
    if let Some(filter) = command.filter {
        after.filter = Some(filter).filter(|filter| !filter.is_empty());
    }
    after.parameters = command.parameters.unwrap_or(after.parameters);
    after.action = command.action.unwrap_or(after.action);
    after.when_given_up = command.when_given_up.unwrap_or(after.when_given_up);
    let others: Vec<Subscription> = routing.subscriptions.iter().filter(|one| one.id != after.id).cloned().collect();
    let routing = Routing { subscriptions: &others, ..*routing };
    ensure_no_cycle(&routing, after.queue_id, &after.action)?;
    Rejected::from_violations(faults(&after, template, &routing)).map_or(Ok(()), Err)?;
    Ok(Change::updated(subscription, after, Vec::<&'static str>::new()))
}

/// Decides `enableSubscription` and `disableSubscription`.
///
/// # Errors
/// `already_enabled`, `already_disabled`.
pub fn enable(subscription: Subscription, enabled: bool) -> Result<Change<Subscription>, Rejected> {
    match (subscription.enabled, enabled) {
        (true, true) => Err(Rejected::conflict(Code::AlreadyEnabled, "The subscription is already enabled.")),
        (false, false) => Err(Rejected::conflict(Code::AlreadyDisabled, "The subscription is already disabled.")),
        _ => {
            let after = Subscription { enabled, ..next(&subscription) };
            Ok(Change::updated(subscription, after, Vec::<&'static str>::new()))
        }
    }
}

fn next(subscription: &Subscription) -> Subscription {
    Subscription { version: subscription.version + 1, ..subscription.clone() }
}

impl Entity for Subscription {
    const TYPE: &'static str = "subscription";
    const EVENT_OBJECT: Option<&'static str> = None;

    entity_members!(only_version, configuration);
}

#[cfg(test)]
pub(crate) mod tests;
