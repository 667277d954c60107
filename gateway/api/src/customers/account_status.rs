//! Status changes and cancellation of an account, with or without its services: at once, or planned, cancelled, performed.

use billwire_app::{
    CancelAccount, CancelAccountStatusChange, ChangeAccountStatus, PerformAccountStatusChange,
    domain::customers::account::{self, Status},
};
use billwire_schemas::refusal::Code;
use poem_openapi::{Object, OpenApi, param::Path, types::Example};

use crate::{
    customers::{account_bill_cycle::NoMembers, accounts::Tag, planned_status::start},
    http::{
        problem::Problem,
        request_context::Context,
        responses::Done,
        validated_body::{Validate, Validated},
    },
    openapi::operation::{Operation, change, updated},
    types::scalars::{Moment, NextStatus, Reason, Reference},
};

pub(crate) struct AccountStatus;

/// What changes and ends with an account.
const OWNED: &[&str] = &["contract", "packageSubscription", "service", "usageIdentifier"];

/// Registry entries of the operations below.
pub(crate) const OPERATIONS: &[Operation] = &[
    change(
        "changeAccountStatus",
        "accounts:write",
        &[
            Code::AccountNotFound,
            Code::AccountDeactivated,
            Code::StatusUnchanged,
            Code::StatusTransitionNotAllowed,
            Code::AccountPaysForOthers,
            Code::TooManyServices,
            Code::ValidFromInPast,
            Code::TimeOutOfRange,
            Code::ValidFromAmbiguous,
        ],
        updated("account", "Account", &["account.updated", "account.status_changed"]).and(OWNED),
    ),
    change(
        "cancelAccount",
        "accounts:write",
        &[
            Code::AccountNotFound,
            Code::AccountDeactivated,
            Code::AccountPaysForOthers,
            Code::TooManyServices,
            Code::ValidFromInPast,
            Code::TimeOutOfRange,
            Code::ValidFromAmbiguous,
        ],
        updated("account", "Account", &["account.updated", "account.status_changed", "account.cancelled"]).and(OWNED),
    ),
    change(
        "cancelAccountStatusChange",
        "accounts:write",
        &[Code::AccountNotFound, Code::AccountDeactivated, Code::NoStatusChangeInProgress],
        updated("account", "Account", &["account.updated", "account.status_change_cancelled"]),
    ),
    change(
        "performAccountStatusChange",
        "accounts:write",
        &[
            Code::AccountNotFound,
            Code::AccountDeactivated,
            Code::NoStatusChangeInProgress,
            Code::AccountPaysForOthers,
            Code::TooManyServices,
        ],
        updated("account", "Account", &["account.updated", "account.status_changed"]).and(OWNED),
    ),
];

/// A planned change of an account's status.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub(crate) struct PlannedStatusChange {
    /// The new status.
    status: String,
    /// Reason for the change, if one was given.
    reason: Option<String>,
    /// Whether the change includes the account's services.
    services: bool,
    /// Time at which the change takes effect.
    valid_from: Moment,
}

/// A status change of an account.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub(crate) struct StatusChange {
    /// The new status. Allowed: inactive to active, active to suspended and back, and any of them to deactivated, which is final.
    status: NextStatus,
    /// Reason for the change.
    reason: Option<Reason>,
    /// Whether the change includes the account's services, in the same business transaction. Suspension suspends those whose transitions
    /// allow it, reactivation restores those suspended with the account, and deactivation cancels all.
    #[oai(default)]
    services: bool,
    /// Time at which the change takes effect; must be in the future. Absent: immediately, unless `endOfPeriod` is set.
    valid_from: Option<Moment>,
    /// Whether the change takes effect at the end of the running billing period, in the tenant's time zone. Excludes `validFrom`.
    #[oai(default)]
    end_of_period: bool,
}

impl Validate for StatusChange {}

impl Example for StatusChange {
    fn example() -> Self {
        Self {
            status: NextStatus::Suspended,
            reason: Some("customer_request".into()),
            services: false,
            valid_from: None,
            end_of_period: true,
        }
    }
}

/// A cancellation of an account.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub(crate) struct AccountCancellation {
    /// Reason for the change.
    reason: Option<Reason>,
    /// Whether its services are cancelled in the same business transaction.
    #[oai(default = "along")]
    services: bool,
    /// Time at which the account is cancelled; must be in the future. Absent: immediately, unless `endOfPeriod` is set.
    valid_from: Option<Moment>,
    /// Whether the account is cancelled at the end of the running billing period, in the tenant's time zone. Excludes `validFrom`.
    #[oai(default)]
    end_of_period: bool,
}

