//! Bill cycle changes of an account: planned, cancelled, performed.

use billwire_app::{CancelAccountBillCycleChange, PerformAccountBillCycleChange, UpdateAccountBillCycle};
use billwire_schemas::refusal::Code;
use chrono::{TimeZone, Utc};
use poem_openapi::{Object, OpenApi, param::Path, types::Example};
use uuid::Uuid;

use crate::{
    customers::accounts::{Period, Tag},
    http::{
        problem::Problem,
        request_context::Context,
        responses::Done,
        validated_body::{Validate, Validated},
    },
    openapi::operation::{Operation, change, updated},
    types::scalars::{BillingDay, Moment, Reference},
};

pub(crate) struct AccountBillCycle;

/// Registry entries of the operations below.
pub(crate) const OPERATIONS: &[Operation] = &[
    change(
        "updateAccountBillCycle",
        "accounts:write",
        &[
            Code::AccountNotFound,
            Code::AccountDeactivated,
            Code::BillCycleUnknown,
            Code::BillingDayRequired,
            Code::BillingDayNotAllowed,
            Code::BillingDayOutOfRange,
            Code::ValidFromInPast,
            Code::TimeOutOfRange,
        ],
        updated("account", "Account", &["account.updated", "account.bill_cycle_change_planned"]),
    ),
    change(
        "cancelAccountBillCycleChange",
        "accounts:write",
        &[Code::AccountNotFound, Code::AccountDeactivated, Code::NoBillCycleChangeInProgress],
        updated("account", "Account", &["account.updated", "account.bill_cycle_change_cancelled"]),
    ),
    change(
        "performAccountBillCycleChange",
        "accounts:write",
        &[Code::AccountNotFound, Code::AccountDeactivated, Code::NoBillCycleChangeInProgress],
        updated("account", "Account", &["account.updated", "account.bill_cycle_changed"]),
    ),
];

/// The current bill cycle of an account.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub(crate) struct CurrentBillCycle {
    /// Id of the bill cycle.
    pub bill_cycle_id: Uuid,
    /// The account's own billing day, for an individual cycle.
    pub billing_day: Option<u32>,
    /// The oldest billing period that no bill run has billed. It is the current one as long as runs are not late.
    pub period: Period,
    /// The shortened, prorated period between the current period and the first full period of a new cycle.
    pub short_period: Option<Period>,
}

/// A planned change of bill cycle.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub(crate) struct PlannedBillCycleChange {
    /// Id of the new bill cycle.
    pub bill_cycle_id: Uuid,
    /// The account's own billing day, for an individual cycle.
    pub billing_day: Option<u32>,
    /// Time at which the change takes effect.
    pub valid_from: Moment,
}

/// A bill cycle change.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub(crate) struct BillCycleUpdate {
    /// Id or external id of the new bill cycle.
    bill_cycle: Reference,
    /// The account's own billing day; required for an individual bill cycle, otherwise not allowed.
    billing_day: Option<BillingDay>,
    /// Time at which the change takes effect; must be in the future, at most two hundred years ahead. Absent: immediately.
    valid_from: Option<Moment>,
}

impl Validate for BillCycleUpdate {}

impl Example for BillCycleUpdate {
    fn example() -> Self {
        let valid_from = Utc.with_ymd_and_hms(2035, 6, 1, 0, 0, 0).single().map(Moment);
        Self { bill_cycle: "MONTHLY-15".into(), billing_day: None, valid_from }
    }
}

/// An empty object: the operation has no parameters besides its path.
#[derive(Debug, Object)]
pub(crate) struct NoMembers {}

impl Validate for NoMembers {}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Accounts")]
impl AccountBillCycle {
    /// Update an account's bill cycle
    ///
    /// Without `validFrom`, the account changes to the cycle immediately, and its current period ends today. With `validFrom`, the
    /// change is planned: the current period ends unchanged, a shortened, prorated period leads up to the first full period of the
    /// new cycle, and the gateway's clock performs the change when it is due. A second update replaces the planned change.
    #[oai(path = "/accounts/:account/bill-cycle", method = "post", operation_id = "updateAccountBillCycle")]
    async fn update(
        &self,
        context: Context,
        /// Id or external id of the account.
        account: Path<Reference>,
        input: Validated<BillCycleUpdate>,
    ) -> Result<Done, Problem> {
        let use_case = UpdateAccountBillCycle {
            bill_cycle: input.body.bill_cycle.0,
            billing_day: input.body.billing_day.map(|day| day.0),
            valid_from: input.body.valid_from.map(|moment| moment.0),
        };
        Ok(Done(context.execute_on(&account.0, input.canonical.as_deref(), use_case).await?))
    }

    /// Cancel a planned bill cycle change
    ///
    /// The account stays in its current cycle. The body is optional.
    #[oai(path = "/accounts/:account/bill-cycle-change/cancel", method = "post", operation_id = "cancelAccountBillCycleChange")]
    async fn cancel(
        &self,
        context: Context,
        /// Id or external id of the account.
        account: Path<Reference>,
        input: Validated<Option<NoMembers>>,
    ) -> Result<Done, Problem> {
        Ok(Done(context.execute_on(&account.0, input.canonical.as_deref(), CancelAccountBillCycleChange).await?))
    }

    /// Perform a planned bill cycle change now
    ///
    /// The change takes effect immediately instead of at its `validFrom`, and can no longer be cancelled. The body is optional.
    #[oai(path = "/accounts/:account/bill-cycle-change/perform", method = "post", operation_id = "performAccountBillCycleChange")]
    async fn perform(
        &self,
        context: Context,
        /// Id or external id of the account.
        account: Path<Reference>,
        input: Validated<Option<NoMembers>>,
    ) -> Result<Done, Problem> {
        Ok(Done(context.execute_on(&account.0, input.canonical.as_deref(), PerformAccountBillCycleChange).await?))
    }
}
