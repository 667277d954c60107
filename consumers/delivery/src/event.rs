//! An event on its way out.

use billwire_schemas::{
    clock::Timestamp,
    delivery::{Delivery, DeliveryState},
    events::{envelope::type_of_subject, selection::Selection},
    expression::Expression,
    ids::{
        DeliveryId, EventId, NotificationTemplateId, OrderingKey, QueueId, ReplayId, SmtpAccountId, SubscriptionId, TenantId,
        WebhookEndpointId, fresh,
    },
    recipient::Recipient,
};
use bytes::Bytes;
use serde_json::Value;
use uuid::Uuid;

use crate::store::Queue;

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
    /// The JSON object it is.
    ///
    /// # Errors
    /// Text for people: its body is none of ours.
    pub fn json(&self) -> Result<Value, String> {
        serde_json::from_slice(&self.body).map_err(|error| format!("the event cannot be read: {error}"))
    }

    /// The delivery of the event to a subscription of `queue`, or by a replay to it, before the first attempt.
    pub fn delivery(&self, queue: &Queue, subscription: SubscriptionId, replay: Option<ReplayId>, now: Timestamp) -> Delivery {
        Delivery {
            id: replay.map_or_else(|| DeliveryId::of(self.id, subscription), |replay| DeliveryId::of_replay(self.id, replay)),
            tenant: self.tenant.clone(),
            event: self.id,
            event_type: self.kind.clone(),
            queue: queue.id,
            partition: self.key.partition(queue.partitions),
            subscription,
            replay,
            key: self.key.clone(),
            sequence: self.sequence,
            position: self.position,
            state: DeliveryState::Waiting,
            attempts: 0,
            forgiven: 0,
            next_attempt_at: None,
            last: None,
            created_at: now,
        }
    }

    /// The event in a received message, read off its subject and headers; `None`: the gateway did not make it ([`crate::authenticity`]), or
    /// the subject is not one of ours.
    pub fn of(received: &billwire_bus::Received) -> Option<Self> {
        if received.authenticity != billwire_bus::Authenticity::Genuine {
            return None;
        }
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

/// A member that is calculated: its name, and its expression or why that does not compile.
pub type CalculatedMember = (String, Result<Expression, String>);

/// An e-mail that is asked for.
#[derive(Debug, Clone)]
pub struct EmailAction {
    /// Which SMTP account sends.
    pub smtp_account: SmtpAccountId,
    /// Which template is rendered.
    pub template: NotificationTemplateId,
    /// The recipients.
    pub to: Vec<Recipient>,
    /// Those who get a copy.
    pub cc: Vec<Recipient>,
    /// Those who get one without the others seeing it.
    pub bcc: Vec<Recipient>,
    /// Whether the event itself is attached.
    pub attach_event: bool,
}

/// What a subscription asks to be done with its events.
#[derive(Debug)]
pub enum Action {
    /// POST it to a webhook endpoint.
    Webhook {
        /// Which endpoint.
        endpoint: WebhookEndpointId,
        /// A path below the endpoint's, in which `{name}` stands for a parameter.
        path: Option<String>,
    },
    /// Send it as an e-mail.
    Email(EmailAction),
    /// Hand it to the subscriptions of another queue.
    Forward {
        /// Which queue.
        queue: QueueId,
    },
    /// Publish what follows from it.
    Calculate {
        /// The custom type.
        event_type: String,
        /// The members of its data.
        data: Vec<CalculatedMember>,
    },
}

/// One subscription, as far as delivering needs it.
#[derive(Debug)]
pub struct Subscription {
    /// The subscription's id.
    pub id: SubscriptionId,
    /// Whose it is.
    pub tenant: TenantId,
    /// The events it wants; nothing named means every event of its queue.
    pub chosen: Selection,
    /// Whether it is owed what happens now, and sent what waits.
    pub enabled: bool,
    /// What must hold for an event, or why that cannot be asked.
    pub filter: Option<Result<Expression, String>>,
    /// Parameters it adds.
    pub parameters: Vec<CalculatedMember>,
    /// Whether a lane whose head is given up on rests until a person acts.
    pub blocks: bool,
    /// Events up to this outbox position happened before the subscription was made or enabled.
    pub start_position: i64,
    /// What to do.
    pub action: Action,
}

impl Action {
    /// Whom it calls, where that is someone whose calls are limited.
    pub fn target(&self) -> Option<Uuid> {
        match self {
            Self::Webhook { endpoint, .. } => Some(endpoint.0),
            Self::Email(mailing) => Some(mailing.smtp_account.0),
            Self::Forward { .. } | Self::Calculate { .. } => None,
        }
    }
}

impl Subscription {
    /// One that wants every event as it is.
    pub fn to_all(tenant: TenantId, action: Action) -> Self {
        Self {
            id: SubscriptionId(fresh()),
            tenant,
            chosen: Selection::default(),
            enabled: true,
            filter: None,
            parameters: Vec::new(),
            blocks: false,
            start_position: 0,
            action,
        }
    }

    /// Whether its choice takes events of a type.
    pub fn chooses(&self, kind: &str) -> bool {
        self.chosen.is_empty() || self.chosen.takes(kind)
    }
}
