//! How much may be under way where: limiters, circuit breakers, the limits of targets, the plan of retries.

pub mod circuit_breaker;
pub mod limiters;
pub mod retry_plan;
pub(crate) mod target_limits;
