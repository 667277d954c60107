//! SMTP accounts, notification templates, system users, suppressed addresses.

pub(crate) mod notification_templates;
pub(crate) mod smtp_account_tests;
pub(crate) mod smtp_accounts;
pub(crate) mod suppressed_addresses;
pub(crate) mod system_users;
pub(crate) mod template_previews;
pub(crate) mod template_versions;
