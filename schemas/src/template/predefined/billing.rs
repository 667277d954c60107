//! Bill runs, invoices, payments, refunds and credits.

use super::Facts;

pub(super) const FACTS: &[Facts] = &[
    Facts(
        "bill_run.upcoming",
        "{{ billCycle.name }} is billed on {{ billCycle.billingDate }}",
        "The accounts of {{ billCycle.name }} are billed in {{ billCycle.daysUntilBilling }} days.",
        &[("Bill cycle", "billCycle.name"), ("Billing date", "billCycle.billingDate")],
    ),
    Facts(
        "bill_run.started",
        "A bill run of {{ billRun.billCycle }} has started",
        "The bill run of {{ billRun.billCycle }} has started.",
        &[
            ("Bill cycle", "billRun.billCycle"),
            ("Billing date", "billRun.billingDate"),
            ("Accounts", "billRun.accounts"),
            ("Started", "billRun.startedAt"),
        ],
    ),
    Facts(
        "bill_run.completed",
        "The bill run of {{ billRun.billCycle }} is complete",
        "The bill run of {{ billRun.billCycle }} is complete.",
        &[
            ("Bill cycle", "billRun.billCycle"),
            ("Billing date", "billRun.billingDate"),
            ("Accounts", "billRun.accounts"),
            ("Invoices", "billRun.invoices"),
            ("Accounts that failed", "billRun.failed"),
            ("Completed", "billRun.completedAt"),
        ],
    ),
    Facts(
        "invoice.posted",
        "Invoice {{ invoice.number }} for {{ invoice.total|money(invoice.currency) }}",
        "An invoice was posted for {{ account.name }}.",
        INVOICE,
    ),
    Facts(
        "invoice.delivered",
        "Invoice {{ invoice.number }} was delivered",
        "The invoice {{ invoice.number }} of {{ account.name }} was delivered.",
        INVOICE,
    ),
    Facts(
        "invoice.delivery_offset_reached",
        "Invoice {{ invoice.number }}: {{ invoice.offsetDays }} days since delivery",
        "The invoice {{ invoice.number }} of {{ account.name }} was delivered {{ invoice.offsetDays }} days ago and is open.",
        INVOICE,
    ),
    Facts(
        "invoice.due_soon",
        "Invoice {{ invoice.number }} is due on {{ invoice.dueOn }}",
        "The invoice {{ invoice.number }} of {{ account.name }} is due in {{ invoice.daysUntilDue }} days.",
        INVOICE,
    ),
    Facts(
        "invoice.overdue",
        "Invoice {{ invoice.number }} is overdue: {{ invoice.amountDue|money(invoice.currency) }}",
        "The invoice {{ invoice.number }} of {{ account.name }} was not paid in time.",
        INVOICE,
    ),
    Facts(
        "invoice.paid",
        "Invoice {{ invoice.number }} is paid",
        "The invoice {{ invoice.number }} of {{ account.name }} is paid in full. Thank you.",
        INVOICE,
    ),
    Facts(
        "invoice.cancelled",
        "Invoice {{ invoice.number }} was cancelled",
        "The invoice {{ invoice.number }} of {{ account.name }} was cancelled; no payment is due.",
        INVOICE,
    ),
    Facts(
        "payment.processed",
        "Payment of {{ payment.amount|money(payment.currency) }} received",
        "A payment for {{ account.name }} was received. Thank you.",
        &[
            ("Account", "account.name"),
            ("Amount", "payment.amount"),
            ("Method", "payment.method"),
            ("Received", "payment.receivedAt"),
            ("Not yet allocated", "payment.unallocated"),
        ],
    ),
    Facts(
        "invoice.reopened",
        "Invoice {{ invoice.number }} is open again",
        "A payment of the invoice {{ invoice.number }} of {{ account.name }} was taken back, so {{ invoice.amountDue|money(invoice.currency) }} are due.",
        INVOICE,
    ),
    Facts(
        "payment.cancelled",
        "Payment of {{ payment.amount|money(payment.currency) }} was cancelled",
        "A payment for {{ account.name }} bounced or was charged back.",
        &[("Account", "account.name"), ("Amount", "payment.amount"), ("Method", "payment.method"), ("Received", "payment.receivedAt")],
    ),
    Facts(
        "credit.reversed",
        "A credit of {{ credit.amount|money(credit.currency) }} was reversed",
        "What was left of a credit of the account {{ account.name }} was taken back.",
        &[("Account", "account.name"), ("Credit", "credit.amount"), ("Reason", "credit.reason")],
    ),
    Facts(
        "payment.failed",
        "Payment of {{ payment.amount|money(payment.currency) }} failed",
        "A payment for {{ account.name }} could not be processed.",
        &[
            ("Account", "account.name"),
            ("Amount", "payment.amount"),
            ("Method", "payment.method"),
            ("Error", "paymentError.message"),
            ("Code", "paymentError.code"),
        ],
    ),
    Facts("refund.processed", "{{ refund.amount|money(refund.currency) }} refunded", "A refund was paid to {{ account.name }}.", REFUND),
    Facts(
        "credit.processed",
        "A credit of {{ credit.amount|money(credit.currency) }}",
        "The account {{ account.name }} received a credit.",
        &[("Account", "account.name"), ("Credit", "credit.amount"), ("Not yet used", "credit.remaining"), ("Reason", "credit.reason")],
    ),
];

const INVOICE: &[(&str, &str)] = &[
    ("Account", "account.name"),
    ("Invoice", "invoice.number"),
    ("Total", "invoice.total"),
    ("Paid", "invoice.amountPaid"),
    ("Amount due", "invoice.amountDue"),
    ("Issued on", "invoice.issuedOn"),
    ("Due on", "invoice.dueOn"),
];

const REFUND: &[(&str, &str)] =
    &[("Account", "account.name"), ("Refund", "refund.amount"), ("Reason", "refund.reason"), ("Method of the payment", "payment.method")];
