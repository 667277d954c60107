//! Package subscriptions.

use std::collections::HashMap;

use billwire_app::{
    CancelPackageSubscription, ChangePackageSubscriptionStatus, Filter, SubscribePackage, UpdatePackageSubscription,
    domain::customers::{account::Account, package::Package, package_subscription},
};
use billwire_schemas::ids::{PackageSubscriptionId, fresh};
use billwire_schemas::refusal::Code;
use chrono::NaiveDate;
use poem_openapi::{Object, OpenApi, Tags, param::Path, types::Example};
use serde_json::Value;
use uuid::Uuid;

use crate::{
    customers::planned_status::{PlannedStatus, start},
    http::{
        problem::{Problem, Violation},
        request_context::{Context, Query, QueryAll},
        responses::{Created, Done, Found, IfNoneMatch, Listed},
        validated_body::{Validate, Validated},
    },
    openapi::operation::{Operation, change, create, created, get, list, updated},
    types::attributes::{AttributeChanges, NewAttributes, attributes, changes, check_names, example_changes, wanted},
    types::example::{example_id, example_moment},
    types::nullable::Nullable,
    types::scalars::{AttributeFilter, Date, ExternalId, Moment, Reason, Reference, StatusName},
};

#[derive(Tags)]
pub(crate) enum Tag {
    /// Accounts' subscriptions to packages.
    #[oai(rename = "Package subscriptions")]
    PackageSubscriptions,
}

pub(crate) struct PackageSubscriptions;

/// Registry entries of the operations below.
pub(crate) const OPERATIONS: &[Operation] = &[
    create(
        "subscribePackage",
        "package_subscriptions:write",
        &[
            Code::TooManyAttributes,
            Code::AttributesTooLarge,
            Code::ExternalIdTaken,
            Code::AccountUnknown,
            Code::AccountDeactivated,
            Code::PackageUnknown,
            Code::CurrencyMismatch,
            Code::StartDateOutOfRange,
            Code::StatusUnknown,
            Code::StatusTransitionNotAllowed,
        ],
        created("packageSubscription", "PackageSubscription", &["package_subscription.created"]),
    ),
    list("listPackageSubscriptions", "package_subscriptions:read"),
    get("getPackageSubscription", "package_subscriptions:read", &[Code::PackageSubscriptionNotFound]),
    change(
        "updatePackageSubscription",
        "package_subscriptions:write",
        &[
            Code::TooManyAttributes,
            Code::AttributesTooLarge,
            Code::PackageSubscriptionNotFound,
            Code::ExternalIdTaken,
            Code::AccountDeactivated,
        ],
        updated("packageSubscription", "PackageSubscription", &["package_subscription.updated"]),
    ),
    change(
        "changePackageSubscriptionStatus",
        "package_subscriptions:write",
        &[
            Code::PackageSubscriptionNotFound,
            Code::AccountDeactivated,
            Code::StatusUnknown,
            Code::StatusUnchanged,
            Code::StatusTransitionNotAllowed,
            Code::ValidFromInPast,
            Code::TimeOutOfRange,
            Code::ValidFromAmbiguous,
        ],
        updated("packageSubscription", "PackageSubscription", &["package_subscription.updated", "package.status_changed"]),
    ),
    change(
        "cancelPackageSubscription",
        "package_subscriptions:write",
        &[
            Code::PackageSubscriptionNotFound,
            Code::AccountDeactivated,
            Code::PackageSubscriptionCancelled,
            Code::ValidFromInPast,
            Code::TimeOutOfRange,
            Code::ValidFromAmbiguous,
        ],
        updated(
            "packageSubscription",
            "PackageSubscription",
            &["package_subscription.updated", "package.status_changed", "package.cancelled"],
        ),
    ),
];

