//! Event types and their schemas, submitted events, data sources, and event parameters.

pub(crate) mod catalogue;
pub(crate) mod data_schemas;
pub(crate) mod data_source_parameters;
pub(crate) mod data_sources;
pub(crate) mod event_parameters;
pub(crate) mod history;
pub(crate) mod register_event_type;
pub(crate) mod retention;
pub(crate) mod set_aside;
pub(crate) mod stream_settings;
pub(crate) mod submit_events;
