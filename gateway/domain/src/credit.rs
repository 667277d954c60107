//! The credit.
