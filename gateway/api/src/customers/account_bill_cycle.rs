//! An account's change of bill cycle: planned, cancelled, performed.

use billwire_app::{CancelAccountBillCycleChange, PerformAccountBillCycleChange, UpdateAccountBillCycle};
use billwire_schemas::refusal::Code;
use chrono::{TimeZone, Utc};
use poem_openapi::{Object, OpenApi, param::Path, types::Example};

use crate::{
    customers::accounts::Tag,
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

/// A bill cycle to go to.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub(crate) struct BillCycleUpdate {
    /// Id or external id of the bill cycle.
    bill_cycle: Reference,
    /// The account's own billing day; required by an individual bill cycle, else not allowed.
    billing_day: Option<BillingDay>,
    /// When it takes effect; it must lie in the future. Absent: at once.
    valid_from: Option<Moment>,
}

impl Validate for BillCycleUpdate {}

impl Example for BillCycleUpdate {
    fn example() -> Self {
        let valid_from = Utc.with_ymd_and_hms(2035, 6, 1, 0, 0, 0).single().map(Moment);
        Self { bill_cycle: "MONTHLY-15".into(), billing_day: None, valid_from }
    }
}

/// Nothing: this operation needs no more than its address.
#[derive(Debug, Object)]
pub(crate) struct NoMembers {}

impl Validate for NoMembers {}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Accounts")]
impl AccountBillCycle {
    /// Update an account's bill cycle
    ///
    /// Without `validFrom` the account goes to the cycle at once: the running period is cut short today. With `validFrom` the
    /// change is planned: the running period ends untouched, a shortened, prorated one leads to the first full period of the
    /// new cycle, and the gateway's clock performs the change when it is due. A second update replaces the planned one.
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
    /// The account stays in its cycle. The body is optional.
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
    /// It takes effect at once instead of at its `validFrom`, and can then not be cancelled any more. The body is optional.
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