/// The package subscription to create.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub(crate) struct PackageSubscriptionInput {
    /// External id: the id in your system; unique among package subscriptions. Operations accept it in place of the id.
    external_id: Option<ExternalId>,
    /// Id or external id of the subscribing account.
    account: Reference,
    /// Id or external id of the package; its currency must be that of the account.
    package: Reference,
    /// First day the fee is charged for, at most one year ago and ten years ahead. Absent: today in the tenant's time zone.
    start_date: Option<Date>,
    /// Status from the first day on: the initial package status of the billing settings, or one that it can change to. Absent: the initial one. A
    /// later change of status counts from its own day on.
    status: Option<StatusName>,
    /// Custom attributes: up to 50 names of 1 to 64 letters, digits, `_`, `-` and `.`, beginning with a letter, each with a text; together at most
    /// 16 KiB. Lists find objects by them, and events offer them as parameters.
    attributes: Option<NewAttributes>,
}

impl Validate for PackageSubscriptionInput {
    fn further(body: &Value, found: &mut Vec<Violation>) {
        check_names(body, found);
    }
}

impl Example for PackageSubscriptionInput {
    fn example() -> Self {
        Self {
            external_id: Some("ORDER-816".into()),
            account: "CRM-4711".into(),
            package: "FLEET-M".into(),
            start_date: None,
            status: None,
            attributes: None,
        }
    }
}

/// Changes to a package subscription. Absent members keep their values.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub(crate) struct PackageSubscriptionUpdate {
    /// External id: the id in your system; unique. The old one is free afterwards.
    external_id: Nullable<ExternalId>,
    /// Custom attributes, as a merge patch: a text sets one, null removes it; those that are not named stay. Null in place of the object removes all.
    attributes: AttributeChanges,
}

impl Validate for PackageSubscriptionUpdate {
    fn further(body: &Value, found: &mut Vec<Violation>) {
        check_names(body, found);
    }
}

impl Example for PackageSubscriptionUpdate {
    fn example() -> Self {
        Self { external_id: Nullable::default(), attributes: example_changes() }
    }
}

/// A status change of a package subscription.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub(crate) struct PackageSubscriptionStatusChange {
    /// The new status: a package status of the billing settings, reached by an allowed transition.
    status: StatusName,
    /// Reason for the change.
    reason: Option<Reason>,
    /// Time at which the change takes effect; must be in the future. Absent: immediately, unless `endOfPeriod` is set.
    valid_from: Option<Moment>,
    /// Whether the change takes effect at the end of the account's running billing period, in the tenant's time zone. Excludes `validFrom`.
    #[oai(default)]
    end_of_period: bool,
}

impl Validate for PackageSubscriptionStatusChange {}

impl Example for PackageSubscriptionStatusChange {
    fn example() -> Self {
        Self { status: "active".into(), reason: Some("ordered".into()), valid_from: None, end_of_period: true }
    }
}

/// A cancellation of a package subscription.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub(crate) struct PackageSubscriptionCancellation {
    /// Reason for the change.
    reason: Option<Reason>,
    /// Time at which the change takes effect; must be in the future. Absent: immediately, unless `endOfPeriod` is set.
    valid_from: Option<Moment>,
    /// Whether the change takes effect at the end of the account's running billing period, in the tenant's time zone. Excludes `validFrom`.
    #[oai(default)]
    end_of_period: bool,
}

impl Validate for PackageSubscriptionCancellation {}

impl Example for PackageSubscriptionCancellation {
    fn example() -> Self {
        Self { reason: Some("customer_request".into()), valid_from: None, end_of_period: false }
    }
}

/// A status, the first day it held, and whether it was billable then.
#[derive(Debug, Object)]
pub(crate) struct StatusFrom {
    /// First day, in the tenant's time zone.
    pub from: NaiveDate,
    /// The status.
    pub status: String,
    /// Whether the billing settings made it billable when it began.
    pub billable: bool,
}

