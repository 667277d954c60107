//! The package subscription.
