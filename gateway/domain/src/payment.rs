//! The payment.
