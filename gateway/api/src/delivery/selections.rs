//! A choice of events, in requests and answers of queues and subscriptions.

use billwire_schemas::events::selection::{self, Happening as What};
use poem_openapi::{Object, types::Example};

use crate::types::scalars::{EventObject, Happening};

/// Events of one object.
#[derive(Debug, Clone, Object)]
#[oai(rename = "NewObjectEvents", rename_all = "camelCase", example)]
pub(crate) struct NewObjectEvents {
    /// The object: the first part of its event types' names, such as `invoice` or `bill_cycle`.
    object: EventObject,
    /// What happens to it; `lifecycle` is all that is neither created, updated nor deleted.
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

/// Events of one object.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", example)]
pub(crate) struct ObjectEvents {
    /// The object.
    object: String,
    /// `created`, `updated`, `deleted`, `lifecycle`.
    events: Vec<String>,
}

impl Example for ObjectEvents {
    fn example() -> Self {
        Self { object: "account".to_owned(), events: vec!["created".to_owned(), "lifecycle".to_owned()] }
    }
}

/// The domain's form of a list.
pub(crate) fn objects(new: Vec<NewObjectEvents>) -> Vec<selection::ObjectEvents> {
    new.into_iter().map(Into::into).collect()
}
