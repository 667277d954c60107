//! Subscriptions: what a subscriber asks of a queue.

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

/// Most parameters a subscription adds, and most members a calculation gives.
pub const EXPRESSIONS_MAX: usize = 32;

/// What is done with a matching event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Action {
    /// POST it to a webhook endpoint.
    Webhook {
        /// Which endpoint.
        webhook_endpoint_id: WebhookEndpointId,
        /// A path below the endpoint's, in which `{name}` stands for a parameter.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        path: Option<String>,
    },
    /// Send it by e-mail.
    Email {
        /// Which SMTP account sends it; absent: the tenant's default one.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        smtp_account_id: Option<SmtpAccountId>,
        /// Which template it is rendered with.
        notification_template_id: NotificationTemplateId,
        /// The recipients.
        to: Vec<Recipient>,
        /// Those who get a copy.
        #[serde(skip_serializing_if = "Vec::is_empty", default)]
        cc: Vec<Recipient>,
        /// Those who get one without the others seeing it.
        #[serde(skip_serializing_if = "Vec::is_empty", default)]
        bcc: Vec<Recipient>,
        /// Whether the event itself is attached, as JSON.
        #[serde(default)]
        attach_event: bool,
    },
    /// Hand it to the subscriptions of another queue.
    Forward {
        /// Which queue.
        queue_id: QueueId,
    },
    /// Tell of something new that follows from it.
    Calculate {
        /// The custom event type that is published.
        event_type: String,
        /// The members of its data, each a CEL expression over the event.
        data: BTreeMap<String, String>,
    },
}

impl Action {
    /// The queue it forwards to.
    pub fn forwards_to(&self) -> Option<QueueId> {
        match self {
            Self::Forward { queue_id } => Some(*queue_id),
            _ => None,
        }
    }

    /// Whoever it writes to, with where that stands in a request.
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

/// What becomes of a lane of an in-order queue when its head is given up on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum GivenUp {
    /// It goes on behind the dead letter.
    #[default]
    Skip,
    /// It rests until a person redrives or discards the dead letter.
    Block,
}

/// A subscription.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Subscription {
    /// Its id.
    pub id: SubscriptionId,
    /// Its version, from 1.
    pub version: i64,
    /// Its name, unique in the tenant.
    pub name: String,
    /// The queue it is on.
    pub queue_id: QueueId,
    /// The events it wants of the queue; nothing named: all of them.
    #[serde(flatten)]
    pub chosen: Selection,
    /// A CEL expression that must hold for an event; absent: every chosen one is wanted.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub filter: Option<String>,
    /// Parameters it adds to the events, each a CEL expression.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub parameters: BTreeMap<String, String>,
    /// What is done.
    pub action: Action,
    /// What becomes of a lane whose head is given up on.
    #[serde(default)]
    pub when_given_up: GivenUp,
    /// Whether it is owed what happens now.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// When it was made. It is owed every matching event committed after that, except while it was disabled.
    pub created_at: Timestamp,
}

fn yes() -> bool {
    true
}

/// What a subscription is to be, apart from its id and queue.
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

/// `updateSubscription`; what is absent stays.
#[derive(Debug, Clone, Default)]
pub struct Update {
    /// See [`Subscription::name`].
    pub name: Option<String>,
    /// Replaces the entries of [`Selection::event_types`].
    pub event_types: Option<Vec<String>>,
    /// Replaces the entries of [`Selection::objects`].
    pub objects: Option<Vec<billwire_schemas::events::selection::ObjectEvents>>,
    /// See [`Subscription::filter`]; the empty text takes it away.
    pub filter: Option<String>,
    /// See [`Subscription::parameters`].
    pub parameters: Option<BTreeMap<String, String>>,
    /// See [`Subscription::action`].
    pub action: Option<Action>,
    /// See [`Subscription::when_given_up`].
    pub when_given_up: Option<GivenUp>,
}

/// Decides `createSubscription`; the action's references exist. Filter, parameters, template and calculation must be content with
/// what *every* event type that can come offers.
///
/// # Errors
/// `forward_cycle`, and every fault of [`faults`].
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

/// Decides `updateSubscription`; `routing` holds it as it was.
///
/// # Errors
/// As [`create`].
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
        (true, true) => Err(Rejected::conflict(Code::AlreadyEnabled, "The subscription is enabled already.")),
        (false, false) => Err(Rejected::conflict(Code::AlreadyDisabled, "The subscription is disabled already.")),
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
