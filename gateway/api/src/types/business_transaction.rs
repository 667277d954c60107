//! The business transaction as the document tells of it. It is written in `app::record`.

use poem_openapi::{Object, types::Example};
use uuid::Uuid;

use crate::{
    types::example::{example_id, example_moment},
    types::scalars::{FreeObject, Moment},
};

/// The committed result of a changing operation: what was changed, and the events that tell of it.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub(crate) struct BusinessTransaction {
    /// Its id.
    id: Uuid,
    /// The operationId.
    operation: String,
    /// When it happened, in business time.
    occurred_at: Moment,
    /// Who did it: the name of the API key, or `clock`.
    actor: String,
    /// The account it belongs to, where it belongs to one.
    account: Option<Uuid>,
    /// What was changed.
    entities: Vec<EntityChange>,
    /// The events, in order.
    events: Vec<EventReference>,
}

impl Example for BusinessTransaction {
    fn example() -> Self {
        let members = serde_json::Map::from_iter([("id".to_owned(), example_id(2).to_string().into()), ("version".to_owned(), 1.into())]);
        let entity = EntityChange {
            kind: "billCycle".to_owned(),
            id: example_id(2).to_string(),
            version: 1,
            action: "created".to_owned(),
            before: None,
            after: Some(FreeObject(members)),
        };
        let event = EventReference { id: example_id(0x101), kind: "bill_cycle.created".to_owned() };
        Self::of("createBillCycle", entity, event)
    }
}

impl BusinessTransaction {
    /// An example: one entity, one event.
    pub fn of(operation: &str, entity: EntityChange, event: EventReference) -> Self {
        Self {
            id: example_id(0x100),
            operation: operation.to_owned(),
            occurred_at: example_moment(),
            actor: "crm".to_owned(),
            account: None,
            entities: vec![entity],
            events: vec![event],
        }
    }
}

/// An entity that was changed.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub(crate) struct EntityChange {
    /// Its type, such as `account` or `billCycle`. More may come.
    #[oai(rename = "type")]
    pub kind: String,
    /// Its id.
    pub id: String,
    /// Its version after the change, from 1.
    pub version: i64,
    /// `created`, `updated` or `deleted`.
    pub action: String,
    /// Its state before; absent for a created one. It has the shape the entity's own get operation answers.
    pub before: Option<FreeObject>,
    /// Its state after; absent for a deleted one. It has the shape the entity's own get operation answers.
    pub after: Option<FreeObject>,
}

/// An event of the transaction.
#[derive(Debug, Object)]
#[oai(rename = "EventReference", rename_all = "camelCase")]
pub(crate) struct EventReference {
    /// Its id; also `Nats-Msg-Id` on the stream and `webhook-id` at receivers.
    pub id: Uuid,
    /// Its type, such as `account.bill_cycle_changed`. More may come.
    #[oai(rename = "type")]
    pub kind: String,
}
