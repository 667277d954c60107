//! Tenants, API keys, identity providers and roles, authentication by keys and tokens, and the audit.

pub(crate) mod api_keys;
pub(crate) mod audit;
pub(crate) mod authenticate;
pub(crate) mod identity_providers;
pub(crate) mod issuer_keys;
pub(crate) mod jws;
mod key_text;
pub(crate) mod people;
pub(crate) mod roles;
pub(crate) mod tenants;
