//! Tenants, API keys and what they may do.

pub mod api_key;
pub mod scopes;
pub mod tenant;
