//! Tenants, for the operator of the installation.

use billwire_app::{
    DeleteTenant, UpdateTenant,
    domain::access::tenant::{self, Limits},
};
use billwire_schemas::{ids::TenantId, refusal::Code};
use poem_openapi::{Object, OpenApi, Tags, param::Path, types::Example};
use uuid::Uuid;

use crate::{
    events::retention_settings::RetentionSettingsUpdate,
    http::{
        problem::Problem,
        request_context::Context,
        responses::{Created, Done, Found, IfNoneMatch, Listed},
        validated_body::{Validate, Validated},
    },
    openapi::operation::{Operation, change, create, created, delete, get, list, updated},
    types::example::{example_id, example_moment},
    types::scalars::{Currency, Moment, Name, Reference, RequestRate, TenantName, TimeZoneName},
};

#[derive(Tags)]
pub(crate) enum Tag {
    /// The customers of an installation, kept apart from each other. Keys of the operator's own tenant, `default`, manage them.
    #[oai(rename = "Tenants")]
    Tenants,
}

pub(crate) struct Tenants;

/// Registry entries of the operations below.
pub(crate) const OPERATIONS: &[Operation] = &[
    create(
        "createTenant",
        "tenants:write",
        &[Code::NotOperator, Code::TenantExists, Code::TimeZoneUnknown, Code::CurrencyUnknown, Code::RetentionOutOfRange],
        created("tenant", "Tenant", &[]),
    ),
    Operation { own_codes: &[Code::NotOperator], ..list("listTenants", "tenants:read") },
    get("getTenant", "tenants:read", &[Code::NotOperator, Code::TenantNotFound]),
    change(
        "updateTenant",
        "tenants:write",
        &[Code::NotOperator, Code::TenantNotFound, Code::TenantDeleted],
        updated("tenant", "Tenant", &[]),
    ),
    // The tenant itself stays as a name, so its change is an update.
    Operation {
        makes: Some(updated("tenant", "Tenant", &[])),
        ..delete(
            "deleteTenant",
            "tenants:write",
            &[Code::NotOperator, Code::TenantNotFound, Code::TenantNotSuspended, Code::TenantDeleted],
            "tenant",
            "Tenant",
        )
    },
];

/// The tenant to create.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub(crate) struct TenantInput {
    /// The tenant's name in subjects and API keys, which never changes; unique, also among tenants that were deleted.
    tenant_id: TenantName,
    /// The tenant's name for people.
    name: Name,
    /// The tenant's time zone, an IANA name. Default UTC. The tenant can change it with `updateBillingSettings`.
    time_zone: Option<TimeZoneName>,
    /// Currency code, ISO 4217, of accounts that are created without a currency. Default: none. The tenant can change it with
    /// `updateBillingSettings`.
    default_currency: Option<Currency>,
    /// The tenant's own limits. Absent: those of the installation.
    limits: Option<TenantLimitsInput>,
    /// For how long the tenant's history is kept. Absent: as long as the installation keeps it. The tenant can change it with
    /// `updateRetentionSettings`.
    retention: Option<RetentionSettingsUpdate>,
}

impl Validate for TenantInput {}

impl Example for TenantInput {
    fn example() -> Self {
        Self {
            tenant_id: "acme-fr".into(),
            name: "Acme Telecom France".into(),
            time_zone: Some("Europe/Paris".into()),
            default_currency: Some("EUR".into()),
            limits: Some(TenantLimitsInput::example()),
            retention: None,
        }
    }
}

/// Limits of a tenant. Absent members: as the installation says.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub(crate) struct TenantLimitsInput {
    /// Requests a second that the tenant's keys may send together to one process of the gateway, 1 to 1 000 000. More are refused with 429.
    requests_per_second: Option<RequestRate>,
}

impl Example for TenantLimitsInput {
    fn example() -> Self {
        Self { requests_per_second: Some(RequestRate(200)) }
    }
}

impl From<TenantLimitsInput> for Limits {
    fn from(new: TenantLimitsInput) -> Self {
        Self { requests_per_second: new.requests_per_second.map(|rate| rate.0) }
    }
}

/// Limits of a tenant.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub(crate) struct TenantLimits {
    /// Requests a second that the tenant's keys may send together to one process of the gateway.
    requests_per_second: Option<u32>,
}

/// Changes to a tenant. Absent members keep their values.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub(crate) struct TenantUpdate {
    /// The tenant's name for people.
    name: Option<Name>,
    /// All of the tenant's own limits; an empty object: those of the installation.
    limits: Option<TenantLimitsInput>,
}

impl Validate for TenantUpdate {}

impl Example for TenantUpdate {
    fn example() -> Self {
        Self { name: Some("Acme Telecom Ltd".into()), limits: None }
    }
}

