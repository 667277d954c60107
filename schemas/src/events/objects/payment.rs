//! Payments: their events and parameters.

use crate::events::{
    catalogue::{EventType, Key, Source},
    parameters::{Group, Parameter, p},
};

/// What its events offer of it.
pub const PARAMETERS: &[Parameter] = &[
    p("payment.id", "The payment's id", "0198c0de-0000-7000-8000-000000000022"),
    p("payment.method", "How it was paid", "card"),
    p("payment.amount", "How much was paid", "129.90"),
    p("payment.currency", "The payment's currency, ISO 4217", "EUR"),
    p("payment.status", "Whether the money came in", "processed"),
    p("payment.unallocated", "How much of it pays nothing yet", "0.00"),
    p("payment.refunded", "How much of it was paid back", "0.00"),
    p("payment.receivedAt", "Moment it was received, UTC", "2027-02-10T09:30:00Z"),
];

/// What a failed payment offers besides.
pub const ERROR_PARAMETERS: &[Parameter] = &[
    p("paymentError.code", "The processor's code", "insufficient_funds"),
    p("paymentError.message", "What the processor says", "The card was declined"),
];

const PAYMENT: Source =
    Source { kind: "payment", key: Key::Account, groups: &[Group::Core, Group::Account, Group::Company, Group::Contact, Group::Payment] };

/// Its events.
pub const EVENTS: &[EventType] = &[
    PAYMENT.object("payment.created", "Payment Created", "recordPayment"),
    PAYMENT.object("payment.updated", "Payment Updated", "createRefund"),
    PAYMENT.lifecycle("payment.processed", "Payment Processed", "recordPayment of a payment that came in"),
    PAYMENT.lifecycle("payment.failed", "Payment Processing Error", "recordPayment of a payment that failed").with(ERROR_PARAMETERS),
];
