//! The invoice.
