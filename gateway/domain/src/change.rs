//! What a decision gives: the new state and the events that tell of it.

use billwire_schemas::{
    clock::Timestamp,
    events::{envelope::Action, envelope::Parameters},
    ids::{AccountId, OrderingKey},
};
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

/// A platform object, as far as business transactions and events need it.
pub trait Entity: Serialize {
    /// camelCase noun in business transactions, e.g. `billCycle`.
    const TYPE: &'static str;
    /// snake_case noun in event types, e.g. `bill_cycle`; `None` for configuration, whose changes are no events.
    const EVENT_OBJECT: Option<&'static str>;

    /// The object's id.
    fn id(&self) -> uuid::Uuid;
    /// The object's version, from 1.
    fn version(&self) -> i64;
    /// Its id in the outside system, unique among the tenant's objects of this type.
    fn external_id(&self) -> Option<&str> {
        None
    }
    /// Its status or state, where it has one, as on the wire.
    fn status(&self) -> Option<&str> {
        None
    }
    /// When it was made.
    fn created_at(&self) -> Timestamp;
    /// When the clock has to look at it next.
    fn due_at(&self) -> Option<Timestamp> {
        None
    }
    /// The account it belongs to, where it belongs to one.
    fn account(&self) -> Option<AccountId> {
        None
    }
    /// Makes it the version after this one, updated `now`. One that never changes has no next version.
    fn set_next_version(&mut self, _now: Timestamp) {}
    /// The object's next version, updated `now` and otherwise unchanged.
    fn next_version(&self, now: Timestamp) -> Self
    where
        Self: Clone,
    {
        let mut next = self.clone();
        next.set_next_version(now);
        next
    }
    /// What order its events keep: its account, else itself.
    fn ordering_key(&self) -> OrderingKey {
        self.account().map_or_else(|| self.id().into(), Into::into)
    }
    /// The parameters it offers to its own events and to those of objects that reach it, as the catalogue lists them for its
    /// group (`schemas::events::objects`).
    fn parameters(&self) -> Parameters {
        Parameters::new()
    }
    /// Its state as events and business transactions carry it, JSON: the whole of it, unless that has no bound.
    ///
    /// # Errors
    /// When it cannot be written as JSON.
    fn to_json(&self) -> serde_json::Result<Box<RawValue>> {
        to_raw_value(self)
    }
}

/// The members of [`Entity`] that are read from fields: id, version and creation time of every object, and those that are listed.
macro_rules! entity_members {
    (@updated_at) => {
        fn set_next_version(&mut self, now: billwire_schemas::clock::Timestamp) {
            self.version += 1;
            self.updated_at = now;
        }
    };
    (@only_version) => {
        fn set_next_version(&mut self, _: billwire_schemas::clock::Timestamp) {
            self.version += 1;
        }
    };
    (@configuration) => {
        fn ordering_key(&self) -> billwire_schemas::ids::OrderingKey {
            billwire_schemas::ids::OrderingKey::CONFIGURATION
        }
    };
    (@external_id) => {
        fn external_id(&self) -> Option<&str> {
            self.external_id.as_deref()
        }
    };
    (@status) => {
        fn status(&self) -> Option<&str> {
            Some(self.status.name())
        }
    };
    (@state) => {
        fn status(&self) -> Option<&str> {
            Some(self.state.name())
        }
    };
    (@account_id) => {
        fn account(&self) -> Option<billwire_schemas::ids::AccountId> {
            Some(self.account_id)
        }
    };
    ($($member:ident),*) => {
        fn id(&self) -> uuid::Uuid {
            self.id.0
        }
        fn version(&self) -> i64 {
            self.version
        }
        fn created_at(&self) -> billwire_schemas::clock::Timestamp {
            self.created_at
        }
        $(entity_members!(@$member);)*
    };
}
pub(crate) use entity_members;

/// A lifecycle event to be published about a changed entity.
#[derive(Debug, Clone, PartialEq)]
pub struct Lifecycle {
    /// Its type in the catalogue.
    pub kind: &'static str,
    /// Parameters only this event offers, besides those of its entity.
    pub parameters: Parameters,
}

impl From<&'static str> for Lifecycle {
    fn from(kind: &'static str) -> Self {
        Self { kind, parameters: Parameters::new() }
    }
}

impl PartialEq<&str> for Lifecycle {
    fn eq(&self, kind: &&str) -> bool {
        self.kind == *kind
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
    pub lifecycle: Vec<Lifecycle>,
}

impl<T> Change<T> {
    /// A created entity without lifecycle events.
    pub fn created(after: T) -> Self {
        Self { before: None, after, action: Action::Created, lifecycle: Vec::new() }
    }

    /// A changed entity and what people call it.
    pub fn updated(before: T, after: T, lifecycle: Vec<impl Into<Lifecycle>>) -> Self {
        Self { before: Some(before), after, action: Action::Updated, lifecycle: lifecycle.into_iter().map(Into::into).collect() }
    }

    /// The same change with a lifecycle event more.
    #[must_use]
    pub fn and(mut self, event: impl Into<Lifecycle>) -> Self {
        self.lifecycle.push(event.into());
        self
    }

    /// A deleted entity.
    pub fn deleted(last: T) -> Self
    where
        T: Clone,
    {
        Self { before: Some(last.clone()), after: last, action: Action::Deleted, lifecycle: Vec::new() }
    }
}
