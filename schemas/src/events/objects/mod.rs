//! One file per object type, with its events and their parameters.

pub mod account;
pub mod adjustment;
pub mod bill_cycle;
pub mod bill_run;
pub mod bucket;
pub mod chargeable_event;
pub mod contact;
pub mod contract;
pub mod credit;
pub mod invoice;
pub mod package;
pub mod package_subscription;
pub mod payment;
pub mod refund;
pub mod service;
pub mod usage_identifier;
pub mod webhook_endpoint;

use super::catalogue::EventType;

/// The events of all objects.
pub(super) const EVENTS: &[&[EventType]] = &[
    account::EVENTS,
    adjustment::EVENTS,
    bill_cycle::EVENTS,
    bill_run::EVENTS,
    bucket::EVENTS,
    chargeable_event::EVENTS,
    contact::EVENTS,
    contract::EVENTS,
    credit::EVENTS,
    invoice::EVENTS,
    package::EVENTS,
    package_subscription::EVENTS,
    payment::EVENTS,
    refund::EVENTS,
    service::EVENTS,
    usage_identifier::EVENTS,
    webhook_endpoint::EVENTS,
];
