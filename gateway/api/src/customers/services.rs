//! Services.

use std::collections::HashMap;

use billwire_app::{
    CreateService, DeleteService, Filter, TransitionService, UpdateService,
    domain::customers::{account::Account, package_subscription::PackageSubscription, service},
};
use billwire_schemas::ids::{ServiceId, fresh};
use billwire_schemas::refusal::Code;
use poem_openapi::{Object, OpenApi, Tags, param::Path, types::Example};
use serde_json::Value;
use uuid::Uuid;

use crate::{
    customers::{
        package_subscriptions::StatusFrom,
        planned_status::{PlannedStatus, start},
    },
    http::{
        problem::{Problem, Violation},
        request_context::{Context, Query, QueryAll},
        responses::{Created, Done, Found, IfNoneMatch, Listed},
        validated_body::{Validate, Validated},
    },
    openapi::operation::{Operation, change, create, created, delete, get, list, updated},
    types::example::{example_id, example_moment},
    types::scalars::{AttributeFilter, ExternalId, Moment, Name, Reason, Reference, StatusName},
    types::{
        attributes::{AttributeChanges, NewAttributes, attributes, changes, check_names, wanted},
        nullable::Nullable,
    },
};

#[derive(Tags)]
pub(crate) enum Tag {
    /// Services that accounts use.
    #[oai(rename = "Services")]
    Services,
}

pub(crate) struct Services;

/// Registry entries of the operations below.
pub(crate) const OPERATIONS: &[Operation] = &[
    create(
        "createService",
        "services:write",
        &[
            Code::TooManyAttributes,
            Code::AttributesTooLarge,
            Code::ExternalIdTaken,
            Code::AccountUnknown,
            Code::AccountDeactivated,
            Code::PackageSubscriptionUnknown,
            Code::PackageSubscriptionOfOtherAccount,
            Code::PackageSubscriptionEnded,
        ],
        created("service", "Service", &["service.created"]),
    ),
    list("listServices", "services:read"),
    get("getService", "services:read", &[Code::ServiceNotFound]),
    change(
        "updateService",
        "services:write",
        &[Code::TooManyAttributes, Code::AttributesTooLarge, Code::ServiceNotFound, Code::ExternalIdTaken, Code::AccountDeactivated],
        updated("service", "Service", &["service.updated"]),
    ),
    delete(
        "deleteService",
        "services:write",
        &[Code::ServiceNotFound, Code::AccountDeactivated, Code::ServiceNotInitial, Code::StillInUse],
        "service",
        "Service",
    ),
    change(
        "transitionService",
        "services:write",
        &[
            Code::ServiceNotFound,
            Code::AccountDeactivated,
            Code::StatusUnknown,
            Code::StatusUnchanged,
            Code::StatusTransitionNotAllowed,
            Code::ValidFromInPast,
            Code::TimeOutOfRange,
            Code::ValidFromAmbiguous,
        ],
        updated("service", "Service", &["service.updated", "service.state_changed"]),
    ),
];

/// The service to create.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub(crate) struct ServiceInput {
    /// External id: the id in your system; unique among services. Operations accept it in place of the id.
    external_id: Option<ExternalId>,
    /// Id or external id of the account.
    account: Reference,
    /// Id or external id of the account's package subscription that includes the service.
    package_subscription: Option<Reference>,
    /// Display name.
    name: Name,
    /// Kind of service, in your own terms.
    service_type: Name,
    /// Custom attributes: up to 50 names of 1 to 64 letters, digits, `_`, `-` and `.`, beginning with a letter, each with a text; together at most
    /// 16 KiB. Lists find objects by them, and events offer them as parameters.
    attributes: Option<NewAttributes>,
}

impl Validate for ServiceInput {
    fn further(body: &Value, found: &mut Vec<Violation>) {
        check_names(body, found);
    }
}

