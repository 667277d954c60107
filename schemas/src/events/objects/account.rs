//! Accounts: their events and parameters.

use crate::events::{
    catalogue::{EventType, Key, Source},
    parameters::{Group, Parameter, n, p},
};

/// What an account's events offer of the account.
pub const PARAMETERS: &[Parameter] = &[
    p("account.id", "The account's id", "0198c0de-0000-7000-8000-000000000001"),
    p("account.externalId", "The account's id in the outside system, where it has one", "CRM-4711"),
    p("account.name", "The account's name", "Acme Telecom"),
    p("account.status", "The account's status after the event", "active"),
    p("account.statusReason", "Why the account has this status, where a reason was given", "customer_request"),
    p("account.currency", "The account's currency, ISO 4217", "EUR"),
    n("account.paymentTermDays", "The account's own payment term in days, where it has one", "30"),
    p("account.billCycle", "Id of the account's bill cycle after the event", "0198c0de-0000-7000-8000-000000000002"),
    n("account.billingDay", "Day of the month, week or year the account is billed on", "15"),
    p("account.periodStart", "First day of the running billing period", "2027-01-15"),
    p("account.periodEnd", "First day after the running billing period", "2027-02-15"),
    p("account.plannedBillCycle", "Id of the bill cycle a planned change leads to", "0198c0de-0000-7000-8000-000000000003"),
    p("account.plannedFrom", "Moment the planned bill cycle change takes effect, UTC", "2027-02-01T00:00:00Z"),
];

/// What an account's events offer of the company behind it.
pub const COMPANY_PARAMETERS: &[Parameter] = &[
    p("company.name", "The company's name", "Acme Telecom GmbH"),
    p("company.address1", "Street and number, where known", "Hauptstr. 1"),
    p("company.address2", "More of the address, where known", "3rd floor"),
    p("company.city", "Town, where known", "Berlin"),
    p("company.region", "State, province or county, where known", "Berlin"),
    p("company.postalCode", "Postal code, where known", "10115"),
    p("company.country", "Country, ISO 3166-1 alpha-2, where known", "DE"),
    p("company.phone", "Telephone number, where known", "+49 30 1234567"),
];

const ACCOUNT: Source =
    Source { kind: "account", key: Key::Account, groups: &[Group::Core, Group::Account, Group::Company, Group::Contact] };

/// The events of accounts.
pub const EVENTS: &[EventType] = &[
    ACCOUNT.object("account.created", "Account Created", "createAccount"),
    ACCOUNT.object("account.updated", "Account Updated", "every operation and due date that changes an account"),
    ACCOUNT.object("account.deleted", "Account Deleted", "deleteAccount"),
    ACCOUNT.lifecycle("account.status_changed", "Account Status Change", "changeAccountStatus, cancelAccount"),
    ACCOUNT.lifecycle("account.cancelled", "Account Cancellation", "cancelAccount, changeAccountStatus to deactivated"),
    ACCOUNT.lifecycle(
        "account.bill_cycle_change_planned",
        "Account Bill Cycle Change Planned",
        "updateAccountBillCycle with a validFrom in the future",
    ),
    ACCOUNT.lifecycle("account.bill_cycle_change_cancelled", "Account Bill Cycle Change Cancelled", "cancelAccountBillCycleChange"),
    ACCOUNT.lifecycle(
        "account.bill_cycle_changed",
        "Account Bill Cycle Changed",
        "updateAccountBillCycle at once, performAccountBillCycleChange, or a planned change that falls due",
    ),
];
