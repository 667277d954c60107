//! Billing rules: pure decisions from state, command and current time.
//!
//! Only `app` calls this crate. The code is synchronous and reads no clock, database or network: the same arguments always produce
//! the same decision, so every rule is testable with a plain unit test. One file per object type, in the same groups as `app`,
//! `api` and `store`.

pub mod access;
pub mod amounts;
pub mod attributes;
pub mod billing;
pub mod calendar;
pub mod change;
pub mod customers;
pub mod delivery;
pub mod email;
pub mod events;
pub mod history;
pub mod patch;
pub mod rejected;
pub mod time_bounds;
pub mod usage;

pub use change::{Change, Entity};
pub use rejected::{Rejected, Violation};
