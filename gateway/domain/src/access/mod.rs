//! Tenants, API keys, roles, and what they allow.

pub mod api_key;
pub mod audit;
pub mod grant;
pub mod role;
pub mod scopes;
pub mod tenant;
