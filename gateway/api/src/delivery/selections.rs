//! Selections of events, in requests and responses of queues and subscriptions.

use billwire_schemas::events::selection::{self, Happening as What};
use poem_openapi::{Object, types::Example};

use crate::types::scalars::{EventObject, Happening};

/// A selection of an object's events.
#[derive(Debug, Clone, Object)]
#[oai(rename = "NewObjectEvents", rename_all = "camelCase", example)]
pub(crate) struct NewObjectEvents {
    /// Object, as in the first part of its event type names, such as `invoice` or `bill_cycle`.
    object: EventObject,
    /// Kinds of events; `lifecycle` means all except `created`, `updated` and `deleted`.
    #[oai(validator(min_items = 1, max_items = 4, unique_items))]
    events: Vec<Happening>,
}

impl Example for NewObjectEvents {
    fn example() -> Self {
        Self { object: "account".into(), events: vec![Happening::Created, Happening::Lifecycle] }
    }
}

impl From<NewObjectEvents> for selection::ObjectEvents {
    fn from(new: NewObjectEvents) -> Self {
        let events = new.events.into_iter().map(|event| match event {
            Happening::Created => What::Created,
            Happening::Updated => What::Updated,
            Happening::Deleted => What::Deleted,
            Happening::Lifecycle => What::Lifecycle,
        });
        Self { object: new.object.0, events: events.collect() }
    }
}

/// A selection of an object's events.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", example)]
pub(crate) struct ObjectEvents {
    /// Object, as in the first part of its event type names.
    object: String,
    /// Kinds of events: `created`, `updated`, `deleted`, `lifecycle`.
    events: Vec<String>,
}

impl Example for ObjectEvents {
    fn example() -> Self {
        Self { object: "account".to_owned(), events: vec!["created".to_owned(), "lifecycle".to_owned()] }
    }
}

impl From<selection::ObjectEvents> for ObjectEvents {
    fn from(chosen: selection::ObjectEvents) -> Self {
        let name = |event| match event {
            What::Created => "created",
            What::Updated => "updated",
            What::Deleted => "deleted",
            What::Lifecycle => "lifecycle",
        };
        Self { object: chosen.object, events: chosen.events.into_iter().map(|event| name(event).to_owned()).collect() }
    }
}

/// Converts a list to the domain's type.
pub(crate) fn objects(new: Vec<NewObjectEvents>) -> Vec<selection::ObjectEvents> {
    new.into_iter().map(Into::into).collect()
}
