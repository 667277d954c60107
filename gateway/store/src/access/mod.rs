//! What rests of the texts of API keys, the issuers of tokens, and the deletion of tenants.

pub(crate) mod credentials;
mod former_keys;
pub(crate) mod identity_providers;
pub(crate) mod tenant_deletion;
