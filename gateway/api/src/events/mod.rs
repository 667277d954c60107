//! Events, event types, business transactions, data sources.

pub(crate) mod business_transactions;
pub(crate) mod data_sources;
pub(crate) mod event;
pub(crate) mod event_schemas;
pub(crate) mod event_type;
pub(crate) mod event_types;
pub(crate) mod retention_settings;
pub(crate) mod set_aside_events;
pub(crate) mod stream_settings;
