//! Queues, subscriptions, stream subscriptions, webhook endpoints, calculations, redrive, replays, explanations, the tail of the stream, throughput.

pub(crate) mod calculations;
pub(crate) mod explain;
pub(crate) mod queues;
pub(crate) mod redrive;
pub(crate) mod replays;
pub(crate) mod signing;
pub(crate) mod stream_subscriptions;
pub(crate) mod subscriptions;
pub(crate) mod tail;
pub(crate) mod throughput;
pub(crate) mod webhook_endpoints;
