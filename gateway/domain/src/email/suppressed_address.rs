//! The suppression list: addresses that nothing is sent to any more.

use billwire_schemas::{
    clock::Timestamp,
    ids::{DeliveryId, OrderingKey},
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::change::{Change, Entity};

/// An address on the suppression list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SuppressedAddress {
    /// Its id.
    pub id: Uuid,
    /// Its version, always 1.
    pub version: i64,
    /// The address, in small letters; unique in the tenant.
    pub address: String,
    /// Why: what its server said, or what a person wrote.
    pub reason: String,
    /// The server's code, where a server refused it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub status: Option<u16>,
    /// The delivery that was refused, where it was one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub delivery_id: Option<DeliveryId>,
    /// Since when.
    pub created_at: Timestamp,
}

/// `suppressAddress`, by a person or after a refusal.
#[derive(Debug, Clone)]
pub struct Suppress {
    /// The new entry's id.
    pub id: Uuid,
    /// See [`SuppressedAddress::address`], as it was written.
    pub address: String,
    /// See [`SuppressedAddress::reason`].
    pub reason: String,
    /// See [`SuppressedAddress::status`].
    pub status: Option<u16>,
    /// See [`SuppressedAddress::delivery_id`].
    pub delivery_id: Option<DeliveryId>,
}

/// How an address is compared: mail systems do not tell capital letters from small ones, whatever RFC 5321 grants them.
pub fn compared(address: &str) -> String {
    address.to_lowercase()
}

/// Puts an address on the list.
pub fn suppress(command: Suppress, now: Timestamp) -> Change<SuppressedAddress> {
    let Suppress { id, address, reason, status, delivery_id } = command;
    Change::created(SuppressedAddress { id, version: 1, address: compared(&address), reason, status, delivery_id, created_at: now })
}

impl Entity for SuppressedAddress {
    const TYPE: &'static str = "suppressedAddress";
    const EVENT_OBJECT: Option<&'static str> = None;

    fn id(&self) -> Uuid {
        self.id
    }
    fn ordering_key(&self) -> OrderingKey {
        OrderingKey::CONFIGURATION
    }
    fn version(&self) -> i64 {
        self.version
    }
    fn created_at(&self) -> Timestamp {
        self.created_at
    }
}
