//! Package subscriptions: their events. Their parameters are defined with those of packages.

use crate::events::{
    catalogue::{EventType, Key, Source},
    parameters::Group,
};

const SUBSCRIPTION: Source = Source {
    kind: "packageSubscription",
    key: Key::Account,
    groups: &[Group::Core, Group::Account, Group::Company, Group::Package, Group::Contact],
};

/// The events of package subscriptions.
pub const EVENTS: &[EventType] = &[
    SUBSCRIPTION.object("package_subscription.created", "Package Subscription Created", "subscribePackage"),
    SUBSCRIPTION.object(
        "package_subscription.updated",
        "Package Subscription Updated",
        "any operation or bill run that changes a package subscription",
    ),
    SUBSCRIPTION
        .lifecycle(
            "package.status_changed",
            "Account Package Change",
            "changePackageSubscriptionStatus, cancelPackageSubscription, performPackageSubscriptionStatusChange, a planned change that becomes \
             due, or the deactivation of the account",
        )
        .also(&["Account Package Status Change"]),
    SUBSCRIPTION.lifecycle(
        "package.cancelled",
        "Package Cancellation",
        "cancelPackageSubscription, another change to the cancelled status, or the deactivation of the account",
    ),
    SUBSCRIPTION.lifecycle(
        "package.status_change_planned",
        "Account Package Change Planned",
        "changePackageSubscriptionStatus or cancelPackageSubscription with validFrom or endOfPeriod",
    ),
    SUBSCRIPTION.lifecycle(
        "package.status_change_cancelled",
        "Account Package Change Cancelled",
        "cancelPackageSubscriptionStatusChange, a change of status that the planned one cannot follow, or the deactivation of the account",
    ),
];
