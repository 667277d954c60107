//! Invoices: their events and parameters.

use crate::events::{
    catalogue::{EventType, Key, Source},
    parameters::{Group, Parameter, p},
};

/// What an invoice's events offer of it.
pub const PARAMETERS: &[Parameter] = &[
    p("invoice.id", "The invoice's id", "0198c0de-0000-7000-8000-000000000020"),
    p("invoice.number", "The invoice's number", "0198c0de-0007"),
    p("invoice.status", "Where the invoice stands after the event", "open"),
    p("invoice.total", "Sum of the invoice", "129.90"),
    p("invoice.amountPaid", "What payments have covered", "0.00"),
    p("invoice.amountDue", "What is still to be paid", "129.90"),
    p("invoice.currency", "The invoice's currency, ISO 4217", "EUR"),
    p("invoice.issuedOn", "Date the invoice was posted", "2027-02-01"),
    p("invoice.dueOn", "Last day to pay", "2027-02-15"),
    p("invoice.deliveredAt", "Moment the invoice was delivered, UTC", "2027-02-01T09:30:00Z"),
    p("invoice.overdueSince", "Moment since when the invoice is overdue, UTC", "2027-02-16T00:00:00Z"),
];

const OFFSET: &[Parameter] = &[
    p("invoice.offsetDays", "Days after the delivery that were reached", "7"),
    p("invoice.offsetTime", "Time of day, in the tenant's time zone", "09:00"),
];

const INVOICE: Source =
    Source { kind: "invoice", key: Key::Account, groups: &[Group::Core, Group::Account, Group::Company, Group::Contact, Group::Invoice] };

/// The events of invoices.
pub const EVENTS: &[EventType] = &[
    INVOICE.object("invoice.created", "Invoice Created", "a bill run, createInvoiceOnDemand"),
    INVOICE.object("invoice.updated", "Invoice Updated", "every operation and due date that changes an invoice"),
    INVOICE.lifecycle("invoice.posted", "Invoice Posted", "a bill run, createInvoiceOnDemand"),
    INVOICE.lifecycle("invoice.delivered", "Invoice Delivery", "deliverInvoice"),
    INVOICE
        .lifecycle(
            "invoice.delivery_offset_reached",
            "Invoice Delivery Date + xt",
            "the clock, x days after delivery at time t, for each (x, t) of the billing settings, while the invoice is open",
        )
        .with(OFFSET),
    INVOICE.lifecycle("invoice.overdue", "Invoice Overdue", "the clock, when the day it is due on has ended and something is due"),
    INVOICE.lifecycle("invoice.paid", "Invoice Paid", "recordPayment or createCredit that covers what was due"),
    INVOICE.lifecycle("invoice.cancelled", "Invoice Cancelled", "cancelInvoice"),
];
