//! Refunds: their events and parameters.

use crate::events::{
    catalogue::{EventType, Key, Source},
    parameters::{Group, Parameter, p},
};

/// What its events offer of it.
pub const PARAMETERS: &[Parameter] = &[
    p("refund.id", "The refund's id", "0198c0de-0000-7000-8000-000000000023"),
    p("refund.amount", "How much was paid back", "20.00"),
    p("refund.currency", "The refund's currency, ISO 4217", "EUR"),
    p("refund.reason", "Why", "paid twice"),
];

const REFUND: Source = Source {
    kind: "refund",
    key: Key::Account,
    groups: &[Group::Core, Group::Account, Group::Company, Group::Contact, Group::Payment, Group::Refund],
};

/// Its events.
pub const EVENTS: &[EventType] =
    &[REFUND.object("refund.created", "Refund Created", "createRefund"), REFUND.lifecycle("refund.processed", "Refund", "createRefund")];
