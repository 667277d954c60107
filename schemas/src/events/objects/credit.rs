//! Credits: their events and parameters.

use crate::events::{
    catalogue::{EventType, Key, Source},
    parameters::{Group, Parameter, p},
};

/// The credit parameters of a credit's events.
pub const PARAMETERS: &[Parameter] = &[
    p("credit.id", "The credit's id", "0198c0de-0000-7000-8000-000000000024"),
    p("credit.amount", "The credit's amount", "15.00"),
    p("credit.remaining", "Amount not yet applied to an invoice", "15.00"),
    p("credit.currency", "The credit's currency, ISO 4217", "EUR"),
    p("credit.reason", "Reason for the credit", "outage in January"),
];

const CREDIT: Source = Source {
    kind: "credit",
    key: Key::Account,
    groups: &[Group::Core, Group::Account, Group::Balance, Group::Company, Group::Contact, Group::Credit],
};

/// The events of credits.
pub const EVENTS: &[EventType] = &[
    CREDIT.object("credit.created", "Credit Created", "createCredit"),
    CREDIT.object("credit.updated", "Credit Updated", "an invoice that uses the credit, cancelInvoice that returns it, reverseCredit"),
    CREDIT.lifecycle("credit.reversed", "Credit Reversed", "reverseCredit"),
    CREDIT.lifecycle("credit.processed", "Credit Processed", "createCredit").also(&["Credit Note"]),
];
