//! One file per table. Objects rest as JSON in `body`, beside the columns that are searched, locked or unique.

pub mod account;
pub mod bill_cycle;
pub mod configuration;
pub mod business_transaction;
pub mod event;
pub mod ordering_key;
pub mod idempotency;
pub mod delivery;
pub mod attempt;
pub mod api_key;
pub mod setting;
pub mod warehouse_event;
pub mod warehouse_batch;