/// A tenant.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub(crate) struct Tenant {
    /// Unique id.
    id: Uuid,
    /// Version, starting at 1.
    version: i64,
    /// The tenant's name in subjects and API keys.
    tenant_id: String,
    /// The tenant's name for people.
    name: String,
    /// `active`; `suspended`: its calls are refused and its deliveries wait; `deleting`: so they are, and all it has is being deleted; or `deleted`:
    /// only its name is left. More values may be added.
    status: String,
    /// Reason for the suspension.
    suspended_because: Option<String>,
    /// The tenant's own limits. Absent: those of the installation.
    limits: Option<TenantLimits>,
    /// Creation time.
    created_at: Moment,
    /// Time of the last change.
    updated_at: Moment,
    /// The first API key of the tenant, with all scopes. Only in the response of `createTenant`.
    admin_key: Option<String>,
}

impl Example for Tenant {
    fn example() -> Self {
        Self {
            id: example_id(0x51),
            version: 1,
            tenant_id: "acme".to_owned(),
            name: "Acme Telecom".to_owned(),
            status: "active".to_owned(),
            suspended_because: None,
            limits: Some(TenantLimits { requests_per_second: Some(200) }),
            created_at: example_moment(),
            updated_at: example_moment(),
            admin_key: None,
        }
    }
}

/// Refuses callers of other tenants than the operator's own.
pub(crate) fn ensure_operator(context: &Context) -> Result<(), Problem> {
    if *context.tenant() == TenantId::default_tenant() {
        return Ok(());
    }
    Err(Problem::new(Code::NotOperator, "Only keys of the operator's own tenant manage tenants."))
}

/// The object id of the tenant that a path names.
pub(crate) async fn object_id(context: &Context, name: &Reference) -> Result<Reference, Problem> {
    ensure_operator(context)?;
    Ok(Reference(context.app().tenant(&name.0).await?.id.to_string()))
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Tenants")]
impl Tenants {
    /// Create a tenant
    ///
    /// The tenant gets a first API key with every scope, whose text only this response shows (`entities[0].after.adminKey`).
    #[oai(path = "/tenants", method = "post", operation_id = "createTenant")]
    async fn create(&self, context: Context, input: Validated<TenantInput>) -> Result<Created, Problem> {
        ensure_operator(&context)?;
        let tenant: TenantId = input.body.tenant_id.0.parse().map_err(Problem::internal)?;
        let location = format!("/v1/tenants/{tenant}");
        let TenantInput { name, time_zone, default_currency, limits, retention, .. } = input.body;
        let asked = billwire_app::NewTenant {
            name: name.0,
            time_zone: time_zone.map(|name| name.0),
            default_currency: default_currency.map(|code| code.0),
            limits: limits.map(Into::into).unwrap_or_default(),
            retention: retention.map(Into::into),
        };
        let use_case = context.app().create_tenant(context.caller(), tenant, asked).await?;
        Ok(Created::at(location, context.execute(input.canonical.as_deref(), use_case).await?))
    }

    /// List tenants
    ///
    /// Oldest first.
    #[oai(path = "/tenants", method = "get", operation_id = "listTenants")]
    async fn list(&self, context: Context) -> Result<Listed<Tenant>, Problem> {
        ensure_operator(&context)?;
        Listed::configurations::<tenant::Tenant>(&context).await
    }

    /// Get a tenant
    ///
    /// Returns the tenant with this name or id.
    #[oai(path = "/tenants/:tenant", method = "get", operation_id = "getTenant")]
    async fn get(
        &self,
        context: Context,
        known: IfNoneMatch,
        /// Name of the tenant, its `tenantId`, or its id.
        tenant: Path<Reference>,
    ) -> Result<Found<Tenant>, Problem> {
        ensure_operator(&context)?;
        Found::of(&context.app().tenant(&tenant.0.0).await?, &known)
    }

    /// Change a tenant
    ///
    /// Changes its name for people and its limits.
    #[oai(path = "/tenants/:tenant", method = "patch", operation_id = "updateTenant")]
    async fn update(
        &self,
        context: Context,
        /// Name of the tenant, its `tenantId`, or its id.
        tenant: Path<Reference>,
        input: Validated<TenantUpdate>,
    ) -> Result<Done, Problem> {
        let id = object_id(&context, &tenant.0).await?;
        let use_case = UpdateTenant { name: input.body.name.map(|name| name.0), limits: input.body.limits.map(Into::into) };
        Ok(Done(context.execute_on_configuration(&id, input.canonical.as_deref(), use_case).await?))
    }

    /// Delete a tenant
    ///
    /// Refused unless the tenant is suspended. Everything the tenant has is deleted in steps: API keys and configuration, deliveries, events and
    /// business transactions, customers, charges, invoices, its audit, and its messages on the stream. `getTenantDeletion` shows the progress.
    /// There is no way back; the tenant's name is not used again. Loaded rows stay in the warehouse, which is the operator's own.
    #[oai(path = "/tenants/:tenant", method = "delete", operation_id = "deleteTenant")]
    async fn delete(
        &self,
        context: Context,
        /// Name of the tenant, its `tenantId`, or its id.
        tenant: Path<Reference>,
    ) -> Result<Done, Problem> {
        let id = object_id(&context, &tenant.0).await?;
        Ok(Done(context.execute_on_configuration(&id, None, DeleteTenant).await?))
    }
}
