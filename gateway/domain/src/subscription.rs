//! Subscriptions: what a subscriber asks of a queue.

use billwire_schemas::{
    clock::Timestamp,
    events::parameters::nearest,
    ids::{NotificationTemplateId, OrderingKey, QueueId, SmtpAccountId, SubscriptionId, WebhookEndpointId},
    template,
};
use serde::{Deserialize, Serialize};

use crate::{
    catalogue::Catalogue,
    change::{Change, Entity},
    notification_template::NotificationTemplate,
    queue::Queue,
    rejected::{Rejected, Violation},
};

/// What is done with a matching event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Action {
    /// POST it to a webhook endpoint.
    Webhook {
        /// Which endpoint.
        webhook_endpoint_id: WebhookEndpointId,
    },
    /// Send it by e-mail.
    Email {
        /// Which SMTP account sends it.
        smtp_account_id: SmtpAccountId,
        /// Which template it is rendered with.
        notification_template_id: NotificationTemplateId,
        /// The recipients' addresses.
        to: Vec<String>,
    },
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
    /// The event types it wants of the queue; empty: all of them.
    pub event_types: Vec<String>,
    /// What is done.
    pub action: Action,
    /// When it was made. It is owed every matching event committed after that.
    pub created_at: Timestamp,
}

/// `createSubscription`; queue and template are loaded already.
#[derive(Debug, Clone)]
pub struct Create {
    /// The new subscription's id.
    pub id: SubscriptionId,
    /// See [`Subscription::name`].
    pub name: String,
    /// See [`Subscription::event_types`].
    pub event_types: Vec<String>,
    /// See [`Subscription::action`].
    pub action: Action,
}

/// Decides `createSubscription`. A template must be content with what *every* event type of the subscription offers.
///
/// # Errors
/// `event_type_unknown`, `event_type_not_on_queue`, `template_unknown_parameter` and the other template codes.
pub fn create(
    command: Create,
    queue: &Queue,
    template: Option<&NotificationTemplate>,
    catalogue: &Catalogue,
    now: Timestamp,
) -> Result<Change<Subscription>, Rejected> {
    let mut broken = catalogue.unknown_types(&command.event_types);
    for (index, name) in command.event_types.iter().enumerate() {
        if catalogue.find(name).is_some() && !queue.event_types.contains(name) {
            let near = nearest(name, queue.event_types.iter().map(String::as_str));
            broken.push(Violation::new(
                format!("/eventTypes/{index}"),
                "event_type_not_on_queue",
                format!("Queue '{}' does not carry '{name}'; nearest it carries: {}.", queue.name, near.join(", ")),
            ));
        }
    }
    let types = if command.event_types.is_empty() { &queue.event_types } else { &command.event_types };
    if let Some(template) = template {
        for name in types {
            broken.extend(catalogue.offered(name).into_iter().flat_map(|offered| template_faults(template, name, &offered)));
        }
    }
    if let Some(rejected) = Rejected::from_violations(broken) {
        return Err(rejected);
    }
    Ok(Change::created(Subscription {
        id: command.id,
        version: 1,
        name: command.name,
        queue_id: queue.id,
        event_types: command.event_types,
        action: command.action,
        created_at: now,
    }))
}

fn template_faults(template: &NotificationTemplate, event: &str, offered: &[String]) -> Vec<Violation> {
    let offered: Vec<&str> = offered.iter().map(String::as_str).collect();
    let Err(faults) = template::check(&template.parts(), &offered) else { return Vec::new() };
    faults
        .into_iter()
        .map(|fault| {
            let message = format!("Template '{}' does not suit {event}: {}", template.name, fault.message);
            Violation::new("/action/notificationTemplateId", fault.code, message)
        })
        .collect()
}

impl Entity for Subscription {
    const TYPE: &'static str = "subscription";
    const EVENT_OBJECT: Option<&'static str> = None;

    fn id(&self) -> uuid::Uuid {
        self.id.0
    }
    fn ordering_key(&self) -> OrderingKey {
        OrderingKey::CONFIGURATION
    }
    fn version(&self) -> i64 {
        self.version
    }
    fn created_at(&self) -> Timestamp {
        self.created_at
    }
}