/// An account's subscription to a package.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub(crate) struct PackageSubscription {
    /// Unique id.
    id: Uuid,
    /// Version, starting at 1.
    version: i64,
    /// External id: the id in your system.
    external_id: Option<String>,
    /// The owning account.
    account_id: Uuid,
    /// Id of the package.
    package_id: Uuid,
    /// Status: a package status of the billing settings.
    status: String,
    /// Reason for the status, if one was given.
    status_reason: Option<String>,
    /// First day the fee is charged for.
    start_date: NaiveDate,
    /// First day the fee is no longer charged for, once cancelled.
    end_date: Option<NaiveDate>,
    /// First day the fee has not been billed for.
    fee_billed_until: NaiveDate,
    /// The planned status change, if any.
    planned_status_change: Option<PlannedStatus>,
    /// The status by day, oldest first, up to the latest 1 000 changes: the fee is charged for billable days. Absent until the first change
    /// of a subscription from a version without it.
    status_history: Option<Vec<StatusFrom>>,
    /// Custom attributes, by name. Absent if there are none.
    attributes: Option<HashMap<String, String>>,
    /// Creation time.
    created_at: Moment,
    /// Time of the last change.
    updated_at: Moment,
}

impl Example for PackageSubscription {
    fn example() -> Self {
        let start = NaiveDate::from_ymd_opt(2027, 1, 4).unwrap_or_default();
        Self {
            id: example_id(12),
            version: 1,
            external_id: Some("ORDER-815".to_owned()),
            account_id: example_id(1),
            package_id: example_id(11),
            status: "pending".to_owned(),
            status_reason: None,
            start_date: start,
            end_date: None,
            fee_billed_until: start,
            planned_status_change: None,
            status_history: Some(vec![StatusFrom { from: start, status: "pending".to_owned(), billable: false }]),
            attributes: None,
            created_at: example_moment(),
            updated_at: example_moment(),
        }
    }
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::PackageSubscriptions")]
impl PackageSubscriptions {
    /// Subscribe a package
    ///
    /// Subscribes an account to a package. The subscription starts in the initial package status of the billing settings unless `status` says
    /// otherwise. Its fee is charged for the days on which its status is billable; before today it has had the status that it starts in.
    #[oai(path = "/package-subscriptions", method = "post", operation_id = "subscribePackage")]
    async fn subscribe(&self, context: Context, input: Validated<PackageSubscriptionInput>) -> Result<Created, Problem> {
        let new = input.body;
        let command = package_subscription::Subscribe {
            id: PackageSubscriptionId(fresh()),
            external_id: new.external_id.map(|id| id.0),
            start_date: new.start_date.map(|date| date.0),
            status: new.status.map(|status| status.0),
            attributes: attributes(new.attributes),
        };
        let use_case = SubscribePackage { package: new.package.0, command };
        let reply = context.execute_on(&new.account, input.canonical.as_deref(), use_case).await?;
        Ok(Created::under("/v1/package-subscriptions", reply))
    }

    /// List package subscriptions
    ///
    /// Oldest first.
    #[oai(path = "/package-subscriptions", method = "get", operation_id = "listPackageSubscriptions")]
    async fn list(
        &self,
        context: Context,
        /// Only subscriptions of this account, by its id or external id.
        account: Query<Reference>,
        /// Only subscriptions to this package, by its id or external id.
        package: Query<Reference>,
        /// Only subscriptions with this status.
        status: Query<StatusName>,
        /// Only those with this attribute, as `name:text`. Can be repeated, up to 10 times; all must hold.
        attribute: QueryAll<AttributeFilter>,
    ) -> Result<Listed<PackageSubscription>, Problem> {
        let filter = Filter::new()
            .is_id("account_id", context.filtered::<Account>(&account).await?)
            .is_id("package_id", context.filtered::<Package>(&package).await?)
            .is("status", status.0.as_ref().map(|status| status.0.as_str()))
            .attributes::<package_subscription::PackageSubscription>(context.tenant(), &wanted(&attribute));
        Listed::objects::<package_subscription::PackageSubscription>(&context, filter).await
    }

