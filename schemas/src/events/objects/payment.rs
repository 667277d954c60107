//! The payment: its events and parameters.

use crate::events::{catalogue::EventType, parameters::Parameter};

/// What its events offer of it.
pub const PARAMETERS: &[Parameter] = &[];

/// What a failed payment offers besides.
pub const ERROR_PARAMETERS: &[Parameter] = &[];

/// Its events.
pub const EVENTS: &[EventType] = &[];
