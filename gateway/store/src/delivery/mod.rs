//! Deliveries with their lanes, recipients and lists, redrive, replays, queue progress, health of targets.

pub mod deliveries;
pub mod health;
pub(crate) mod lanes;
pub mod lists;
pub mod queue_progress;
pub mod recipients;
pub mod redrive;
pub mod replays;
