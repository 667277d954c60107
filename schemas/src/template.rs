//! Notification templates.
