//! Credits: their events and parameters.

use crate::events::{
    catalogue::{EventType, Key, Source},
    parameters::{Group, Parameter, p},
};

/// What its events offer of it.
pub const PARAMETERS: &[Parameter] = &[
    p("credit.id", "The credit's id", "0198c0de-0000-7000-8000-000000000024"),
    p("credit.amount", "How much", "15.00"),
    p("credit.remaining", "How much of it no invoice has taken yet", "15.00"),
    p("credit.currency", "The credit's currency, ISO 4217", "EUR"),
    p("credit.reason", "Why", "outage in January"),
];

const CREDIT: Source =
    Source { kind: "credit", key: Key::Account, groups: &[Group::Core, Group::Account, Group::Company, Group::Contact, Group::Credit] };

/// Its events.
pub const EVENTS: &[EventType] = &[
    CREDIT.object("credit.created", "Credit Created", "createCredit"),
    CREDIT.object("credit.updated", "Credit Updated", "an invoice that takes it, cancelInvoice that gives it back"),
    CREDIT.lifecycle("credit.processed", "Credit Processed", "createCredit").also(&["Credit Note"]),
];
