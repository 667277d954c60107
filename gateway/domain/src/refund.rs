//! The refund.
