//! Accounts.

use super::Facts;

pub(super) const FACTS: &[Facts] = &[
    Facts(
        "account.status_changed",
        "{{ account.name }} is now {{ account.status }}",
        "The status of account {{ account.name }} has changed to {{ account.status }}.",
        &[
            ("Account", "account.name"),
            ("Account id", "account.externalId"),
            ("Status", "account.status"),
            ("Reason", "account.statusReason"),
        ],
    ),
    Facts(
        "account.cancelled",
        "Account {{ account.name }} was cancelled",
        "The account {{ account.name }} was cancelled.",
        &[("Account", "account.name"), ("Account id", "account.externalId"), ("Reason", "account.statusReason")],
    ),
    Facts(
        "account.status_change_planned",
        "{{ account.name }} will be {{ account.plannedStatus }}",
        "The status of account {{ account.name }} will change to {{ account.plannedStatus }}.",
        &[
            ("Account", "account.name"),
            ("Account id", "account.externalId"),
            ("Status", "account.status"),
            ("Next status", "account.plannedStatus"),
            ("From", "account.plannedStatusFrom"),
        ],
    ),
    Facts(
        "account.status_change_cancelled",
        "{{ account.name }} keeps its status",
        "The planned change of status of account {{ account.name }} was cancelled.",
        &[("Account", "account.name"), ("Account id", "account.externalId"), ("Status", "account.status")],
    ),
    Facts(
        "account.bill_cycle_change_planned",
        "{{ account.name }} changes its bill cycle",
        "The account {{ account.name }} will be billed in another cycle.",
        &[("Current bill cycle", "account.billCycle"), ("Next bill cycle", "account.plannedBillCycle"), ("From", "account.plannedFrom")],
    ),
    Facts(
        "account.bill_cycle_change_cancelled",
        "{{ account.name }} keeps its bill cycle",
        "The planned change of bill cycle of account {{ account.name }} was cancelled.",
        &[("Bill cycle", "account.billCycle"), ("Billing period ends on", "account.periodEnd")],
    ),
    Facts(
        "account.bill_cycle_changed",
        "{{ account.name }} has a new bill cycle",
        "The account {{ account.name }} is now billed in another cycle.",
        &[
            ("Bill cycle", "account.billCycle"),
            ("Billing period begins on", "account.periodStart"),
            ("Billing period ends on", "account.periodEnd"),
        ],
    ),
    Facts(
        "account.billed_to_payer",
        "{{ account.name }} was billed to its payer",
        "An invoice of the account that pays for {{ account.name }} has its charges and fees.",
        &[("Account", "account.name"), ("Invoice", "payerInvoice.number"), ("Payer", "account.payer")],
    ),
    Facts(
        "account.payer_invoice_cancelled",
        "The invoice for {{ account.name }} was cancelled",
        "The invoice of the account that pays for {{ account.name }} was cancelled. Its charges and fees will be billed again.",
        &[("Account", "account.name"), ("Invoice", "payerInvoice.number"), ("Payer", "account.payer")],
    ),
    Facts(
        "account.billing_failed",
        "{{ account.name }} could not be billed",
        "The bill run could not bill the account {{ account.name }}.",
        &[
            ("Account", "account.name"),
            ("Account id", "account.externalId"),
            ("Bill run", "billRun.id"),
            ("Error", "billingError.message"),
            ("Code", "billingError.code"),
        ],
    ),
];
