//! The business transaction as the document tells of it. It is written in `app::record`.

use poem_openapi::Object;
use uuid::Uuid;

use crate::fields::{FreeObject, Moment};

/// The committed result of a changing operation: what was changed, and the events that tell of it.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
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

/// An entity that was changed.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub(crate) struct EntityChange {
    /// Its type, such as `account` or `billCycle`. More may come.
    #[oai(rename = "type")]
    kind: String,
    /// Its id.
    id: String,
    /// Its version after the change, from 1.
    version: i64,
    /// `created`, `updated` or `deleted`.
    action: String,
    /// Its state before; absent for a created one. It has the shape the entity's own get operation answers.
    before: Option<FreeObject>,
    /// Its state after; absent for a deleted one. It has the shape the entity's own get operation answers.
    after: Option<FreeObject>,
}

/// An event of the transaction.
#[derive(Debug, Object)]
#[oai(rename = "EventReference", rename_all = "camelCase")]
pub(crate) struct EventReference {
    /// Its id; also `Nats-Msg-Id` on the stream and `webhook-id` at receivers.
    id: Uuid,
    /// Its type, such as `account.bill_cycle_changed`. More may come.
    #[oai(rename = "type")]
    kind: String,
}
