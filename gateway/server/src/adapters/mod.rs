//! The traits of app, delivery engine and channels, implemented over the store and the clients of the channels.

pub(crate) mod channels;
pub(crate) mod delivery_store;
pub(crate) mod endpoint_alerts;
pub(crate) mod internal_actions;
pub(crate) mod issuers;
pub(crate) mod routing_config;
pub(crate) mod sandbox;
pub(crate) mod smtp;
pub(crate) mod stream_consumers;
pub(crate) mod stream_records;
pub(crate) mod stream_tail;
pub(crate) mod webhook;
