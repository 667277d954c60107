//! What rests of the texts of API keys.

pub(crate) mod credentials;
mod former_keys;
