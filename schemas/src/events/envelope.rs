//! The message format: a structured CloudEvents 1.0 JSON object, on the stream and in webhooks (DESIGN section 4).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, value::RawValue};
use uuid::Uuid;

use crate::{
    clock::Timestamp,
    ids::{EventId, OrderingKey, Slot, TenantId, TransactionId},
};

/// Name-value pairs of an event. Values are JSON scalars.
pub type Parameters = BTreeMap<String, Value>;

/// What happened to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Action {
    /// The object was created.
    Created,
    /// The object was changed.
    Updated,
    /// The object was deleted.
    Deleted,
    /// The object was asked to be as it was. Only in business transactions: there is no event.
    Unchanged,
}

/// An object, its version, and what happened to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectRef {
    /// camelCase object type, e.g. `account`, `billCycle`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The object's id.
    pub id: String,
    /// The object's version after the change, starting at 1.
    pub version: i64,
    /// What happened.
    pub action: Action,
}

/// The `data` member of an event.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Data {
    /// The object the event is about.
    pub object: ObjectRef,
    /// The state before; absent for a created object.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub before: Option<Box<RawValue>>,
    /// The state after; absent for a deleted object.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub after: Option<Box<RawValue>>,
    /// Contextual name-value pairs.
    pub parameters: Parameters,
}

/// An event as it is on the stream.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Envelope {
    /// Always `1.0` (CloudEvents 1.0 section 3.1).
    pub specversion: String,
    /// The event's id; unchanged by retries, replays and re-publishing.
    pub id: EventId,
    /// `/tenants/<tenant>`.
    pub source: String,
    /// `<object>.<what happened>`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The object's id.
    pub subject: String,
    /// When the event occurred.
    pub time: Timestamp,
    /// When it was recorded, if that was later: the clock performed late what was due at `time` (CloudEvents recorded time extension).
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub recordedtime: Option<Timestamp>,
    /// Always `application/json`.
    pub datacontenttype: String,
    /// The URL of the event's JSON Schema: the address of the gateway that recorded it, and [`schema_path`]. Events of version 0.2 have a URN.
    pub dataschema: String,
    /// The ordering key (CloudEvents partitioning extension).
    pub partitionkey: OrderingKey,
    /// Position within the ordering key, without gaps, from 1; zero-padded so that it sorts as text (CloudEvents sequence extension).
    pub sequence: Sequence,
    /// The business transaction that caused the event.
    pub transactionid: TransactionId,
    /// The number of the event within its business transaction, from 1. Events of version 0.2 lack this member and the next three.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub transactionindex: Option<u32>,
    /// How many events the business transaction has.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub transactionsize: Option<u32>,
    /// The operation that caused the event, such as `updateAccountBillCycle`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub operation: Option<String>,
    /// Who called the operation.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub actor: Option<String>,
    /// The event from which this event was derived.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub causationid: Option<EventId>,
    /// Number of derivations between this event and one caused by an operation; absent for zero.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub causationdepth: Option<u32>,
    /// The caller's trace, with the event as the parent of what receivers do (CloudEvents distributed tracing extension).
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub traceparent: Option<String>,
    /// The payload.
    pub data: Data,
}

impl Envelope {
    /// What all events of a business transaction have in common; the members of a single event are empty.
    pub fn of_transaction(id: TransactionId, operation: &str, tenant: &TenantId, actor: &str, key: &OrderingKey, time: Timestamp) -> Self {
        let object = ObjectRef { kind: String::new(), id: String::new(), version: 0, action: Action::Created };
        Self {
            specversion: "1.0".to_owned(),
            id: EventId(Uuid::nil()),
            source: format!("/tenants/{tenant}"),
            kind: String::new(),
            subject: String::new(),
            time,
            recordedtime: None,
            datacontenttype: "application/json".to_owned(),
            dataschema: String::new(),
            partitionkey: key.clone(),
            sequence: Sequence(0),
            transactionid: id,
            transactionindex: None,
            transactionsize: None,
            operation: Some(operation.to_owned()),
            actor: Some(actor.to_owned()),
            causationid: None,
            causationdepth: None,
            traceparent: None,
            data: Data { object, before: None, after: None, parameters: Parameters::new() },
        }
    }

    /// The tenant in `source`.
    pub fn tenant(&self) -> Option<TenantId> {
        self.source.strip_prefix("/tenants/")?.parse().ok()
    }
}

/// A position within an ordering key, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Sequence(pub i64);

impl Serialize for Sequence {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&format!("{:020}", self.0))
    }
}

impl<'de> Deserialize<'de> for Sequence {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(d)?;
        text.parse().map(Self).map_err(serde::de::Error::custom)
    }
}

/// Where a gateway serves the JSON Schema of a version of an event type's messages, below its address. Built-in types have version 1.
pub fn schema_path(event_type: &str, version: i64) -> String {
    format!("/schemas/{event_type}/v{version}.json")
}

/// The subject of an event: `billing.<tenant>.<object>.<event>.<slot>.<ordering key>`.
pub fn subject(tenant: &TenantId, event_type: &str, key: &OrderingKey) -> String {
    format!("billing.{tenant}.{event_type}.{}.{key}", Slot::of(tenant, key))
}

/// The subjects of all events of a tenant.
pub fn subjects_of(tenant: &TenantId) -> String {
    format!("billing.{tenant}.>")
}

/// The subject that version 0.2 gave an event: the same without the slot. A stream may still hold such messages.
pub fn subject_without_slot(tenant: &TenantId, event_type: &str, key: &OrderingKey) -> String {
    format!("billing.{tenant}.{event_type}.{key}")
}

/// Tenant, event type and ordering key in a subject, with or without a slot, found without reading the message.
pub fn parts_of_subject(subject: &str) -> Option<(&str, &str, &str)> {
    let rest = subject.strip_prefix("billing.")?;
    let (tenant, rest) = rest.split_once('.')?;
    let (rest, key) = rest.rsplit_once('.')?;
    let event_type = match rest.split('.').count() {
        2 => rest,
        3 => rest.rsplit_once('.')?.0,
        _ => return None,
    };
    Some((tenant, event_type, key))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::fresh;

    #[test]
    fn a_subject_tells_tenant_type_and_key_with_and_without_a_slot() {
        let (tenant, key) = (TenantId::default_tenant(), OrderingKey::from(fresh()));
        let parts = Some(("default", "account.bill_cycle_changed", key.as_str()));
        let with = subject(&tenant, "account.bill_cycle_changed", &key);
        assert_eq!(with.split('.').count(), 6);
        assert_eq!(parts_of_subject(&with), parts);
        assert_eq!(parts_of_subject(&subject_without_slot(&tenant, "account.bill_cycle_changed", &key)), parts);
        for other in ["orders.x", "billing.default.mallory", "billing.default.a.b.00.c.d"] {
            assert_eq!(parts_of_subject(other), None, "{other}");
        }
    }

    #[test]
    fn sequences_sort_as_text_as_they_do_as_numbers() {
        let text = |n| serde_json::to_string(&Sequence(n)).unwrap_or_default();
        assert!(text(9) < text(10));
        assert_eq!(serde_json::from_str::<Sequence>(&text(42)).ok(), Some(Sequence(42)));
    }
}
