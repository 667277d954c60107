//! What happened: events and business transactions, as they are looked up.

pub mod history;
