//! Queues: named subscription spaces for event types.

use billwire_schemas::{
    clock::Timestamp,
    ids::{OrderingKey, QueueId},
};
use serde::{Deserialize, Serialize};

use crate::{
    catalogue::Catalogue,
    change::{Change, Entity},
    rejected::Rejected,
};

/// Whether a queue keeps order within each ordering key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Each lane moves strictly one by one.
    InOrder,
    /// Everything goes as soon as it can.
    OutOfOrder,
}

/// A queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Queue {
    /// Its id.
    pub id: QueueId,
    /// Its version, from 1.
    pub version: i64,
    /// Its name, unique in the tenant.
    pub name: String,
    /// In order or out of order.
    pub mode: Mode,
    /// The event types registered on it.
    pub event_types: Vec<String>,
    /// How many parts its keys are spread over, each with a durable consumer of its own.
    pub partitions: u32,
    /// When it was made.
    pub created_at: Timestamp,
}

/// `createQueue`.
#[derive(Debug, Clone)]
pub struct Create {
    /// The new queue's id.
    pub id: QueueId,
    /// See [`Queue::name`].
    pub name: String,
    /// See [`Queue::mode`].
    pub mode: Mode,
    /// See [`Queue::event_types`].
    pub event_types: Vec<String>,
    /// See [`Queue::partitions`].
    pub partitions: u32,
}

/// Decides `createQueue`.
///
/// # Errors
/// `event_type_unknown` for each unknown type.
pub fn create(command: Create, catalogue: &Catalogue, now: Timestamp) -> Result<Change<Queue>, Rejected> {
    if let Some(rejected) = Rejected::from_violations(catalogue.unknown_types(&command.event_types)) {
        return Err(rejected);
    }
    Ok(Change::created(Queue {
        id: command.id,
        version: 1,
        name: command.name,
        mode: command.mode,
        event_types: command.event_types,
        partitions: command.partitions,
        created_at: now,
    }))
}

impl Entity for Queue {
    const TYPE: &'static str = "queue";
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

#[cfg(test)]
mod tests {
    use super::*;
    use billwire_schemas::ids::fresh;

    #[test]
    fn an_unknown_event_type_is_refused_with_the_nearest_name() {
        let command = Create {
            id: QueueId(fresh()),
            name: "q".into(),
            mode: Mode::InOrder,
            event_types: vec!["account.created".into(), "account.bill_cycle_change".into()],
            partitions: 1,
        };
        let refused = create(command, &Catalogue::default(), Timestamp::UNIX_EPOCH).unwrap_err();
        assert_eq!(refused.violations[0].pointer, "/eventTypes/1");
        assert!(refused.message.contains("account.bill_cycle_changed"), "{}", refused.message);
    }
}
