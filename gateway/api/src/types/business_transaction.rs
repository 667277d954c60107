//! The documented schema of a business transaction. `app::record` writes the JSON.

use poem_openapi::{Object, types::Example};
use uuid::Uuid;

use crate::{
    types::example::{example_id, example_moment},
    types::scalars::{FreeObject, Moment},
};

/// The committed result of a changing operation: the changed entities and the events published for them.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub(crate) struct BusinessTransaction {
    /// Unique id.
    id: Uuid,
    /// The operationId.
    operation: String,
    /// Time of the transaction, in business time.
    occurred_at: Moment,
    /// Time at which it was recorded, if that was later: the clock performed late what was due at `occurredAt`.
    recorded_at: Option<Moment>,
    /// Name of the API key that called the operation, or `clock`.
    actor: String,
    /// The account it belongs to, if any.
    account: Option<Uuid>,
    /// The changed entities.
    entities: Vec<EntityChange>,
    /// The published events, in order.
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
    /// Builds an example with one entity and one event.
    pub fn of(operation: &str, entity: EntityChange, event: EventReference) -> Self {
        Self {
            id: example_id(0x100),
            operation: operation.to_owned(),
            occurred_at: example_moment(),
            recorded_at: None,
            actor: "crm".to_owned(),
            account: None,
            entities: vec![entity],
            events: vec![event],
        }
    }
}

/// A changed entity.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub(crate) struct EntityChange {
    /// Object type, such as `account` or `billCycle`. More values may be added.
    #[oai(rename = "type")]
    pub kind: String,
    /// Unique id.
    pub id: String,
    /// Version after the change, starting at 1.
    pub version: i64,
    /// `created`, `updated`, `deleted`, or `unchanged` if the operation changed nothing.
    pub action: String,
    /// State before the change, as the entity's get operation returns it. Absent if the entity was created or is unchanged.
    pub before: Option<FreeObject>,
    /// State after the change, as the entity's get operation returns it. Absent if the entity was deleted.
    pub after: Option<FreeObject>,
}

/// An event of the transaction.
#[derive(Debug, Object)]
#[oai(rename = "EventReference", rename_all = "camelCase")]
pub(crate) struct EventReference {
    /// Event id; also `Nats-Msg-Id` on the stream and `webhook-id` in webhook calls.
    pub id: Uuid,
    /// Event type, such as `account.bill_cycle_changed`. More values may be added.
    #[oai(rename = "type")]
    pub kind: String,
}