impl Example for ServiceInput {
    fn example() -> Self {
        Self {
            external_id: Some("LINE-0043".into()),
            account: "CRM-4711".into(),
            package_subscription: Some("ORDER-815".into()),
            name: "Truck 43".into(),
            service_type: "iot-sim".into(),
            attributes: None,
        }
    }
}

/// Changes to a service. Absent members keep their values.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub(crate) struct ServiceUpdate {
    /// External id: the id in your system; unique. The old one is free afterwards.
    external_id: Nullable<ExternalId>,
    /// Display name.
    name: Option<Name>,
    /// Custom attributes, as a merge patch: a text sets one, null removes it; those that are not named stay. Null in place of the object removes all.
    attributes: AttributeChanges,
}

impl Validate for ServiceUpdate {
    fn further(body: &Value, found: &mut Vec<Violation>) {
        check_names(body, found);
    }
}

impl Example for ServiceUpdate {
    fn example() -> Self {
        Self { external_id: Nullable::default(), name: Some("Truck 42, new driver".into()), attributes: Nullable::default() }
    }
}

/// A status change of a service.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub(crate) struct ServiceTransition {
    /// The new status: a service status of the billing settings, reached by an allowed transition.
    status: StatusName,
    /// Reason for the change.
    reason: Option<Reason>,
    /// Time at which the change takes effect; must be in the future. Absent: immediately, unless `endOfPeriod` is set.
    valid_from: Option<Moment>,
    /// Whether the change takes effect at the end of the account's running billing period, in the tenant's time zone. Excludes `validFrom`.
    #[oai(default)]
    end_of_period: bool,
}

impl Validate for ServiceTransition {}

impl Example for ServiceTransition {
    fn example() -> Self {
        Self { status: "active".into(), reason: Some("installed".into()), valid_from: None, end_of_period: true }
    }
}

/// A service that an account uses.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub(crate) struct Service {
    /// Unique id.
    id: Uuid,
    /// Version, starting at 1.
    version: i64,
    /// External id: the id in your system.
    external_id: Option<String>,
    /// The owning account.
    account_id: Uuid,
    /// Id of the package subscription that includes the service, if any.
    package_subscription_id: Option<Uuid>,
    /// Display name.
    name: String,
    /// Kind of service.
    service_type: String,
    /// Status: a service status of the billing settings.
    status: String,
    /// Reason for the status, if one was given.
    status_reason: Option<String>,
    /// Time of the last status change.
    status_changed_at: Moment,
    /// The planned status change, if any.
    planned_status_change: Option<PlannedStatus>,
    /// The status by day, oldest first, up to the latest 1 000 changes. Absent until the first change of a service from a version without it.
    status_history: Option<Vec<StatusFrom>>,
    /// `true` if the service was suspended with its account; reactivating the account then restores it. Otherwise absent.
    suspended_with_account: Option<bool>,
    /// Custom attributes, by name. Absent if there are none.
    attributes: Option<HashMap<String, String>>,
    /// Creation time.
    created_at: Moment,
    /// Time of the last change.
    updated_at: Moment,
}

impl Example for Service {
    fn example() -> Self {
        Self {
            id: example_id(13),
            version: 1,
            external_id: Some("LINE-0042".to_owned()),
            account_id: example_id(1),
            package_subscription_id: Some(example_id(12)),
            name: "Truck 42".to_owned(),
            service_type: "iot-sim".to_owned(),
            status: "preactive".to_owned(),
            status_reason: None,
            status_changed_at: example_moment(),
            planned_status_change: None,
            status_history: None,
            suspended_with_account: None,
            attributes: None,
            created_at: example_moment(),
            updated_at: example_moment(),
        }
    }
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Services")]
impl Services {
    /// Create a service
    ///
    /// The service starts in the initial service status of the billing settings.
    #[oai(path = "/services", method = "post", operation_id = "createService")]
    async fn create(&self, context: Context, input: Validated<ServiceInput>) -> Result<Created, Problem> {
        let new = input.body;
        let command = service::Create {
            id: ServiceId(fresh()),
            external_id: new.external_id.map(|id| id.0),
            name: new.name.0,
            service_type: new.service_type.0,
            attributes: attributes(new.attributes),
        };
        let use_case = CreateService { package_subscription: new.package_subscription.map(|reference| reference.0), command };
        let reply = context.execute_on(&new.account, input.canonical.as_deref(), use_case).await?;
        Ok(Created::under("/v1/services", reply))
    }

