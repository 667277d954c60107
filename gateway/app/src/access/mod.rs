//! Tenants, API keys and roles, and authentication by keys.

pub(crate) mod api_keys;
pub(crate) mod authenticate;
mod key_text;
pub(crate) mod roles;
pub(crate) mod tenants;
