//! Tenants, API keys, identity providers, roles, and what they allow.

pub mod api_key;
pub mod audit;
pub mod grant;
pub mod identity_provider;
pub mod role;
pub mod scopes;
pub mod tenant;
pub mod token;
