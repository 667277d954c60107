//! The billing settings.