    /// Get a package subscription
    ///
    /// Returns the object with this id or external id.
    #[oai(path = "/package-subscriptions/:packageSubscription", method = "get", operation_id = "getPackageSubscription")]
    async fn get(
        &self,
        context: Context,
        known: IfNoneMatch,
        /// Id or external id of the package subscription.
        #[oai(name = "packageSubscription")]
        subscription: Path<Reference>,
    ) -> Result<Found<PackageSubscription>, Problem> {
        let app = context.app();
        Found::of(&app.get::<package_subscription::PackageSubscription>(context.tenant(), &subscription.0.0).await?, &known)
    }

    /// Change a package subscription
    ///
    /// Absent members keep their values; null unsets a member. The status has its own operations.
    #[oai(path = "/package-subscriptions/:packageSubscription", method = "patch", operation_id = "updatePackageSubscription")]
    async fn update(
        &self,
        context: Context,
        /// Id or external id of the package subscription.
        #[oai(name = "packageSubscription")]
        subscription: Path<Reference>,
        input: Validated<PackageSubscriptionUpdate>,
    ) -> Result<Done, Problem> {
        let asked = input.body;
        let command = package_subscription::Update { external_id: asked.external_id.map(|id| id.0), attributes: changes(asked.attributes) };
        Ok(Done(context.execute_on(&subscription.0, input.canonical.as_deref(), UpdatePackageSubscription { command }).await?))
    }

    /// Change a package subscription's status
    ///
    /// Changes the status along the package transitions of the billing settings. Changing to the cancelled status cancels the subscription.
    ///
    /// With `validFrom` or `endOfPeriod`, the change is planned, as by `changeAccountStatus`: a second plan replaces the first, and a change
    /// at once withdraws a planned one that cannot follow it.
    #[oai(path = "/package-subscriptions/:packageSubscription/status", method = "post", operation_id = "changePackageSubscriptionStatus")]
    async fn change_status(
        &self,
        context: Context,
        /// Id or external id of the package subscription.
        #[oai(name = "packageSubscription")]
        subscription: Path<Reference>,
        input: Validated<PackageSubscriptionStatusChange>,
    ) -> Result<Done, Problem> {
        let PackageSubscriptionStatusChange { status, reason, valid_from, end_of_period } = input.body;
        let (reason, start) = (reason.map(|reason| reason.0), start(valid_from, end_of_period)?);
        let use_case = ChangePackageSubscriptionStatus { status: status.0, reason, start };
        Ok(Done(context.execute_on(&subscription.0, input.canonical.as_deref(), use_case).await?))
    }

    /// Cancel a package subscription
    ///
    /// The subscription ends today in the tenant's time zone; today is the first day without a fee. No transition to the cancelled
    /// status is required. With `validFrom` or `endOfPeriod`, the cancellation is planned. The body is optional.
    #[oai(path = "/package-subscriptions/:packageSubscription/cancel", method = "post", operation_id = "cancelPackageSubscription")]
    async fn cancel(
        &self,
        context: Context,
        /// Id or external id of the package subscription.
        #[oai(name = "packageSubscription")]
        subscription: Path<Reference>,
        input: Validated<Option<PackageSubscriptionCancellation>>,
    ) -> Result<Done, Problem> {
        let absent = PackageSubscriptionCancellation { reason: None, valid_from: None, end_of_period: false };
        let PackageSubscriptionCancellation { reason, valid_from, end_of_period } = input.body.unwrap_or(absent);
        let (reason, start) = (reason.map(|reason| reason.0), start(valid_from, end_of_period)?);
        Ok(Done(context.execute_on(&subscription.0, input.canonical.as_deref(), CancelPackageSubscription { reason, start }).await?))
    }
}
