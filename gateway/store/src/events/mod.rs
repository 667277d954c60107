//! Events and business transactions, as the API reads them.

pub mod history;
