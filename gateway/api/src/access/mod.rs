//! Tenants, API keys and roles.

pub(crate) mod api_key_actions;
pub(crate) mod api_keys;
pub(crate) mod roles;
pub(crate) mod tenants;
