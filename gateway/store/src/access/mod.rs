//! API keys.

pub(crate) mod api_keys;
