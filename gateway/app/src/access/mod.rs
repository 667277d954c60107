//! Tenants, API keys and roles, authentication by keys, and the audit.

pub(crate) mod api_keys;
pub(crate) mod audit;
pub(crate) mod authenticate;
mod key_text;
pub(crate) mod roles;
pub(crate) mod tenants;
