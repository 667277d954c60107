//! Queues, subscriptions, stream subscriptions, webhook endpoints, deliveries, dead letters, replays, explanations, throughput.

pub(crate) mod dead_letters;
pub(crate) mod deliveries;
pub(crate) mod explanations;
pub(crate) mod queue_statistics;
pub(crate) mod queues;
pub(crate) mod replays;
pub(crate) mod selections;
pub(crate) mod stream_subscriptions;
pub(crate) mod subscription_actions;
pub(crate) mod subscriptions;
pub(crate) mod throughput;
pub(crate) mod webhook_endpoint_actions;
pub(crate) mod webhook_endpoints;
pub(crate) mod webhook_settings;
