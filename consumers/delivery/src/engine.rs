//! What all partitions of a process share.

use std::{
    collections::HashSet,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use billwire_bus::Bus;
use billwire_schemas::{clock::Clock, ids::Slot};
use tokio::sync::watch;

use crate::{
    channel::Channels,
    limits::{limiters::Limiters, retry_plan::RetryPlan},
    routing::Routing,
    shared_store::SharedStore,
    store::DeliveryStore,
};

/// The limits of the engine.
#[derive(Debug, Clone)]
pub struct Options {
    /// When a failed delivery is attempted again.
    pub retry_plan: RetryPlan,
    /// Bytes of events in memory per process; more wait on the stream or in the delivery store. Default 64 MiB.
    pub in_flight_bytes: usize,
    /// Messages, and deliveries, in memory per slot. Default 2048.
    pub in_flight_max: usize,
    /// Deliveries of one slow receiver in memory per slot; more wait in the delivery store. Default 512.
    pub ready_max: usize,
    /// Concurrent attempts per subscription and slot. Default 32.
    pub per_subscription_max: usize,
    /// Concurrent attempts per slot. Default 512.
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
            in_flight_bytes: 64 * 1024 * 1024,
            in_flight_max: 2048,
            ready_max: 512,
            per_subscription_max: 32,
            attempts_max: 512,
            attempt_timeout: Duration::from_secs(60),
            ack_wait: Duration::from_secs(60),
            lease: Duration::from_secs(5),
            give_up_after: Duration::from_secs(120 * 3600),
        }
    }
}

/// The bytes of events in memory.
#[derive(Debug)]
pub struct InFlightBytes {
    used: AtomicUsize,
    max: usize,
}

/// What an event costs in memory besides its bytes.
const EVENT_OVERHEAD: usize = 1024;

impl InFlightBytes {
    /// Up to `max` bytes.
    pub fn new(max: usize) -> Arc<Self> {
        Arc::new(Self { used: AtomicUsize::new(0), max })
    }

    /// Whether more may be read into memory.
    pub fn has_room(&self) -> bool {
        self.used.load(Ordering::Relaxed) < self.max
    }

    /// Counts an event with a body of `bytes` bytes until the guard is dropped. It is counted even without room: it is in memory already.
    pub fn hold(self: &Arc<Self>, bytes: usize) -> HeldBytes {
        let bytes = bytes + EVENT_OVERHEAD;
        self.used.fetch_add(bytes, Ordering::Relaxed);
        HeldBytes { of: self.clone(), bytes }
    }
}

/// See [`InFlightBytes::hold`].
#[derive(Debug)]
pub struct HeldBytes {
    of: Arc<InFlightBytes>,
    bytes: usize,
}

impl Drop for HeldBytes {
    fn drop(&mut self) {
        self.of.used.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// What every partition uses.
pub struct Engine {
    /// The stream.
    pub bus: Bus,
    /// The delivery store.
    pub delivery_store: Arc<dyn DeliveryStore>,
    /// The same for what several slots ask or record at the same time.
    pub shared_store: SharedStore,
    /// The registered channels.
    pub channels: Channels,
    /// The limiters of all targets.
    pub limiters: Limiters,
    /// The bytes of events in memory.
    pub in_flight_bytes: Arc<InFlightBytes>,
    /// The business clock, which waits follow.
    pub clock: Arc<dyn Clock>,
    /// The limits.
    pub options: Options,
    /// Changes when this process changes the configuration.
    pub changed: watch::Receiver<u64>,
    /// Changes when this process stores deliveries, or makes some due, other than by the engine.
    pub enqueued: watch::Receiver<u64>,
    /// The slots with events on the stream that they have not settled, as of late.
    pub unsettled: watch::Sender<HashSet<Slot>>,
    /// The changes of the configuration that the limiters have adopted.
    pub adopted: Mutex<Option<i64>>,
}

impl Engine {
    /// The routing of the configuration as it is now. The limiters adopt it.
    ///
    /// # Errors
    /// When the delivery store fails; text for the log.
    pub async fn routing(&self) -> Result<Arc<Routing>, String> {
        let routing = self.delivery_store.routing().await?;
        let mut adopted = self.adopted.lock().unwrap_or_else(PoisonError::into_inner);
        // Another partition may have adopted a later one.
        if adopted.is_none_or(|adopted| adopted < routing.revision.changes) {
            let tenants = || routing.tenants.values();
            let targets = tenants().flat_map(|tenant| &tenant.targets);
            self.limiters.configure(targets, tenants().map(|tenant| &tenant.limits), self.clock.now());
            *adopted = Some(routing.revision.changes);
        }
        Ok(routing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_counted_until_the_last_guard_is_dropped() {
        let bytes = InFlightBytes::new(10_000);
        let first = bytes.hold(9_000);
        assert!(!bytes.has_room(), "the body and what an event costs besides");
        let second = bytes.hold(1);
        drop(first);
        assert!(bytes.has_room());
        drop(second);
        assert_eq!(bytes.used.load(Ordering::Relaxed), 0);
    }
}
