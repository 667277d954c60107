//! The rules of billing: pure decisions from state, command and the present moment.
//!
//! Called by `app` alone. Nothing here awaits, reads a clock, a database or a network; the same arguments always give the
//! same decision, so each rule is a plain unit test. A file per noun, in the
//! same groups as in `app`, `api` and `store`.

pub mod amounts;
pub mod billing;
pub mod calendar;
pub mod change;
pub mod customers;
pub mod delivery;
pub mod email;
pub mod events;
pub mod rejected;
pub mod usage;

pub use change::{Change, Entity};
pub use rejected::{Rejected, Violation};
