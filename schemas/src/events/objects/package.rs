//! The package: its events and parameters.

use crate::events::{catalogue::EventType, parameters::Parameter};

/// What its events offer of it.
pub const PARAMETERS: &[Parameter] = &[];

/// Its events.
pub const EVENTS: &[EventType] = &[];
