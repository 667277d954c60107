//! API keys.

pub(crate) mod api_key_actions;
pub(crate) mod api_keys;
