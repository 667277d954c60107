//! Accounts, contacts, bill cycles, packages, package subscriptions, services, billing settings.

pub mod account;
pub mod bill_cycle;
pub mod billing_settings;
pub mod contact;
pub mod package;
pub mod package_subscription;
pub mod planned_status;
pub mod service;
