//! Tenants and API keys.

pub(crate) mod api_key_actions;
pub(crate) mod api_keys;
pub(crate) mod tenants;
