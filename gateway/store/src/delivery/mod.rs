//! Deliveries with their lanes, recipients, lists and lookup, redrive, replays, held queues, queue progress, stream progress, health of
//! targets.

pub(crate) mod deliveries;
pub(crate) mod health;
pub mod held_queues;
pub(crate) mod lanes;
pub mod lists;
pub mod lookup;
pub mod place;
pub mod queue_progress;
pub(crate) mod recipients;
pub mod redrive;
pub mod replays;
pub mod stream_progress;
