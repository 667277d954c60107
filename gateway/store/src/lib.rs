//! The only SQL. SQLite and PostgreSQL behind one [`Store`].
//!
//! Called by `app` (decisions, reads) and `server` (relay, timers, the delivery ledger). It never calls a network other than
//! its database and never decides a billing rule. It exists so that "accepted" means one thing: one committed transaction that
//! holds the objects, the business transaction, its events and the idempotency row.
//!
//! The hot path is [`commit`]: several operations with different ordering keys share one transaction (group commit). Each is
//! decided on its own; what it wants written is collected in memory, so a refused one leaves nothing behind.

mod accounts;
mod adjustments;
mod api_keys;
mod bill_cycles;
mod bill_runs;
mod buckets;
mod chargeable_events;
pub mod commit;
mod configurations;
mod connect;
mod contacts;
mod contracts;
mod credits;
pub mod deliveries;
mod delivery_lanes;
pub mod delivery_lists;
mod entity;
mod error;
mod filter;
pub mod health;
pub mod history;
pub mod idempotency;
mod invoices;
pub mod leases;
mod master_key;
pub mod mending;
mod migration;
mod objects;
mod outbox;
mod package_subscriptions;
mod packages;
pub mod page;
mod payments;
pub mod queue_progress;
pub mod recipients;
mod references;
mod refunds;
pub mod replays;
pub mod secrets;
mod services;
mod set_aside;
mod settings;
mod sizes;
mod transaction;
mod tx;
mod usage_identifiers;
mod warehouse;
mod writes;

pub use api_keys::{AdminKey, ApiKey};
pub use bill_runs::BilledAccount;
pub use chargeable_events::ChargeSum;
pub use configurations::{Configuration, Kind as ConfigurationKind, Stored};
pub use connect::{Backend, Options, Store};
pub use error::Error;
pub use filter::Filter;
pub use master_key::MasterKey;
pub use objects::{Common, Due, Noun, ObjectRow};
pub use outbox::Unpublished;
pub use set_aside::{Redriven, SetAsideEvent};
pub use tx::{NewEvent, NewTransaction, Tx};

use billwire_schemas::clock::Timestamp;

/// Microseconds since the epoch, UTC: how moments rest in both databases.
pub(crate) fn micros(at: Timestamp) -> i64 {
    at.timestamp_micros()
}

/// The moment `us` microseconds after the epoch.
pub(crate) fn moment(us: i64) -> Timestamp {
    Timestamp::from_timestamp_micros(us).unwrap_or_default()
}
