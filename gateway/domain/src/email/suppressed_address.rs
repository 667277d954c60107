//! The suppression list: addresses that no longer receive e-mail.

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
    /// Object id.
    pub id: Uuid,
    /// Object version, always 1.
    pub version: i64,
    /// The address in lower case; unique within the tenant.
    pub address: String,
    /// Reason: the server's response, or a person's text.
    pub reason: String,
    /// The server's reply code, if a server refused the address.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub status: Option<u16>,
    /// The refused delivery, if there was one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub delivery_id: Option<DeliveryId>,
    /// When the address was suppressed.
    pub created_at: Timestamp,
}

/// `suppressAddress`, by a person or after a server's refusal.
#[derive(Debug, Clone)]
pub struct Suppress {
    /// The new entry's id.
    pub id: Uuid,
    /// See [`SuppressedAddress::address`], as written in the request.
    pub address: String,
    /// See [`SuppressedAddress::reason`].
    pub reason: String,
    /// See [`SuppressedAddress::status`].
    pub status: Option<u16>,
    /// See [`SuppressedAddress::delivery_id`].
    pub delivery_id: Option<DeliveryId>,
}

/// The form in which addresses are compared. Mail systems ignore case, although RFC 5321 makes the local part case-sensitive.
pub fn compared(address: &str) -> String {
    address.to_lowercase()
}

/// The ordering key of an entry: each address has its own, so that addresses are added beside each other and beside changes of configuration.
pub fn ordering_key(address: &str) -> OrderingKey {
    Uuid::new_v5(&Uuid::NAMESPACE_URL, format!("urn:billwire:suppressed-address:{}", compared(address)).as_bytes()).into()
}

/// Adds an address to the list.
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
        ordering_key(&self.address)
    }
    fn version(&self) -> i64 {
        self.version
    }
    fn created_at(&self) -> Timestamp {
        self.created_at
    }
}
