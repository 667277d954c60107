//! What a person who runs a process sees of it: the state of its [`parts`], and [`metrics`].
//!
//! Metrics are global, since they are only ever added to; parts are handed around.

pub mod metrics;
pub mod parts;
