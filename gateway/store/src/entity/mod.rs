//! One file per table. Objects rest as JSON in `body`, beside the columns that are searched, locked or unique.

pub mod account;
pub mod api_key;
pub mod attempt;
pub mod bill_cycle;
pub mod business_transaction;
pub mod configuration;
pub mod delivery;
pub mod event;
pub mod idempotency;
pub mod ordering_key;
pub mod setting;
pub mod warehouse_batch;
pub mod warehouse_event;
