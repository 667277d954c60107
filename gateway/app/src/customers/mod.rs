//! Accounts with their status and bill cycle, contacts, bill cycles, packages, package subscriptions, services, billing settings.

pub(crate) mod account_ending;
pub(crate) mod account_payer;
pub(crate) mod bill_cycle_change;
pub(crate) mod billing_settings;
pub(crate) mod change_account_status;
pub(crate) mod contacts;
pub(crate) mod create_account;
pub(crate) mod create_bill_cycle;
pub(crate) mod package_subscriptions;
pub(crate) mod packages;
pub(crate) mod planned_status;
pub(crate) mod services;
pub(crate) mod update_account;
pub(crate) mod update_bill_cycle;
