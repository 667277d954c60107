//! The bill run.
