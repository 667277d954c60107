//! Authentication.

pub(crate) mod authenticate;
