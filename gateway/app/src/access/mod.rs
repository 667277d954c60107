//! Who calls: API keys.

pub(crate) mod authenticate;
