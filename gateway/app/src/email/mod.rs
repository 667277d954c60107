//! SMTP accounts, notification templates, system users, suppressed addresses.

pub(crate) mod notification_templates;
pub(crate) mod rendering;
pub(crate) mod smtp_accounts;
pub(crate) mod suppressed_addresses;
pub(crate) mod system_users;
