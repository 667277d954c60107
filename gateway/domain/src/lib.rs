//! The rules of billing: pure decisions from state, command and the present moment.
//!
//! Called by `app` alone. Nothing here awaits, reads a clock, a database or a network; the same arguments always give the
//! same decision, so each rule is a plain unit test. A file per noun.

pub mod account;
pub mod adjustment;
pub mod amounts;
pub mod bill_cycle;
pub mod bill_run;
pub mod billing_settings;
pub mod bucket;
pub mod calendar;
pub mod catalogue;
pub mod change;
pub mod chargeable_event;
pub mod compatible;
pub mod contact;
pub mod contract;
pub mod credit;
pub mod custom_event_type;
pub mod data_schema;
pub mod data_source;
pub mod invoice;
pub mod invoicing;
pub mod notification_template;
pub mod package;
pub mod package_subscription;
pub mod payment;
pub mod queue;
pub mod refund;
pub mod rejected;
pub mod routing;
pub mod sample;
pub mod service;
pub mod smtp_account;
pub mod subscription;
pub mod suppressed_address;
pub mod system_user;
pub mod usage_identifier;
pub mod webhook_endpoint;

pub use change::{Change, Entity};
pub use rejected::{Kind, Rejected, Violation};
