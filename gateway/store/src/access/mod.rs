//! What rests of the texts of API keys, and the issuers of tokens.

pub(crate) mod credentials;
mod former_keys;
pub(crate) mod identity_providers;
