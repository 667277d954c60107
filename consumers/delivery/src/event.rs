//! Events and the subscriptions to them, as the engine holds them.

use billwire_schemas::{
    events::{envelope::parts_of_subject, selection::Selection},
    expression::Expression,
    ids::{EventId, OrderingKey, SubscriptionId, TenantId, fresh},
};
use bytes::Bytes;
use serde_json::Value;

use crate::channel::Action;

/// One event. `body` is the message, byte for byte as on the stream and in SQL.
#[derive(Debug, Clone)]
pub struct Event {
    /// The event's id.
    pub id: EventId,
    /// The tenant.
    pub tenant: TenantId,
    /// `<object>.<what happened>`.
    pub kind: String,
    /// The ordering key.
    pub key: OrderingKey,
    /// Position within the key, from 1.
    pub sequence: i64,
    /// Position in the outbox over all keys; a subscription gets only events after its start position.
    pub position: i64,
    /// The structured CloudEvents JSON object ([`billwire_schemas::events::envelope::Envelope`]).
    pub body: Bytes,
}

impl Event {
    /// The body as JSON.
    ///
    /// # Errors
    /// Text for people: the body is not JSON.
    pub fn json(&self) -> Result<Value, String> {
        serde_json::from_slice(&self.body).map_err(|error| format!("the event cannot be read: {error}"))
    }

    /// The event in a received message, read from its subject and headers; `None`: the message is not authentic
    /// ([`crate::authenticity`]), or the subject is not that of an event.
    pub fn of(received: &billwire_bus::Received) -> Option<Self> {
        if received.authenticity != billwire_bus::Authenticity::Genuine {
            return None;
        }
        let (tenant, kind, key) = parts_of_subject(&received.subject)?;
        Some(Self {
            id: received.id.parse().ok()?,
            tenant: tenant.parse().ok()?,
            kind: kind.to_owned(),
            key: key.parse().ok()?,
            sequence: received.sequence,
            position: received.position,
            body: received.body.clone(),
        })
    }
}

/// A calculated member: its name, and its expression or why the expression does not compile.
pub type CalculatedMember = (String, Result<Expression, String>);

/// One subscription, as far as the engine needs it.
#[derive(Debug)]
pub struct Subscription {
    /// The subscription's id.
    pub id: SubscriptionId,
    /// The tenant.
    pub tenant: TenantId,
    /// The events it selects; empty: every event of its queue.
    pub chosen: Selection,
    /// Whether it gets deliveries for new events, and attempts for those that wait.
    pub enabled: bool,
    /// The filter an event must pass, or why it does not compile.
    pub filter: Option<Result<Expression, String>>,
    /// The parameters it adds to events.
    pub parameters: Vec<CalculatedMember>,
    /// Whether a given-up delivery blocks its lane until a person acts.
    pub blocks: bool,
    /// The outbox position when the subscription was created or enabled: earlier events are not for it.
    pub start_position: i64,
    /// What to do with an event.
    pub action: Action,
}

impl Subscription {
    /// A subscription to every event, unfiltered and unchanged.
    pub fn to_all(tenant: TenantId, action: impl Into<Action>) -> Self {
        Self {
            id: SubscriptionId(fresh()),
            tenant,
            chosen: Selection::default(),
            enabled: true,
            filter: None,
            parameters: Vec::new(),
            blocks: false,
            start_position: 0,
            action: action.into(),
        }
    }

    /// Whether it selects events of a type.
    pub fn chooses(&self, kind: &str) -> bool {
        self.chosen.is_empty() || self.chosen.takes(kind)
    }
}
