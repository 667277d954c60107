//! The message format: a structured CloudEvents 1.0 JSON object, on the stream and in webhooks (DESIGN section 4).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, value::RawValue};

use crate::{
    clock::Timestamp,
    ids::{EventId, OrderingKey, TenantId, TransactionId},
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
    /// Always `application/json`.
    pub datacontenttype: String,
    /// The URN of the event's JSON Schema; see [`dataschema`].
    pub dataschema: String,
    /// The ordering key (CloudEvents partitioning extension).
    pub partitionkey: OrderingKey,
    /// Position within the ordering key, without gaps, from 1; zero-padded so that it sorts as text (CloudEvents sequence extension).
    pub sequence: Sequence,
    /// The business transaction that caused the event.
    pub transactionid: TransactionId,
    /// The event from which this event was derived.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub causationid: Option<EventId>,
    /// Number of derivations between this event and one caused by an operation; absent for zero.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub causationdepth: Option<u32>,
    /// The payload.
    pub data: Data,
}

impl Envelope {
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

/// The `dataschema` of an event type. It is a URN because CloudEvents requires an absolute URI and the gateway's address differs
/// between installations. `urn:billwire:<type>:v1` is served at `/schemas/events/<type>/v1.json`.
pub fn dataschema(event_type: &str) -> String {
    format!("urn:billwire:{event_type}:v1")
}

/// The `dataschema` of a version of a custom event type, whose name starts with `custom.`.
pub fn custom_dataschema(event_type: &str, version: i64) -> String {
    format!("urn:billwire:{event_type}:v{version}")
}

/// The subject of an event: `billing.<tenant>.<object>.<event>.<ordering key>`.
pub fn subject(tenant: &TenantId, event_type: &str, key: &OrderingKey) -> String {
    format!("billing.{tenant}.{event_type}.{key}")
}

/// The event type in a subject, found without reading the message.
pub fn type_of_subject(subject: &str) -> Option<&str> {
    let rest = subject.strip_prefix("billing.")?;
    let (_, rest) = rest.split_once('.')?;
    let (event_type, _) = rest.rsplit_once('.')?;
    Some(event_type)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::fresh;

    #[test]
    fn the_type_can_be_read_off_the_subject() {
        let subject = subject(&TenantId::default_tenant(), "account.bill_cycle_changed", &fresh().into());
        assert_eq!(type_of_subject(&subject), Some("account.bill_cycle_changed"));
        assert_eq!(type_of_subject("orders.x"), None);
    }

    #[test]
    fn sequences_sort_as_text_as_they_do_as_numbers() {
        let text = |n| serde_json::to_string(&Sequence(n)).unwrap_or_default();
        assert!(text(9) < text(10));
        assert_eq!(serde_json::from_str::<Sequence>(&text(42)).ok(), Some(Sequence(42)));
    }
}
