//! Actions on tenants: suspend, resume, the progress of a deletion.

use billwire_app::{ResumeTenant, SuspendTenant};
use billwire_schemas::{ids::TenantId, refusal::Code};
use poem_openapi::{Object, OpenApi, param::Path, types::Example};

use crate::{
    access::tenants::{Tag, ensure_operator, object_id},
    customers::account_bill_cycle::NoMembers,
    http::{
        problem::Problem,
        request_context::Context,
        responses::{Done, Found, IfNoneMatch},
        validated_body::{Validate, Validated},
    },
    openapi::operation::{Operation, change, get, updated},
    types::example::example_moment,
    types::scalars::{Moment, Reason, Reference},
};

pub(crate) struct TenantActions;

/// Registry entries of the operations below.
pub(crate) const OPERATIONS: &[Operation] = &[
    change(
        "suspendTenant",
        "tenants:write",
        &[Code::NotOperator, Code::TenantNotFound, Code::TenantIsOperator, Code::TenantAlreadySuspended, Code::TenantDeleted],
        updated("tenant", "Tenant", &[]),
    ),
    change(
        "resumeTenant",
        "tenants:write",
        &[Code::NotOperator, Code::TenantNotFound, Code::TenantNotSuspended, Code::TenantDeleted],
        updated("tenant", "Tenant", &[]),
    ),
    get("getTenantDeletion", "tenants:read", &[Code::NotOperator, Code::TenantNotFound, Code::TenantDeletionNotFound]),
];

/// The suspension of a tenant.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub(crate) struct TenantSuspension {
    /// Reason, as free text.
    reason: Option<Reason>,
}

impl Validate for TenantSuspension {}

impl Example for TenantSuspension {
    fn example() -> Self {
        Self { reason: Some("contract ended".into()) }
    }
}

/// How far the deletion of a tenant has got.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub(crate) struct TenantDeletion {
    /// The tenant's name in subjects and API keys.
    tenant_id: String,
    /// When `deleteTenant` was called.
    requested_at: Moment,
    /// Objects, events, deliveries and other rows deleted from the database until now.
    rows_deleted: i64,
    /// Messages deleted from the stream until now.
    messages_deleted: i64,
    /// What rows were last deleted from, as a table of the database. For people; names may change.
    part: Option<String>,
    /// When nothing of the tenant was left. Absent: the deletion is under way.
    completed_at: Option<Moment>,
}

impl Example for TenantDeletion {
    fn example() -> Self {
        Self {
            tenant_id: "acme".to_owned(),
            requested_at: example_moment(),
            rows_deleted: 0,
            messages_deleted: 0,
            part: None,
            completed_at: None,
        }
    }
}

impl TenantDeletion {
    fn of(tenant: TenantId, state: billwire_app::TenantDeletion) -> Self {
        Self {
            tenant_id: tenant.to_string(),
            requested_at: Moment(state.requested_at),
            rows_deleted: state.rows,
            messages_deleted: state.messages,
            part: state.part,
            completed_at: state.completed_at.map(Moment),
        }
    }

    /// Grows with each step.
    fn steps(&self) -> i64 {
        self.rows_deleted + self.messages_deleted + i64::from(self.completed_at.is_some())
    }
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Tenants")]
impl TenantActions {
    /// Suspend a tenant
    ///
    /// Within a second, calls with the tenant's keys are refused with 403 `tenant_suspended`. Its deliveries wait. What falls due is still done: plans,
    /// bill runs, retention.
    #[oai(path = "/tenants/:tenant/suspend", method = "post", operation_id = "suspendTenant")]
    async fn suspend(
        &self,
        context: Context,
        /// Name of the tenant, its `tenantId`, or its id.
        tenant: Path<Reference>,
        input: Validated<Option<TenantSuspension>>,
    ) -> Result<Done, Problem> {
        let id = object_id(&context, &tenant.0).await?;
        let because = input.body.and_then(|body| body.reason).map(|reason| reason.0);
        Ok(Done(context.execute_on_configuration(&id, input.canonical.as_deref(), SuspendTenant { because }).await?))
    }

    /// Resume a tenant
    ///
    /// The tenant's keys work again, and what waited is delivered, in order where the queue is. The body is optional.
    #[oai(path = "/tenants/:tenant/resume", method = "post", operation_id = "resumeTenant")]
    async fn resume(
        &self,
        context: Context,
        /// Name of the tenant, its `tenantId`, or its id.
        tenant: Path<Reference>,
        input: Validated<Option<NoMembers>>,
    ) -> Result<Done, Problem> {
        let id = object_id(&context, &tenant.0).await?;
        Ok(Done(context.execute_on_configuration(&id, input.canonical.as_deref(), ResumeTenant).await?))
    }
    /// Get the deletion of a tenant
    ///
    /// Returns how far the deletion has got.
    #[oai(path = "/tenants/:tenant/deletion", method = "get", operation_id = "getTenantDeletion")]
    async fn deletion(
        &self,
        context: Context,
        known: IfNoneMatch,
        /// Name of the tenant, its `tenantId`, or its id.
        tenant: Path<Reference>,
    ) -> Result<Found<TenantDeletion>, Problem> {
        ensure_operator(&context)?;
        let (tenant, state) = context.app().tenant_deletion(&tenant.0.0).await?;
        let shown = TenantDeletion::of(tenant.tenant_id, state);
        Ok(Found::shown(&shown, shown.steps(), &known))
    }
}
