//! Refunds: their events and parameters.

use crate::events::{
    catalogue::{EventType, Key, Source},
    parameters::{Group, Parameter, p},
};

/// The refund parameters of a refund's events.
pub const PARAMETERS: &[Parameter] = &[
    p("refund.id", "The refund's id", "0198c0de-0000-7000-8000-000000000023"),
    p("refund.amount", "The refund's amount", "20.00"),
    p("refund.currency", "The refund's currency, ISO 4217", "EUR"),
    p("refund.reason", "Reason for the refund", "paid twice"),
];

const REFUND: Source = Source {
    kind: "refund",
    key: Key::Account,
    groups: &[Group::Core, Group::Account, Group::Balance, Group::Company, Group::Contact, Group::Payment, Group::Refund],
};

/// The events of refunds.
pub const EVENTS: &[EventType] =
    &[REFUND.object("refund.created", "Refund Created", "createRefund"), REFUND.lifecycle("refund.processed", "Refund", "createRefund")];
