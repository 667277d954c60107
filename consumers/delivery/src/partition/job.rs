//! A delivery in memory.

use std::sync::Arc;

use billwire_schemas::{
    clock::Timestamp,
    delivery::{Delivery, DeliveryState},
};
use tokio::time::Instant;

use crate::event::{Event, Subscription};

/// One delivery in flight.
#[derive(Debug)]
pub(crate) struct Job {
    /// The delivery as it was when it came in.
    pub delivery: Delivery,
    pub event: Arc<Event>,
    pub subscription: Arc<Subscription>,
    /// Why the subscription's filter could not be evaluated.
    pub fault: Option<String>,
    /// The message it came with; absent when it was read from the delivery store.
    pub message: Option<u64>,
    /// Since when it has been in the ready queue.
    pub since: Instant,
}

impl Job {
    /// The delivery in a new state, without an attempt.
    pub fn delivery_in(&self, state: DeliveryState, next_attempt_at: Option<Timestamp>) -> Delivery {
        Delivery { state, next_attempt_at, last: None, ..self.delivery.clone() }
    }
}