    /// List services
    ///
    /// Oldest first.
    #[oai(path = "/services", method = "get", operation_id = "listServices")]
    async fn list(
        &self,
        context: Context,
        /// Only services of this account, by its id or external id.
        account: Query<Reference>,
        /// Only services with this status.
        status: Query<StatusName>,
        /// Only services included in this package subscription, by its id or external id.
        #[oai(name = "packageSubscription")]
        subscription: Query<Reference>,
        /// Only those with this attribute, as `name:text`. Can be repeated, up to 10 times; all must hold.
        attribute: QueryAll<AttributeFilter>,
    ) -> Result<Listed<Service>, Problem> {
        let filter = Filter::new()
            .is_id("account_id", context.filtered::<Account>(&account).await?)
            .is("status", status.0.as_ref().map(|status| status.0.as_str()))
            .is_id("package_subscription_id", context.filtered::<PackageSubscription>(&subscription).await?)
            .attributes::<service::Service>(context.tenant(), &wanted(&attribute));
        Listed::objects::<service::Service>(&context, filter).await
    }

    /// Get a service
    ///
    /// Returns the object with this id or external id.
    #[oai(path = "/services/:service", method = "get", operation_id = "getService")]
    async fn get(
        &self,
        context: Context,
        known: IfNoneMatch,
        /// Id or external id of the service.
        service: Path<Reference>,
    ) -> Result<Found<Service>, Problem> {
        Found::of(&context.app().get::<service::Service>(context.tenant(), &service.0.0).await?, &known)
    }

    /// Change a service
    ///
    /// Absent members keep their values; null unsets a member. The status has its own operation.
    #[oai(path = "/services/:service", method = "patch", operation_id = "updateService")]
    async fn update(
        &self,
        context: Context,
        /// Id or external id of the service.
        service: Path<Reference>,
        input: Validated<ServiceUpdate>,
    ) -> Result<Done, Problem> {
        let asked = input.body;
        let command = service::Update {
            external_id: asked.external_id.map(|id| id.0),
            name: asked.name.map(|name| name.0),
            attributes: changes(asked.attributes),
        };
        Ok(Done(context.execute_on(&service.0, input.canonical.as_deref(), UpdateService { command }).await?))
    }

    /// Delete a service
    ///
    /// Allowed only in the initial status, and only without usage identifiers, buckets and charges. Cancel other services instead.
    #[oai(path = "/services/:service", method = "delete", operation_id = "deleteService")]
    async fn delete(
        &self,
        context: Context,
        /// Id or external id of the service.
        service: Path<Reference>,
    ) -> Result<Done, Problem> {
        Ok(Done(context.execute_on(&service.0, None, DeleteService).await?))
    }

    /// Change a service's status
    ///
    /// Changes the status along the service transitions of the billing settings.
    ///
    /// With `validFrom` or `endOfPeriod`, the change is planned, as by `changeAccountStatus`: a second plan replaces the first, and a change
    /// at once withdraws a planned one that cannot follow it.
    #[oai(path = "/services/:service/status", method = "post", operation_id = "transitionService")]
    async fn transition(
        &self,
        context: Context,
        /// Id or external id of the service.
        service: Path<Reference>,
        input: Validated<ServiceTransition>,
    ) -> Result<Done, Problem> {
        let ServiceTransition { status, reason, valid_from, end_of_period } = input.body;
        let (reason, start) = (reason.map(|reason| reason.0), start(valid_from, end_of_period)?);
        let use_case = TransitionService { status: status.0, reason, start };
        Ok(Done(context.execute_on(&service.0, input.canonical.as_deref(), use_case).await?))
    }
}
