//! Adjustments: their events and parameters.

use crate::events::{
    catalogue::{EventType, Key, Source},
    parameters::{Group, Parameter, b, p},
};

/// The adjustment parameters of an adjustment's events.
pub const PARAMETERS: &[Parameter] = &[
    p("adjustment.id", "The adjustment's id", "0198c0de-0000-7000-8000-000000000031"),
    p("adjustment.chargeType", "CREDIT: the account pays less; DEBIT: the account pays more", "CREDIT"),
    p("adjustment.amount", "The adjustment's amount", "0.25"),
    p("adjustment.currency", "The adjustment's currency, ISO 4217", "EUR"),
    b("adjustment.taxIncluded", "Whether the amount includes tax", "false"),
    p("adjustment.reason", "Reason for the adjustment", "goodwill"),
    p("adjustment.user", "The person who requested the adjustment, if given", "csr-17"),
    p("adjustment.state", "applied: billed with its charge; pending: goes on the next invoice; billed: on an invoice", "applied"),
];

const ADJUSTMENT: Source = Source {
    kind: "adjustment",
    key: Key::Account,
    groups: &[
        Group::Core,
        Group::Account,
        Group::Company,
        Group::Contact,
        Group::Package,
        Group::Service,
        Group::ChargeableEvent,
        Group::Adjustment,
    ],
};

/// The events of adjustments.
pub const EVENTS: &[EventType] = &[
    ADJUSTMENT.object("adjustment.created", "Adjustment Created", "adjustChargeableEvent"),
    ADJUSTMENT.object("adjustment.updated", "Adjustment Updated", "a bill run that bills the adjustment, or cancelInvoice"),
];
