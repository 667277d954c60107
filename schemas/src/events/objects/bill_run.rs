//! Bill runs: their events and parameters, and the event of an account that a run could not bill.

use crate::events::{
    catalogue::{EventType, Key, Source},
    parameters::{Group, Parameter, n, p},
};

/// The bill run parameters of a bill run's events.
pub const PARAMETERS: &[Parameter] = &[
    p("billRun.id", "The bill run's id", "0198c0de-0000-7000-8000-000000000021"),
    p("billRun.externalId", "The bill run's id in the external system, if any", "RUN-2027-02"),
    p("billRun.billCycle", "Id of the billed cycle", "0198c0de-0000-7000-8000-000000000002"),
    p("billRun.billingDate", "The run bills charges from before this date, in the tenant's time zone", "2027-02-01"),
    p("billRun.status", "The bill run's status after the event", "completed"),
    n("billRun.accounts", "Number of accounts processed", "10000"),
    n("billRun.invoices", "Number of invoices posted", "9998"),
    n("billRun.failed", "Number of accounts that could not be billed", "2"),
    p("billRun.startedAt", "When the run was started, UTC", "2027-02-01T00:30:00Z"),
    p("billRun.completedAt", "When the run was completed, UTC", "2027-02-01T00:31:00Z"),
];

const ERROR: &[Parameter] = &[
    p("billRun.id", "The bill run's id", "0198c0de-0000-7000-8000-000000000021"),
    p("billingError.code", "Stable code of the refusal", "invoice_total_out_of_range"),
    p(
        "billingError.message",
        "Why the account could not be billed",
        "The sum of what is unbilled leaves the range of amounts, so it cannot be billed at once.",
    ),
];

const UPCOMING: &[Parameter] = &[
    p("billCycle.billingDate", "The billing date that is announced, in the tenant's time zone", "2027-02-15"),
    n("billCycle.daysUntilBilling", "Days until the billing date", "3"),
];

const BILL_CYCLE: Source = Source { kind: "billCycle", key: Key::Object, groups: &[Group::Core, Group::BillCycle] };
const BILL_RUN: Source = Source { kind: "billRun", key: Key::Object, groups: &[Group::Core, Group::BillRun] };
const ACCOUNT: Source =
    Source { kind: "account", key: Key::Account, groups: &[Group::Core, Group::Account, Group::Company, Group::Contact] };

const STARTED: &str = "startBillRun, or the clock on a billing date of a bill cycle with autoRun";

/// The events of bill runs.
pub const EVENTS: &[EventType] = &[
    BILL_RUN.object("bill_run.created", "Bill Run Created", STARTED),
    BILL_RUN.object("bill_run.updated", "Bill Run Updated", "a bill run that has processed all accounts"),
    BILL_CYCLE
        .lifecycle(
            "bill_run.upcoming",
            "Bill Run Upcoming",
            "the clock, announceDays of the bill cycle before each of its billing dates, at the start of the day",
        )
        .with(UPCOMING),
    BILL_RUN.lifecycle("bill_run.started", "Bill Run Started", STARTED),
    BILL_RUN
        .lifecycle("bill_run.completed", "Bill Run Completed", "a bill run that has processed all accounts")
        .also(&["Bill Run Completion"]),
    ACCOUNT.lifecycle("account.billing_failed", "Account Billing Failed", "a bill run that could not bill the account").with(ERROR),
];
