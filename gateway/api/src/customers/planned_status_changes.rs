//! Planned status changes of package subscriptions and services: cancelled, performed.

use billwire_app::{
    CancelStatusChange, PerformStatusChange,
    domain::customers::{package_subscription, service},
};
use billwire_schemas::refusal::Code;
use poem_openapi::{OpenApi, param::Path};

use crate::{
    customers::{account_bill_cycle::NoMembers, package_subscriptions, services},
    http::{problem::Problem, request_context::Context, responses::Done, validated_body::Validated},
    openapi::operation::{Operation, change, updated},
    types::scalars::Reference,
};

pub(crate) struct PlannedStatusChanges;

/// Registry entries of the operations below.
pub(crate) const OPERATIONS: &[Operation] = &[
    change(
        "cancelPackageSubscriptionStatusChange",
        "package_subscriptions:write",
        &[Code::PackageSubscriptionNotFound, Code::AccountDeactivated, Code::NoStatusChangeInProgress],
        updated("packageSubscription", "PackageSubscription", &["package_subscription.updated", "package.status_change_cancelled"]),
    ),
    change(
        "performPackageSubscriptionStatusChange",
        "package_subscriptions:write",
        &[
            Code::PackageSubscriptionNotFound,
            Code::AccountDeactivated,
            Code::NoStatusChangeInProgress,
            Code::StatusUnknown,
            Code::StatusTransitionNotAllowed,
        ],
        updated("packageSubscription", "PackageSubscription", &["package_subscription.updated", "package.status_changed"]),
    ),
    change(
        "cancelServiceStatusChange",
        "services:write",
        &[Code::ServiceNotFound, Code::AccountDeactivated, Code::NoStatusChangeInProgress],
        updated("service", "Service", &["service.updated", "service.state_change_cancelled"]),
    ),
    change(
        "performServiceStatusChange",
        "services:write",
        &[
            Code::ServiceNotFound,
            Code::AccountDeactivated,
            Code::NoStatusChangeInProgress,
            Code::StatusUnknown,
            Code::StatusTransitionNotAllowed,
        ],
        updated("service", "Service", &["service.updated", "service.state_changed"]),
    ),
];

#[OpenApi(prefix_path = "/v1")]
impl PlannedStatusChanges {
    /// Cancel a planned status change of a package subscription
    ///
    /// The subscription keeps its status. Also for a planned cancellation. The body is optional.
    #[oai(
        path = "/package-subscriptions/:packageSubscription/status-change/cancel",
        method = "post",
        operation_id = "cancelPackageSubscriptionStatusChange",
        tag = "package_subscriptions::Tag::PackageSubscriptions"
    )]
    async fn cancel_of_subscription(
        &self,
        context: Context,
        /// Id or external id of the package subscription.
        #[oai(name = "packageSubscription")]
        subscription: Path<Reference>,
        input: Validated<Option<NoMembers>>,
    ) -> Result<Done, Problem> {
        let use_case = CancelStatusChange::<package_subscription::PackageSubscription>::default();
        Ok(Done(context.execute_on(&subscription.0, input.canonical.as_deref(), use_case).await?))
    }

    /// Perform a planned status change of a package subscription now
    ///
    /// The change takes effect immediately instead of at its `validFrom`. Also for a planned cancellation. The body is optional.
    #[oai(
        path = "/package-subscriptions/:packageSubscription/status-change/perform",
        method = "post",
        operation_id = "performPackageSubscriptionStatusChange",
        tag = "package_subscriptions::Tag::PackageSubscriptions"
    )]
    async fn perform_of_subscription(
        &self,
        context: Context,
        /// Id or external id of the package subscription.
        #[oai(name = "packageSubscription")]
        subscription: Path<Reference>,
        input: Validated<Option<NoMembers>>,
    ) -> Result<Done, Problem> {
        let use_case = PerformStatusChange::<package_subscription::PackageSubscription>::default();
        Ok(Done(context.execute_on(&subscription.0, input.canonical.as_deref(), use_case).await?))
    }

    /// Cancel a planned status change of a service
    ///
    /// The service keeps its status. The body is optional.
    #[oai(
        path = "/services/:service/status-change/cancel",
        method = "post",
        operation_id = "cancelServiceStatusChange",
        tag = "services::Tag::Services"
    )]
    async fn cancel_of_service(
        &self,
        context: Context,
        /// Id or external id of the service.
        service: Path<Reference>,
        input: Validated<Option<NoMembers>>,
    ) -> Result<Done, Problem> {
        let use_case = CancelStatusChange::<service::Service>::default();
        Ok(Done(context.execute_on(&service.0, input.canonical.as_deref(), use_case).await?))
    }

    /// Perform a planned status change of a service now
    ///
    /// The change takes effect immediately instead of at its `validFrom`. The body is optional.
    #[oai(
        path = "/services/:service/status-change/perform",
        method = "post",
        operation_id = "performServiceStatusChange",
        tag = "services::Tag::Services"
    )]
    async fn perform_of_service(
        &self,
        context: Context,
        /// Id or external id of the service.
        service: Path<Reference>,
        input: Validated<Option<NoMembers>>,
    ) -> Result<Done, Problem> {
        let use_case = PerformStatusChange::<service::Service>::default();
        Ok(Done(context.execute_on(&service.0, input.canonical.as_deref(), use_case).await?))
    }
}
