//! Usage identifiers.

use billwire_app::{
    CreateUsageIdentifier, DeleteUsageIdentifier, Filter, UpdateUsageIdentifier,
    domain::{
        customers::{account::Account, service::Service},
        usage::usage_identifier,
    },
};
use billwire_schemas::ids::{UsageIdentifierId, fresh};
use billwire_schemas::refusal::Code;
use chrono::NaiveDate;
use poem_openapi::{Object, OpenApi, Tags, param::Path, types::Example};
use uuid::Uuid;

use crate::{
    http::{
        problem::Problem,
        request_context::{Context, Query},
        responses::{Created, Done, Found, IfNoneMatch, Listed},
        validated_body::{Validate, Validated},
    },
    openapi::operation::{Operation, change, create, created, delete, get, list, updated},
    types::example::{example_id, example_moment},
    types::nullable::Nullable,
    types::scalars::{DormantDays, ExternalId, IdentifierKind, IdentifierValue, Moment, Reference},
};

#[derive(Tags)]
pub(crate) enum Tag {
    /// Identifiers, such as SIM numbers, that usage is reported with.
    #[oai(rename = "Usage identifiers")]
    UsageIdentifiers,
}

pub(crate) struct UsageIdentifiers;

/// Registry entries of the operations below.
pub(crate) const OPERATIONS: &[Operation] = &[
    create(
        "createUsageIdentifier",
        "usage_identifiers:write",
        &[Code::ExternalIdTaken, Code::ServiceUnknown, Code::AccountDeactivated, Code::UsageIdentifierTaken],
        created("usageIdentifier", "UsageIdentifier", &["usage_identifier.created"]),
    ),
    list("listUsageIdentifiers", "usage_identifiers:read"),
    get("getUsageIdentifier", "usage_identifiers:read", &[Code::UsageIdentifierNotFound]),
    change(
        "updateUsageIdentifier",
        "usage_identifiers:write",
        &[Code::UsageIdentifierNotFound, Code::ExternalIdTaken, Code::AccountDeactivated],
        updated("usageIdentifier", "UsageIdentifier", &["usage_identifier.updated"]),
    ),
    delete(
        "deleteUsageIdentifier",
        "usage_identifiers:write",
        &[Code::UsageIdentifierNotFound, Code::AccountDeactivated],
        "usageIdentifier",
        "UsageIdentifier",
    ),
];

/// The usage identifier to create.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub(crate) struct UsageIdentifierInput {
    /// External id: the id in your system; unique among usage identifiers.
    external_id: Option<ExternalId>,
    /// Id or external id of the service.
    service: Reference,
    /// Kind, such as `iccid`, `imsi` or `msisdn`.
    kind: IdentifierKind,
    /// The identifier; unique within its kind.
    value: IdentifierValue,
    /// Days without usage after which `usage_identifier.dormant` is published. Absent: never.
    dormant_after_days: Option<DormantDays>,
}

impl Validate for UsageIdentifierInput {}

impl Example for UsageIdentifierInput {
    fn example() -> Self {
        Self {
            external_id: Some("SIM-0043".into()),
            service: "LINE-0042".into(),
            kind: "iccid".into(),
            value: "8949010000000000043".into(),
            dormant_after_days: Some(DormantDays(30)),
        }
    }
}

/// Changes to a usage identifier. Absent members keep their values.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub(crate) struct UsageIdentifierUpdate {
    /// External id: the id in your system; unique. The old one is free afterwards.
    external_id: Nullable<ExternalId>,
    /// Days without usage after which the identifier is dormant; null: it never is. A dormant one stays dormant unless fewer days than that have
    /// passed.
    dormant_after_days: Nullable<DormantDays>,
}

impl Validate for UsageIdentifierUpdate {}

impl Example for UsageIdentifierUpdate {
    fn example() -> Self {
        Self { external_id: Nullable::default(), dormant_after_days: DormantDays(60).into() }
    }
}

/// Identifiers, such as SIM numbers, that usage is reported with.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub(crate) struct UsageIdentifier {
    /// Unique id.
    id: Uuid,
    /// Version, starting at 1.
    version: i64,
    /// External id: the id in your system.
    external_id: Option<String>,
    /// The owning account.
    account_id: Uuid,
    /// Id of the service.
    service_id: Uuid,
    /// Kind of identifier.
    kind: String,
    /// The identifier.
    value: String,
    /// Days without usage after which the identifier is dormant. Absent: never, such as after the cancellation of its account.
    dormant_after_days: Option<u32>,
    /// Latest date of usage, in the tenant's time zone.
    last_usage_on: Option<NaiveDate>,
    /// Time at which the identifier becomes dormant unless it is used: the start of a day in the tenant's time zone.
    dormant_at: Option<Moment>,
    /// Time since which the identifier is dormant, if it is.
    dormant_since: Option<Moment>,
    /// Creation time.
    created_at: Moment,
    /// Time of the last change.
    updated_at: Moment,
}

