//! Tenants, API keys, and authentication by them.

pub(crate) mod api_keys;
pub(crate) mod authenticate;
mod key_text;
pub(crate) mod tenants;