fn along() -> bool {
    true
}

impl Validate for AccountCancellation {}

impl Example for AccountCancellation {
    fn example() -> Self {
        Self { reason: Some("customer_request".into()), services: along(), valid_from: None, end_of_period: false }
    }
}

impl From<NextStatus> for Status {
    fn from(status: NextStatus) -> Self {
        match status {
            NextStatus::Active => Self::Active,
            NextStatus::Suspended => Self::Suspended,
            NextStatus::Deactivated => Self::Deactivated,
        }
    }
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Accounts")]
impl AccountStatus {
    /// Change an account's status
    ///
    /// Changes the status along the allowed transitions. Deactivation is the same as a cancellation; see `cancelAccount`. At most 450
    /// services can be included.
    ///
    /// With `validFrom` or `endOfPeriod`, the change is planned, and the gateway's clock performs it when it is due. A second plan
    /// replaces the first. A change without them keeps the planned one if that can follow the new status; otherwise, such as when the
    /// account already has the planned status, the planned change is withdrawn, and `account.status_change_cancelled` is published.
    #[oai(path = "/accounts/:account/status", method = "post", operation_id = "changeAccountStatus")]
    async fn change_status(
        &self,
        context: Context,
        /// Id or external id of the account.
        account: Path<Reference>,
        input: Validated<StatusChange>,
    ) -> Result<Done, Problem> {
        let StatusChange { status, reason, services, valid_from, end_of_period } = input.body;
        let change = account::StatusChange { status: status.into(), reason: reason.map(|reason| reason.0), services };
        let use_case = ChangeAccountStatus { change, start: start(valid_from, end_of_period)? };
        Ok(Done(context.execute_on(&account.0, input.canonical.as_deref(), use_case).await?))
    }

    /// Cancel an account
    ///
    /// Deactivates the account, which is final: the account and its objects can no longer be changed. Its services are cancelled unless
    /// `services` is `false`; at most 450 can be included. Planned changes of bill cycle and status are withdrawn. Package subscriptions
    /// are cancelled, contracts end after a last comparison of the spend up to now, and usage identifiers no longer become dormant. All of
    /// this is in one business transaction if it has at most 1 000 events; otherwise, `ending` of the account is `true` until further
    /// business transactions of this operation have ended the rest.
    ///
    /// Usage that occurred before the end can be recorded, and charges adjusted, until the final invoice (`createInvoiceOnDemand`).
    ///
    /// With `validFrom` or `endOfPeriod`, the cancellation is planned, as by `changeAccountStatus`. The body is optional.
    #[oai(path = "/accounts/:account/cancel", method = "post", operation_id = "cancelAccount")]
    async fn cancel(
        &self,
        context: Context,
        /// Id or external id of the account.
        account: Path<Reference>,
        input: Validated<Option<AccountCancellation>>,
    ) -> Result<Done, Problem> {
        let absent = AccountCancellation { reason: None, services: along(), valid_from: None, end_of_period: false };
        let AccountCancellation { reason, services, valid_from, end_of_period } = input.body.unwrap_or(absent);
        let (reason, start) = (reason.map(|reason| reason.0), start(valid_from, end_of_period)?);
        Ok(Done(context.execute_on(&account.0, input.canonical.as_deref(), CancelAccount { reason, services, start }).await?))
    }

    /// Cancel a planned status change
    ///
    /// The account keeps its status. Also for a planned cancellation. The body is optional.
    #[oai(path = "/accounts/:account/status-change/cancel", method = "post", operation_id = "cancelAccountStatusChange")]
    async fn cancel_change(
        &self,
        context: Context,
        /// Id or external id of the account.
        account: Path<Reference>,
        input: Validated<Option<NoMembers>>,
    ) -> Result<Done, Problem> {
        Ok(Done(context.execute_on(&account.0, input.canonical.as_deref(), CancelAccountStatusChange).await?))
    }

    /// Perform a planned status change now
    ///
    /// The change takes effect immediately instead of at its `validFrom`, and can no longer be cancelled. Also for a planned cancellation.
    /// The body is optional.
    #[oai(path = "/accounts/:account/status-change/perform", method = "post", operation_id = "performAccountStatusChange")]
    async fn perform_change(
        &self,
        context: Context,
        /// Id or external id of the account.
        account: Path<Reference>,
        input: Validated<Option<NoMembers>>,
    ) -> Result<Done, Problem> {
        Ok(Done(context.execute_on(&account.0, input.canonical.as_deref(), PerformAccountStatusChange).await?))
    }
}
