//! SMTP accounts, notification templates, system users, suppressed addresses.

pub mod notification_template;
pub mod smtp_account;
pub mod suppressed_address;
pub mod system_user;
