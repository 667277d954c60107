//! One file per table; those of platform objects are in the file of their noun.

pub mod attempt;
pub mod audit_new;
pub mod business_transaction;
pub mod configuration;
pub mod delivery;
pub mod event;
pub mod idempotency;
pub mod ordering_key;
pub mod published;
pub mod recipient;
pub mod setting;
pub mod warehouse_batch;
pub mod warehouse_event;
