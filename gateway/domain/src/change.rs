//! What a decision gives: the new state and the events that tell of it.

use billwire_schemas::{
    events::{envelope::Action, envelope::Parameters},
    ids::{AccountId, OrderingKey},
};
use serde::Serialize;

/// A platform object, as far as business transactions and events need it.
pub trait Entity: Serialize {
    /// camelCase noun in business transactions, e.g. `billCycle`.
    const TYPE: &'static str;
    /// snake_case noun in event types, e.g. `bill_cycle`; `None` for configuration, which causes no events.
    const EVENT_OBJECT: Option<&'static str>;

    /// The object's id.
    fn id(&self) -> uuid::Uuid;
    /// The object's version, from 1.
    fn version(&self) -> i64;
    /// The account it belongs to, where it belongs to one.
    fn account(&self) -> Option<AccountId> {
        None
    }
    /// What order its events keep: its account, else itself.
    fn ordering_key(&self) -> OrderingKey {
        self.account().map_or_else(|| self.id().into(), Into::into)
    }
    /// The parameters its events offer, besides the core ones.
    fn parameters(&self) -> Parameters {
        Parameters::new()
    }
}

/// A committed-to-be change of one entity.
#[derive(Debug, Clone, PartialEq)]
pub struct Change<T> {
    /// The state before; absent for a created entity.
    pub before: Option<T>,
    /// The state after (for a deleted entity: its last state).
    pub after: T,
    /// What happened to it.
    pub action: Action,
    /// Lifecycle events, in order; the object event (`created`, `updated`, `deleted`) goes before them.
    pub lifecycle: Vec<&'static str>,
}

impl<T> Change<T> {
    /// A created entity without lifecycle events.
    pub fn created(after: T) -> Self {
        Self { before: None, after, action: Action::Created, lifecycle: Vec::new() }
    }

    /// A changed entity and what people call it.
    pub fn updated(before: T, after: T, lifecycle: Vec<&'static str>) -> Self {
        Self { before: Some(before), after, action: Action::Updated, lifecycle }
    }

    /// A deleted entity.
    pub fn deleted(last: T) -> Self
    where
        T: Clone,
    {
        Self { before: Some(last.clone()), after: last, action: Action::Deleted, lifecycle: Vec::new() }
    }
}
