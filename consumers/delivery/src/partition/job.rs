//! A delivery in memory.

use std::sync::Arc;

use billwire_schemas::{
    clock::Timestamp,
    delivery::{Delivery, DeliveryState},
};
use tokio::time::Instant;

use crate::{engine::HeldBytes, event::Event, routing::Route};

/// One delivery in flight.
#[derive(Debug)]
pub(crate) struct Job {
    /// The delivery as it was when it came in.
    pub delivery: Delivery,
    pub event: Arc<Event>,
    /// The subscription and its queue, as configured when the delivery came in.
    pub route: Route,
    /// Why the subscription's filter could not be evaluated.
    pub fault: Option<String>,
    /// The message it came with; absent when it was read from the delivery store.
    pub message: Option<u64>,
    /// The memory that its event occupies, if it was read from the delivery store; a message holds its own.
    pub held_bytes: Option<Arc<HeldBytes>>,
    /// Since when it has been in the ready queue.
    pub since: Instant,
}

impl Job {
    /// The delivery in a new state, without an attempt.
    pub fn delivery_in(&self, state: DeliveryState, next_attempt_at: Option<Timestamp>) -> Delivery {
        Delivery { state, next_attempt_at, last: None, ..self.delivery.clone() }
    }
}
