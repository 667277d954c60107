//! What all partitions of a process share.

use std::{sync::Arc, time::Duration};

use billwire_bus::Bus;
use billwire_schemas::clock::Clock;
use tokio::sync::watch;

use crate::{
    channel::Channels,
    limits::{limiters::Limiters, retry_plan::RetryPlan},
    store::DeliveryStore,
};

/// The limits of the engine.
#[derive(Debug, Clone)]
pub struct Options {
    /// When a failed delivery is attempted again.
    pub retry_plan: RetryPlan,
    /// Messages, and deliveries, in memory per partition. Default 4096.
    pub in_flight_max: usize,
    /// Deliveries of one slow receiver in memory; more wait in the delivery store. Default 512.
    pub ready_max: usize,
    /// Concurrent attempts per subscription. Default 32.
    pub per_subscription_max: usize,
    /// Concurrent attempts per partition. Default 1024.
    pub attempts_max: usize,
    /// How long an attempt may take, whatever the channel. Default 60 s.
    pub attempt_timeout: Duration,
    /// How long a message may stay unacknowledged before the stream delivers it again. Default 60 s.
    pub ack_wait: Duration,
    /// How long a lease lasts without a renewal. Default 5 s.
    pub lease: Duration,
    /// For how long a receiver may fail before it is disabled. Default 120 h.
    pub give_up_after: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            retry_plan: RetryPlan::default(),
            in_flight_max: 4096,
            ready_max: 512,
            per_subscription_max: 32,
            attempts_max: 1024,
            attempt_timeout: Duration::from_secs(60),
            ack_wait: Duration::from_secs(60),
            lease: Duration::from_secs(5),
            give_up_after: Duration::from_secs(120 * 3600),
        }
    }
}

/// What every partition uses.
pub struct Engine {
    /// The stream.
    pub bus: Bus,
    /// The delivery store.
    pub delivery_store: Arc<dyn DeliveryStore>,
    /// The registered channels.
    pub channels: Channels,
    /// The limiters of all targets.
    pub limiters: Limiters,
    /// The business clock, which waits follow.
    pub clock: Arc<dyn Clock>,
    /// The limits.
    pub options: Options,
    /// Changes when this process changes the configuration.
    pub changed: watch::Receiver<u64>,
}
