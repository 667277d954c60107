//! Bill runs: their events and parameters, and what a run tells of an account it could not bill.

use crate::events::{
    catalogue::{EventType, Key, Source},
    parameters::{Group, Parameter, n, p},
};

/// What a bill run's events offer of it.
pub const PARAMETERS: &[Parameter] = &[
    p("billRun.id", "The bill run's id", "0198c0de-0000-7000-8000-000000000021"),
    p("billRun.externalId", "The bill run's id in the outside system, where it has one", "RUN-2027-02"),
    p("billRun.billCycle", "Id of the bill cycle it bills", "0198c0de-0000-7000-8000-000000000002"),
    p("billRun.billingDate", "It bills what happened before this date, in the tenant's time zone", "2027-02-01"),
    p("billRun.status", "Where the bill run stands after the event", "completed"),
    n("billRun.accounts", "How many accounts it has dealt with", "10000"),
    n("billRun.invoices", "How many invoices it has posted", "9998"),
    n("billRun.failed", "How many accounts could not be billed", "2"),
    p("billRun.startedAt", "Moment it was started, UTC", "2027-02-01T00:30:00Z"),
    p("billRun.completedAt", "Moment it was completed, UTC", "2027-02-01T00:31:00Z"),
];

const ERROR: &[Parameter] = &[
    p("billRun.id", "The bill run's id", "0198c0de-0000-7000-8000-000000000021"),
    p("billingError.code", "Stable code of the rule that stood against it", "invoice_total_out_of_range"),
    p("billingError.message", "What was wrong", "The sum of what is unbilled leaves the range of amounts, so it cannot be billed at once."),
];

const BILL_RUN: Source = Source { kind: "billRun", key: Key::Object, groups: &[Group::Core, Group::BillRun] };
const ACCOUNT: Source =
    Source { kind: "account", key: Key::Account, groups: &[Group::Core, Group::Account, Group::Company, Group::Contact] };

/// The events of bill runs.
pub const EVENTS: &[EventType] = &[
    BILL_RUN.object("bill_run.created", "Bill Run Created", "startBillRun"),
    BILL_RUN.object("bill_run.updated", "Bill Run Updated", "a bill run that has dealt with every account"),
    BILL_RUN.lifecycle("bill_run.started", "Bill Run Started", "startBillRun"),
    BILL_RUN
        .lifecycle("bill_run.completed", "Bill Run Completed", "a bill run that has dealt with every account")
        .also(&["Bill Run Completion"]),
    ACCOUNT.lifecycle("account.billing_failed", "Account Billing Failed", "a bill run that could not bill the account").with(ERROR),
];
