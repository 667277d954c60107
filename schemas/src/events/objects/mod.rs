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

use super::{catalogue::EventType, parameters::Parameter};

/// A type of object.
pub(super) struct ObjectType {
    /// Its name, camelCase.
    pub kind: &'static str,
    /// Its events.
    pub events: &'static [EventType],
    /// The parameters that an object of this type offers about itself through relations.
    pub parameters: &'static [Parameter],
}

/// All object types. Objects of the gateway itself have no relations.
pub(super) const OBJECTS: &[ObjectType] = &[
    ObjectType { kind: "account", events: account::EVENTS, parameters: account::PARAMETERS },
    ObjectType { kind: "adjustment", events: adjustment::EVENTS, parameters: adjustment::PARAMETERS },
    ObjectType { kind: "billCycle", events: bill_cycle::EVENTS, parameters: bill_cycle::PARAMETERS },
    ObjectType { kind: "billRun", events: bill_run::EVENTS, parameters: bill_run::PARAMETERS },
    ObjectType { kind: "bucket", events: bucket::EVENTS, parameters: bucket::PARAMETERS },
    ObjectType { kind: "chargeableEvent", events: chargeable_event::EVENTS, parameters: chargeable_event::PARAMETERS },
    ObjectType { kind: "contact", events: contact::EVENTS, parameters: contact::PARAMETERS },
    ObjectType { kind: "contract", events: contract::EVENTS, parameters: contract::PARAMETERS },
    ObjectType { kind: "credit", events: credit::EVENTS, parameters: credit::PARAMETERS },
    ObjectType { kind: "invoice", events: invoice::EVENTS, parameters: invoice::PARAMETERS },
    ObjectType { kind: "package", events: package::EVENTS, parameters: package::CATALOGUE_PARAMETERS },
    ObjectType { kind: "packageSubscription", events: package_subscription::EVENTS, parameters: package::SUBSCRIPTION_PARAMETERS },
    ObjectType { kind: "payment", events: payment::EVENTS, parameters: payment::PARAMETERS },
    ObjectType { kind: "refund", events: refund::EVENTS, parameters: refund::PARAMETERS },
    ObjectType { kind: "service", events: service::EVENTS, parameters: service::PARAMETERS },
    ObjectType { kind: "usageIdentifier", events: usage_identifier::EVENTS, parameters: usage_identifier::PARAMETERS },
    ObjectType { kind: "webhookEndpoint", events: webhook_endpoint::EVENTS, parameters: &[] },
];
