//! Tenants, API keys, roles and the audit.

pub(crate) mod api_key_actions;
pub(crate) mod api_keys;
pub(crate) mod audit_entries;
pub(crate) mod caller;
pub(crate) mod identity_providers;
pub(crate) mod roles;
pub(crate) mod tenant_actions;
pub(crate) mod tenants;
