//! Accounts with their status and bill cycle, contacts, bill cycles, packages, package subscriptions, services, billing settings.

pub(crate) mod account_bill_cycle;
pub(crate) mod account_history;
pub(crate) mod account_payer;
pub(crate) mod account_status;
pub(crate) mod accounts;
pub(crate) mod bill_cycles;
pub(crate) mod billing_settings;
pub(crate) mod companies;
pub(crate) mod contacts;
pub(crate) mod package_subscriptions;
pub(crate) mod packages;
pub(crate) mod planned_status;
pub(crate) mod planned_status_changes;
pub(crate) mod services;
