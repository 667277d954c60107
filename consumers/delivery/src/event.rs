//! An event on its way out.

use billwire_schemas::{
    events::envelope::type_of_subject,
    ids::{EventId, OrderingKey, SubscriptionId, TenantId},
};
use bytes::Bytes;

/// One event as the engine carries it. `body` is the message exactly as it stands on the stream and in SQL.
#[derive(Debug, Clone)]
pub struct Event {
    /// The event's id.
    pub id: EventId,
    /// Whose event it is.
    pub tenant: TenantId,
    /// `<object>.<what happened>`.
    pub kind: String,
    /// What order is kept within.
    pub key: OrderingKey,
    /// Position within the key, from 1.
    pub sequence: i64,
    /// Position in the outbox over all keys; a subscription gets only events after the one it was made at.
    pub position: i64,
    /// The structured CloudEvents JSON object ([`billwire_schemas::events::envelope::Envelope`]).
    pub body: Bytes,
}

impl Event {
    /// The event in a received message, read off its subject and headers; `None`: the subject is not one of ours.
    pub fn of(received: &billwire_bus::Received) -> Option<Self> {
        let kind = type_of_subject(&received.subject)?;
        let (_, key) = received.subject.rsplit_once('.')?;
        Some(Self {
            id: received.id.parse().ok()?,
            tenant: received.subject.split('.').nth(1)?.parse().ok()?,
            kind: kind.to_owned(),
            key: key.parse().ok()?,
            sequence: received.sequence,
            position: received.position,
            body: received.body.clone(),
        })
    }
}

/// What a subscription asks to be done with its events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// POST it to a webhook endpoint.
    Webhook {
        /// Which endpoint.
        endpoint: billwire_schemas::ids::WebhookEndpointId,
    },
    /// Send it as an e-mail.
    Email {
        /// Which SMTP account sends.
        smtp_account: billwire_schemas::ids::SmtpAccountId,
        /// Which template is rendered.
        template: billwire_schemas::ids::NotificationTemplateId,
        /// The recipients' addresses.
        to: Vec<String>,
    },
}

/// One subscription, as far as delivering needs it.
#[derive(Debug, Clone)]
pub struct Subscription {
    /// The subscription's id.
    pub id: SubscriptionId,
    /// Whose it is.
    pub tenant: TenantId,
    /// The event types it wants; empty means every type of its queue.
    pub event_types: Vec<String>,
    /// Events up to this outbox position happened before the subscription was made.
    pub start_position: i64,
    /// What to do.
    pub action: Action,
}

impl Subscription {
    /// Whether this subscription is owed this event.
    pub fn wants(&self, event: &Event) -> bool {
        event.position > self.start_position && (self.event_types.is_empty() || self.event_types.contains(&event.kind))
    }
}
