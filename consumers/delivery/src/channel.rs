//! What a channel is to the engine: something that tries once and tells how it went.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
pub use billwire_schemas::delivery::{Recipient, RecipientState, Report};
use billwire_schemas::ids::DeliveryId;

use crate::event::{Event, Subscription};

/// One try to be made.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// The delivery this try belongs to.
    pub delivery: DeliveryId,
    /// Which try this is, from 1.
    pub number: u32,
    /// Tries made before that count no more: a person had it tried anew after them.
    pub forgiven: u32,
    /// What is delivered.
    pub event: Arc<Event>,
    /// To whom.
    pub subscription: Arc<Subscription>,
}

/// Whom a failed try tells of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureScope {
    /// This delivery alone; the target is well.
    Delivery,
    /// The target: it does not answer, or not as it should.
    Target,
    /// The target, which wants to be left alone for a while: nothing more is sent to it now.
    Overload,
}

/// What became of a try. An unhappy receiver is an outcome, not an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The receiver took it.
    Delivered(Report),
    /// The receiver did not take it; another try may succeed. `after`: no earlier than this (Retry-After).
    Retry {
        /// How it went.
        report: Report,
        /// The receiver asked to wait at least this long.
        after: Option<Duration>,
        /// Whom it tells of.
        failure_scope: FailureScope,
    },
    /// No further try can succeed (the endpoint is gone, the template fails).
    GiveUp(Report),
    /// The receiver wants no calls any more. The delivery waits with all the others until a person calls it again.
    Gone(Report),
    /// *We* could not try (our database was away): no attempt is spent, it is tried again soon.
    NotAttempted(String),
}

/// A way to reach a receiver. Implementations bound their own time per try.
#[async_trait]
pub trait Channel: Send + Sync + 'static {
    /// Tries once.
    async fn attempt(&self, attempt: &Attempt) -> Outcome;
}

/// Loads many events at once, exactly once each: the warehouse.
#[async_trait]
pub trait BulkSink: Send + Sync + 'static {
    /// Loads `events`; when it returns `Ok`, each of them stands in the sink exactly once, whatever was loaded before.
    ///
    /// # Errors
    /// Text for the log; the same events will be offered again.
    async fn load(&self, events: &[Event]) -> Result<(), String>;
}
