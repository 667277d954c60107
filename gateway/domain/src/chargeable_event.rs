//! The chargeable event.
