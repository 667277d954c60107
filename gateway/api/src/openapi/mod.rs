//! The published documents, generated from the registry, and the routes that serve them.

pub(crate) mod asyncapi;
pub(crate) mod asyncapi_page;
pub(crate) mod console;
pub(crate) mod document;
pub(crate) mod operation;
pub(crate) mod operation_spec;
pub(crate) mod schema;
pub(crate) mod sign_in;
pub(crate) mod states;
pub(crate) mod static_routes;
pub(crate) mod whole_transactions;
