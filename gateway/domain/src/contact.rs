//! The contact.
