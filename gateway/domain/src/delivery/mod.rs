//! Queues, subscriptions, stream subscriptions, routing, webhook endpoints.

pub mod queue;
pub mod routing;
pub mod stream_subscription;
pub mod subscription;
pub mod webhook_endpoint;
