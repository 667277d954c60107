//! The event catalogue, custom event types and their schemas, data sources.

pub mod catalogue;
pub mod custom_event_type;
pub mod data_schema;
pub mod data_source;
pub mod retention;
pub mod sample;
pub mod schema_compatibility;
pub mod stream_settings;
