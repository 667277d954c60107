//! Selections of events, in requests and responses of queues and subscriptions.

use billwire_schemas::events::selection::{self, Happening as What};
use poem_openapi::{Object, types::Example};

use crate::types::scalars::{EventObject, Happening};

/// A selection of an object's events.
#[derive(Debug, Clone, Object)]
#[oai(rename = "ObjectEventsInput", rename_all = "camelCase", example)]
pub(crate) struct ObjectEventsInput {
    /// Object, as in the first part of its event type names, such as `invoice` or `bill_cycle`.
    object: EventObject,
    /// Kinds of events; `lifecycle` means all except `created`, `updated` and `deleted`. One that is named again counts once.
    // Not `unique_items`: for a set of an enum, the generator for Java writes code that does not compile.
    #[oai(validator(min_items = 1, max_items = 4))]
    events: Vec<Happening>,
}

impl Example for ObjectEventsInput {
    fn example() -> Self {
        Self { object: "account".into(), events: vec![Happening::Created, Happening::Lifecycle] }
    }
}

impl From<ObjectEventsInput> for selection::ObjectEvents {
    fn from(new: ObjectEventsInput) -> Self {
        let mut events = Vec::new();
        for event in new.events {
            let event = match event {
                Happening::Created => What::Created,
                Happening::Updated => What::Updated,
                Happening::Deleted => What::Deleted,
                Happening::Lifecycle => What::Lifecycle,
            };
            if !events.contains(&event) {
                events.push(event);
            }
        }
        Self { object: new.object.0, events }
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
pub(crate) fn objects(new: Vec<ObjectEventsInput>) -> Vec<selection::ObjectEvents> {
    new.into_iter().map(Into::into).collect()
}
