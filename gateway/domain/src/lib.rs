//! The rules of billing: pure decisions from state, command and the present moment.
//!
//! Called by `app` alone. Nothing here awaits, reads a clock, a database or a network; the same arguments always give the
//! same decision, so each rule is a plain unit test. A file per noun.

pub mod account;
pub mod bill_cycle;
pub mod calendar;
pub mod change;
pub mod notification_template;
pub mod queue;
pub mod rejected;
pub mod smtp_account;
pub mod subscription;
pub mod webhook_endpoint;

pub use change::{Change, Entity};
pub use rejected::{Kind, Rejected, Violation};
