//! The adjustment.
