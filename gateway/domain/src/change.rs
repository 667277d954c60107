//! The result of a decision: the new state and the events to publish.

use billwire_schemas::{
    clock::Timestamp,
    events::{envelope::Action, envelope::Parameters},
    ids::{AccountId, OrderingKey},
    money::Currency,
};
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use crate::{attributes::Attributes, billing::balance::Balance};

/// A platform object, as business transactions and events see it.
pub trait Entity: Serialize {
    /// camelCase object type in business transactions, e.g. `billCycle`.
    const TYPE: &'static str;
    /// snake_case object name in event types, e.g. `bill_cycle`; `None` for configuration, whose changes publish no events.
    const EVENT_OBJECT: Option<&'static str>;

    /// The object's id.
    fn id(&self) -> uuid::Uuid;
    /// The object's version, starting at 1.
    fn version(&self) -> i64;
    /// The object's id in the external system, unique among the tenant's objects of this type.
    fn external_id(&self) -> Option<&str> {
        None
    }
    /// The status or state on the wire, if the object has one.
    fn status(&self) -> Option<&str> {
        None
    }
    /// Creation time.
    fn created_at(&self) -> Timestamp;
    /// When the clock must process the object next.
    fn due_at(&self) -> Option<Timestamp> {
        None
    }
    /// The owning account, if there is one.
    fn account(&self) -> Option<AccountId> {
        None
    }
    /// Makes it the version after this one, updated `now`. One that never changes has no next version.
    fn set_next_version(&mut self, _now: Timestamp) {}
    /// Takes the version of `other`, and when that was updated.
    fn set_version_of(&mut self, _other: &Self) {}
    /// The object's next version, updated `now` and otherwise unchanged.
    fn next_version(&self, now: Timestamp) -> Self
    where
        Self: Clone,
    {
        let mut next = self.clone();
        next.set_next_version(now);
        next
    }
    /// The key that orders the object's events: the owning account, or else the object itself.
    fn ordering_key(&self) -> OrderingKey {
        self.account().map_or_else(|| self.id().into(), Into::into)
    }
    /// The parameters the object contributes to its own events and to those of objects related to it; the catalogue lists them by
    /// group (`schemas::events::objects`).
    fn parameters(&self) -> Parameters {
        Parameters::new()
    }
    /// What the object contributes to its account's balance, with its currency; `None` for objects that are no money.
    fn balance(&self) -> Option<(Balance, Currency)> {
        None
    }
    /// The custom attributes; `None` for objects that cannot have any.
    fn attributes(&self) -> Option<&Attributes> {
        None
    }
    /// The state in events and business transactions, as JSON. Objects of unbounded size override this method to leave parts out.
    ///
    /// # Errors
    /// The object cannot be serialized as JSON.
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
        fn set_version_of(&mut self, other: &Self) {
            self.version = other.version;
            self.updated_at = other.updated_at;
        }
    };
    (@only_version) => {
        fn set_next_version(&mut self, _: billwire_schemas::clock::Timestamp) {
            self.version += 1;
        }
        fn set_version_of(&mut self, other: &Self) {
            self.version = other.version;
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
    (@attributes) => {
        fn attributes(&self) -> Option<&crate::attributes::Attributes> {
            Some(&self.attributes)
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

/// The members of [`Entity`] for settings, of which a tenant has one object: without an id until they are first set.
macro_rules! settings_members {
    () => {
        fn set_next_version(&mut self, now: billwire_schemas::clock::Timestamp) {
            self.version += 1;
            self.updated_at = Some(now);
        }
        fn set_version_of(&mut self, other: &Self) {
            self.version = other.version;
            self.updated_at = other.updated_at;
        }
        fn id(&self) -> uuid::Uuid {
            self.id.map_or(uuid::Uuid::nil(), |id| id.0)
        }
        fn ordering_key(&self) -> billwire_schemas::ids::OrderingKey {
            billwire_schemas::ids::OrderingKey::CONFIGURATION
        }
        fn version(&self) -> i64 {
            self.version
        }
        fn created_at(&self) -> billwire_schemas::clock::Timestamp {
            self.created_at.unwrap_or_default()
        }
    };
}
pub(crate) use settings_members;

/// A lifecycle event to publish about a changed entity.
#[derive(Debug, Clone, PartialEq)]
pub struct Lifecycle {
    /// Event type in the catalogue.
    pub kind: &'static str,
    /// Parameters of this event only, in addition to those of the entity.
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

/// A decided change of one entity, not yet committed.
#[derive(Debug, Clone, PartialEq)]
pub struct Change<T> {
    /// The state before; `None` for a created entity.
    pub before: Option<T>,
    /// The state after; for a deleted entity, its last state.
    pub after: T,
    /// Created, updated, deleted or unchanged.
    pub action: Action,
    /// Lifecycle events, in order. The object event (`created`, `updated`, `deleted`) precedes them.
    pub lifecycle: Vec<Lifecycle>,
}

impl<T> Change<T> {
    /// Settings that were set: created if the defaults applied before (version 0), updated otherwise.
    pub fn of_settings(before: T, after: T) -> Self
    where
        T: Entity + Clone + PartialEq,
    {
        if before.version() == 0 { Self::created(after) } else { Self::updated(before, after, Vec::<&'static str>::new()) }
    }

    /// A created entity without lifecycle events.
    pub fn created(after: T) -> Self {
        Self { before: None, after, action: Action::Created, lifecycle: Vec::new() }
    }

    /// An updated entity and its lifecycle events. Without such events, an entity that equals the one before but for its version stays at
    /// that version, and has no event.
    pub fn updated(before: T, after: T, lifecycle: Vec<impl Into<Lifecycle>>) -> Self
    where
        T: Entity + Clone + PartialEq,
    {
        if lifecycle.is_empty() {
            let mut same = after.clone();
            same.set_version_of(&before);
            if same == before {
                return Self { before: Some(before), after: same, action: Action::Unchanged, lifecycle: Vec::new() };
            }
        }
        Self { before: Some(before), after, action: Action::Updated, lifecycle: lifecycle.into_iter().map(Into::into).collect() }
    }

    /// An updated entity whose secrets changed, which are not in it.
    pub fn updated_in_secret(before: T, after: T) -> Self {
        Self { before: Some(before), after, action: Action::Updated, lifecycle: Vec::new() }
    }

    /// Appends a lifecycle event.
    #[must_use]
    pub fn and(mut self, event: impl Into<Lifecycle>) -> Self {
        self.lifecycle.push(event.into());
        self
    }

    /// A deleted entity without lifecycle events.
    pub fn deleted(last: T) -> Self
    where
        T: Clone,
    {
        Self { before: Some(last.clone()), after: last, action: Action::Deleted, lifecycle: Vec::new() }
    }
}