impl Example for UsageIdentifier {
    fn example() -> Self {
        Self {
            id: example_id(16),
            version: 1,
            external_id: Some("SIM-0042".to_owned()),
            account_id: example_id(1),
            service_id: example_id(13),
            kind: "iccid".to_owned(),
            value: "8949010000000000042".to_owned(),
            dormant_after_days: Some(30),
            last_usage_on: None,
            dormant_at: Some(example_moment()),
            dormant_since: None,
            created_at: example_moment(),
            updated_at: example_moment(),
        }
    }
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::UsageIdentifiers")]
impl UsageIdentifiers {
    /// Create a usage identifier
    ///
    /// Charges can be reported with the identifier from now on.
    #[oai(path = "/usage-identifiers", method = "post", operation_id = "createUsageIdentifier")]
    async fn create(&self, context: Context, input: Validated<UsageIdentifierInput>) -> Result<Created, Problem> {
        let new = input.body;
        let command = usage_identifier::Create {
            id: UsageIdentifierId(fresh()),
            external_id: new.external_id.map(|id| id.0),
            kind: new.kind.0,
            value: new.value.0,
            dormant_after_days: new.dormant_after_days.map(|days| days.0),
        };
        let reply = context.execute_on(&new.service, input.canonical.as_deref(), CreateUsageIdentifier { command }).await?;
        Ok(Created::under("/v1/usage-identifiers", reply))
    }

    /// List usage identifiers
    ///
    /// Oldest first.
    #[oai(path = "/usage-identifiers", method = "get", operation_id = "listUsageIdentifiers")]
    async fn list(
        &self,
        context: Context,
        /// Only identifiers of this account, by its id or external id.
        account: Query<Reference>,
        /// Only identifiers of this service, by its id or external id.
        service: Query<Reference>,
        /// Only identifiers of this kind.
        kind: Query<IdentifierKind>,
        /// Only identifiers with this value.
        value: Query<IdentifierValue>,
    ) -> Result<Listed<UsageIdentifier>, Problem> {
        let filter = Filter::new()
            .is_id("account_id", context.filtered::<Account>(&account).await?)
            .is_id("service_id", context.filtered::<Service>(&service).await?)
            .is("kind", kind.0.as_ref().map(|kind| kind.0.as_str()))
            .is("value", value.0.as_ref().map(|value| value.0.as_str()));
        Listed::objects::<usage_identifier::UsageIdentifier>(&context, filter).await
    }

    /// Get a usage identifier
    ///
    /// Returns the object with this id or external id.
    #[oai(path = "/usage-identifiers/:usageIdentifier", method = "get", operation_id = "getUsageIdentifier")]
    async fn get(
        &self,
        context: Context,
        known: IfNoneMatch,
        /// Id or external id of the usage identifier.
        #[oai(name = "usageIdentifier")]
        identifier: Path<Reference>,
    ) -> Result<Found<UsageIdentifier>, Problem> {
        Found::of(&context.app().get::<usage_identifier::UsageIdentifier>(context.tenant(), &identifier.0.0).await?, &known)
    }

    /// Change a usage identifier
    ///
    /// Absent members keep their values.
    #[oai(path = "/usage-identifiers/:usageIdentifier", method = "patch", operation_id = "updateUsageIdentifier")]
    async fn update(
        &self,
        context: Context,
        /// Id or external id of the usage identifier.
        #[oai(name = "usageIdentifier")]
        identifier: Path<Reference>,
        input: Validated<UsageIdentifierUpdate>,
    ) -> Result<Done, Problem> {
        let wanted = input.body;
        let command = usage_identifier::Update {
            external_id: wanted.external_id.map(|id| id.0),
            dormant_after_days: wanted.dormant_after_days.map(|days| days.0),
        };
        Ok(Done(context.execute_on(&identifier.0, input.canonical.as_deref(), UpdateUsageIdentifier { command }).await?))
    }

    /// Delete a usage identifier
    ///
    /// Charges that were reported with the identifier keep its id.
    #[oai(path = "/usage-identifiers/:usageIdentifier", method = "delete", operation_id = "deleteUsageIdentifier")]
    async fn delete(
        &self,
        context: Context,
        /// Id or external id of the usage identifier.
        #[oai(name = "usageIdentifier")]
        identifier: Path<Reference>,
    ) -> Result<Done, Problem> {
        Ok(Done(context.execute_on(&identifier.0, None, DeleteUsageIdentifier).await?))
    }
}
