//! Invoices: their events and parameters.

use crate::events::{
    catalogue::{EventType, Key, Source},
    parameters::{Group, Parameter, attributes, n, p},
};

/// The invoice parameters of an invoice's events.
pub const PARAMETERS: &[Parameter] = &[
    p("invoice.id", "The invoice's id", "0198c0de-0000-7000-8000-000000000020"),
    p("invoice.number", "The invoice's number", "0198c0de-0007"),
    p("invoice.status", "The invoice's status after the event", "open"),
    p("invoice.total", "Total of the invoice", "129.90"),
    p("invoice.amountPaid", "Amount covered by payments", "0.00"),
    p("invoice.amountDue", "Amount still due", "129.90"),
    p("invoice.currency", "The invoice's currency, ISO 4217", "EUR"),
    p("invoice.issuedOn", "Posting date", "2027-02-01"),
    p("invoice.dueOn", "Last day for payment", "2027-02-15"),
    p("invoice.deliveredAt", "When the invoice was delivered, UTC", "2027-02-01T09:30:00Z"),
    p("invoice.overdueSince", "When the invoice became overdue, UTC", "2027-02-16T00:00:00Z"),
    attributes("invoice.attributes", "The invoice's custom attributes, if any: invoice.attributes.<name>"),
];

const OFFSET: &[Parameter] =
    &[n("invoice.offsetDays", "Days since the delivery", "7"), p("invoice.offsetTime", "Time of day, in the tenant's time zone", "09:00")];

const REMINDER: &[Parameter] = &[
    n("invoice.daysUntilDue", "Days until the last day for payment", "3"),
    p("invoice.reminderTime", "Time of day, in the tenant's time zone", "09:00"),
];

const INVOICE: Source = Source {
    kind: "invoice",
    key: Key::Account,
    groups: &[Group::Core, Group::Account, Group::Balance, Group::Company, Group::Contact, Group::Invoice],
};

/// The events of invoices.
pub const EVENTS: &[EventType] = &[
    INVOICE.object("invoice.created", "Invoice Created", "a bill run, createInvoiceOnDemand"),
    INVOICE.object("invoice.updated", "Invoice Updated", "any operation or due date that changes an invoice"),
    INVOICE.lifecycle("invoice.posted", "Invoice Posted", "a bill run, createInvoiceOnDemand"),
    INVOICE.lifecycle("invoice.delivered", "Invoice Delivery", "deliverInvoice"),
    INVOICE
        .lifecycle(
            "invoice.delivery_offset_reached",
            "Invoice Delivery Date + xt",
            "the clock, x days after delivery at time t, for each (x, t) of the billing settings, while the invoice is open",
        )
        .with(OFFSET),
    INVOICE
        .lifecycle(
            "invoice.due_soon",
            "Invoice Due Soon",
            "the clock, x days before the due date at time t, for each reminder (x, t) of the billing settings, while the invoice is open",
        )
        .with(REMINDER),
    INVOICE.lifecycle("invoice.overdue", "Invoice Overdue", "the clock, at the end of the due date, if an amount is due"),
    INVOICE.lifecycle(
        "invoice.paid",
        "Invoice Paid",
        "recordPayment, allocatePayment or createCredit that covers the amount due; a bill run or createInvoiceOnDemand, if nothing is due",
    ),
    INVOICE.lifecycle(
        "invoice.reopened",
        "Invoice Reopened",
        "deallocatePayment, cancelPayment or createRefund that takes money from a paid invoice",
    ),
    INVOICE.lifecycle("invoice.cancelled", "Invoice Cancelled", "cancelInvoice"),
];
