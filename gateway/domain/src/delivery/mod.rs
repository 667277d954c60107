//! Queues, subscriptions, routing, webhook endpoints.

pub mod queue;
pub mod routing;
pub mod subscription;
pub mod webhook_endpoint;
