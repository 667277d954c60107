//! Payments: their events and parameters.

use crate::events::{
    catalogue::{EventType, Key, Source},
    parameters::{Group, Parameter, p},
};

/// The payment parameters of a payment's events.
pub const PARAMETERS: &[Parameter] = &[
    p("payment.id", "The payment's id", "0198c0de-0000-7000-8000-000000000022"),
    p("payment.method", "Payment method", "card"),
    p("payment.amount", "The payment's amount", "129.90"),
    p("payment.currency", "The payment's currency, ISO 4217", "EUR"),
    p("payment.status", "The payment's status", "processed"),
    p("payment.unallocated", "Amount not allocated to an invoice", "0.00"),
    p("payment.refunded", "Amount refunded", "0.00"),
    p("payment.receivedAt", "When the payment was received, UTC", "2027-02-10T09:30:00Z"),
];

/// Additional parameters of a failed payment.
pub const ERROR_PARAMETERS: &[Parameter] = &[
    p("paymentError.code", "The payment processor's error code", "insufficient_funds"),
    p("paymentError.message", "The payment processor's error message", "The card was declined"),
];

const PAYMENT: Source = Source {
    kind: "payment",
    key: Key::Account,
    groups: &[Group::Core, Group::Account, Group::Balance, Group::Company, Group::Contact, Group::Payment],
};

/// The events of payments.
pub const EVENTS: &[EventType] = &[
    PAYMENT.object("payment.created", "Payment Created", "recordPayment"),
    PAYMENT.object(
        "payment.updated",
        "Payment Updated",
        "createRefund, allocatePayment, deallocatePayment, cancelPayment, and an invoice that is paid from what is left of the payment",
    ),
    PAYMENT.lifecycle("payment.cancelled", "Payment Cancelled", "cancelPayment").also(&["Chargeback"]),
    PAYMENT.lifecycle("payment.processed", "Payment Processed", "recordPayment of a processed payment"),
    PAYMENT.lifecycle("payment.failed", "Payment Processing Error", "recordPayment of a failed payment").with(ERROR_PARAMETERS),
];
