//! Accounts: their events and parameters.

use crate::events::{
    catalogue::{EventType, Key, Source},
    parameters::{Group, Parameter, attributes, n, p},
};

/// The account parameters of an account's events.
pub const PARAMETERS: &[Parameter] = &[
    p("account.id", "The account's id", "0198c0de-0000-7000-8000-000000000001"),
    p("account.externalId", "The account's id in the external system, if any", "CRM-4711"),
    p("account.name", "The account's name", "Acme Telecom"),
    p("account.status", "The account's status after the event", "active"),
    p("account.statusReason", "Why the account has this status, if given", "customer_request"),
    p("account.currency", "The account's currency, ISO 4217", "EUR"),
    n("account.paymentTermDays", "The account's own payment term in days, if any", "30"),
    p("account.payer", "Id of the account that pays for this one, if any", "0198c0de-0000-7000-8000-000000000001"),
    p("account.billCycle", "Id of the account's bill cycle after the event", "0198c0de-0000-7000-8000-000000000002"),
    n("account.billingDay", "The account's own billing day, on an individual cycle", "15"),
    p("account.periodStart", "First day of the current billing period", "2027-01-15"),
    p("account.periodEnd", "First day after the current billing period", "2027-02-15"),
    p("account.plannedBillCycle", "Id of the bill cycle of the planned change", "0198c0de-0000-7000-8000-000000000003"),
    p("account.plannedFrom", "When the planned bill cycle change takes effect, UTC", "2027-02-01T00:00:00Z"),
    p("account.plannedStatus", "The account's status after the planned status change", "deactivated"),
    p("account.plannedStatusFrom", "When the planned status change takes effect, UTC", "2027-02-01T00:00:00Z"),
    attributes("account.attributes", "The account's custom attributes, if any: account.attributes.<name>"),
];

/// The parameters of an account's balance, in events of its money.
pub const BALANCE_PARAMETERS: &[Parameter] = &[
    p(
        "account.balance",
        "Amount due of the account's open invoices, less what payments and credits have left; negative in its favour. After the business transaction",
        "114.90",
    ),
    p("account.balanceDue", "Amount due of the account's open invoices, after the business transaction", "129.90"),
];

/// The company parameters of an account's events.
pub const COMPANY_PARAMETERS: &[Parameter] = &[
    p("company.name", "The company's name", "Acme Telecom GmbH"),
    p("company.address1", "Street and house number, if known", "Hauptstr. 1"),
    p("company.address2", "Second address line, if known", "3rd floor"),
    p("company.city", "City or town, if known", "Berlin"),
    p("company.region", "State, province or county, if known", "Berlin"),
    p("company.postalCode", "Postal code, if known", "10115"),
    p("company.country", "Country, ISO 3166-1 alpha-2, if known", "DE"),
    p("company.phone", "Telephone number, if known", "+49 30 1234567"),
];

const PAYER_INVOICE: &[Parameter] = &[
    p("payerInvoice.id", "Id of the payer's invoice that has items of the account", "0198c0de-0000-7000-8000-000000000020"),
    p("payerInvoice.number", "Number of the payer's invoice", "000000000001-0001"),
    p("payerInvoice.cutoff", "The invoice has the account's charges that occurred before, UTC", "2027-02-01T00:00:00Z"),
];

const ACCOUNT: Source =
    Source { kind: "account", key: Key::Account, groups: &[Group::Core, Group::Account, Group::Company, Group::Contact] };

/// The events of accounts.
pub const EVENTS: &[EventType] = &[
    ACCOUNT.object("account.created", "Account Created", "createAccount"),
    ACCOUNT.object("account.updated", "Account Updated", "any operation or due date that changes an account"),
    ACCOUNT.object("account.deleted", "Account Deleted", "deleteAccount"),
    ACCOUNT.lifecycle(
        "account.status_changed",
        "Account Status Change",
        "changeAccountStatus, cancelAccount, performAccountStatusChange, or a planned change that becomes due",
    ),
    ACCOUNT.lifecycle(
        "account.cancelled",
        "Account Cancellation",
        "cancelAccount, or another change of status to deactivated, also one that becomes due",
    ),
    ACCOUNT.lifecycle(
        "account.status_change_planned",
        "Account Status Change Planned",
        "changeAccountStatus or cancelAccount with validFrom or endOfPeriod",
    ),
    ACCOUNT.lifecycle(
        "account.status_change_cancelled",
        "Account Status Change Cancelled",
        "cancelAccountStatusChange, or a change of status that the planned one cannot follow",
    ),
    ACCOUNT.lifecycle(
        "account.bill_cycle_change_planned",
        "Account Bill Cycle Change Planned",
        "updateAccountBillCycle with a validFrom in the future",
    ),
    ACCOUNT.lifecycle(
        "account.bill_cycle_change_cancelled",
        "Account Bill Cycle Change Cancelled",
        "cancelAccountBillCycleChange, or the deactivation of the account",
    ),
    ACCOUNT.lifecycle(
        "account.bill_cycle_changed",
        "Account Bill Cycle Changed",
        "updateAccountBillCycle without a validFrom, performAccountBillCycleChange, or a planned change that becomes due",
    ),
    ACCOUNT
        .lifecycle(
            "account.billed_to_payer",
            "Account Billed to Payer",
            "an invoice with items of the account that its payer gets: by a bill run, createInvoiceOnDemand or a change of the payer",
        )
        .with(PAYER_INVOICE),
    ACCOUNT
        .lifecycle(
            "account.payer_invoice_cancelled",
            "Payer's Invoice Cancelled",
            "cancelInvoice of an invoice of the payer with items of the account, which are unbilled again",
        )
        .with(PAYER_INVOICE),
];
