//! Accounts, contacts, bill cycles, packages, package subscriptions, services.

pub(crate) mod accounts;
pub(crate) mod bill_cycles;
pub(crate) mod contacts;
pub(crate) mod package_subscriptions;
pub(crate) mod packages;
pub(crate) mod services;
