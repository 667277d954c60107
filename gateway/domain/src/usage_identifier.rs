//! The usage identifier.
