//! Status changes and cancellation of an account, with or without its services.

use billwire_app::{CancelAccount, ChangeAccountStatus, domain::customers::account::Status};
use billwire_schemas::refusal::Code;
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
    types::scalars::{NextStatus, Reason, Reference},
};

pub(crate) struct AccountStatus;

/// Registry entries of the operations below.
pub(crate) const OPERATIONS: &[Operation] = &[
    change(
        "changeAccountStatus",
        "accounts:write",
        &[Code::AccountNotFound, Code::AccountDeactivated, Code::StatusUnchanged, Code::StatusTransitionNotAllowed, Code::TooManyServices],
        updated("account", "Account", &["account.updated", "account.status_changed"]),
    ),
    change(
        "cancelAccount",
        "accounts:write",
        &[Code::AccountNotFound, Code::AccountDeactivated, Code::TooManyServices],
        updated("account", "Account", &["account.updated", "account.status_changed", "account.cancelled"]),
    ),
];

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
}

impl Validate for StatusChange {}

impl Example for StatusChange {
    fn example() -> Self {
        Self { status: NextStatus::Suspended, reason: Some("customer_request".into()), services: false }
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
}

fn along() -> bool {
    true
}

impl Validate for AccountCancellation {}

impl Example for AccountCancellation {
    fn example() -> Self {
        Self { reason: Some("customer_request".into()), services: along() }
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
    /// Changes the status along the allowed transitions. Deactivation is final: the account can no longer be changed, and a planned bill
    /// cycle change is discarded. It publishes `account.cancelled` in addition to `account.status_changed`. At most 450 services can be
    /// included.
    #[oai(path = "/accounts/:account/status", method = "post", operation_id = "changeAccountStatus")]
    async fn change_status(
        &self,
        context: Context,
        /// Id or external id of the account.
        account: Path<Reference>,
        input: Validated<StatusChange>,
    ) -> Result<Done, Problem> {
        let wanted = input.body;
        let (status, reason, services) = (wanted.status.into(), wanted.reason.map(|reason| reason.0), wanted.services);
        let use_case = ChangeAccountStatus { status, reason, services };
        Ok(Done(context.execute_on(&account.0, input.canonical.as_deref(), use_case).await?))
    }

    /// Cancel an account
    ///
    /// Deactivates the account, which is final, and cancels its services unless `services` is `false`: the services of a deactivated
    /// account can no longer be changed. At most 450 services can be included. The body is optional.
    #[oai(path = "/accounts/:account/cancel", method = "post", operation_id = "cancelAccount")]
    async fn cancel(
        &self,
        context: Context,
        /// Id or external id of the account.
        account: Path<Reference>,
        input: Validated<Option<AccountCancellation>>,
    ) -> Result<Done, Problem> {
        let (reason, services) = input.body.map_or((None, true), |body| (body.reason.map(|reason| reason.0), body.services));
        Ok(Done(context.execute_on(&account.0, input.canonical.as_deref(), CancelAccount { reason, services }).await?))
    }
}
