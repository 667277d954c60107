//! What limits attempts: limiters, circuit breakers, the limits of targets, the retry plan.

pub mod circuit_breaker;
pub mod limiter;
pub mod limiters;
pub mod retry_plan;
pub(crate) mod target_limits;
