//! An account's status: changed, cancelled; alone or with its services.

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

/// A status to go to.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub(crate) struct StatusChange {
    /// Where to. From inactive to active; from active to suspended and back; from any of them to deactivated, which is final.
    status: NextStatus,
    /// Why.
    reason: Option<Reason>,
    /// Whether its services go along in the same business transaction: with a suspension those that their table lets are
    /// suspended, with the return to active those come back that were suspended along, with a deactivation all are cancelled.
    #[oai(default)]
    services: bool,
}

impl Validate for StatusChange {}

impl Example for StatusChange {
    fn example() -> Self {
        Self { status: NextStatus::Suspended, reason: Some("customer_request".into()), services: false }
    }
}

/// An account's end.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub(crate) struct AccountCancellation {
    /// Why.
    reason: Option<Reason>,
    /// Whether its services are cancelled along in the same business transaction.
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
    /// Moves the account along its table of statuses. Deactivated is final: the account takes no changes after it, and a
    /// planned bill cycle change is dropped. Deactivating causes `account.cancelled` besides `account.status_changed`. At most 450
    /// services go along.
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
    /// Deactivates it, which is final, and cancels its services along unless told otherwise: a deactivated account's services can
    /// not be changed any more. At most 450 services go along. The body is optional.
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
