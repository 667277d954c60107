//! The only SQL. SQLite and PostgreSQL behind one [`Store`].
//!
//! Called by `app` (decisions, reads) and `server` (relay, timers, the delivery store). It never calls a network other than
//! its database and never decides a billing rule. It exists so that "accepted" means one thing: one committed transaction that
//! holds the objects, the business transaction, its events and the idempotency row.
//!
//! The hot path is [`commit`]: several operations with different ordering keys share one transaction (group commit). Each is
//! decided on its own; its writes are collected in memory, so a refused one leaves nothing behind.

mod access;
mod arrays;
mod attributes;
pub mod audit;
mod batching;
mod billing;
mod by_revision;
mod checkpoint;
pub mod commit;
mod configurations;
mod connect;
mod customers;
mod deadlines;
pub mod delivery;
mod due;
mod entity;
mod error;
pub mod events;
mod filter;
pub mod idempotency;
mod inner;
mod leases;
mod master_key;
mod migration;
mod objects;
mod outbox;
pub mod page;
pub mod published;
mod reader;
pub mod recovery;
mod references;
pub mod restored;
pub mod retention;
mod row_security;
pub mod secrets;
mod set_aside;
mod settings;
mod storage;
mod throughput;
mod transaction;
mod tx;
mod usage;
mod wake;
mod warehouse;
mod writes;

pub use access::{
    credentials::{ADMIN_KEY, Credential, CredentialHash},
    identity_providers::RegisteredProvider,
    tenant_deletion::{Part, TenantDeletion},
};
pub use billing::bill_runs::BilledAccount;
pub use by_revision::ByRevision;
pub use configurations::{Configuration, Kind as ConfigurationKind, Stored};
pub use connect::Options;
pub use deadlines::Deadlines;
pub use due::Due;
pub use error::Error;
pub use filter::Filter;
pub use inner::{Backend, Store};
pub use master_key::MasterKey;
pub use objects::{BaseColumns, ObjectRow, Persisted};
pub use outbox::Unpublished;
pub use row_security::within;
pub use set_aside::{Redriven, SetAsideEvent};
pub use throughput::Throughput;
pub use tx::{NewEvent, NewTransaction, Tx};

use billwire_schemas::clock::Timestamp;

/// Microseconds since the epoch, UTC: how both databases store moments.
pub(crate) fn micros(at: Timestamp) -> i64 {
    at.timestamp_micros()
}

/// The moment `us` microseconds after the epoch.
pub(crate) fn moment(us: i64) -> Timestamp {
    Timestamp::from_timestamp_micros(us).unwrap_or_default()
}
