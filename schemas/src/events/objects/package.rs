//! Packages: their events and parameters.
//!
//! `package.created`, `.updated` and `.deleted` are about the package itself; `package.status_changed` and `package.cancelled` are about
//! an account's subscription to a package and are defined in [`package_subscription`](super::package_subscription).

use crate::events::{
    catalogue::{EventType, Key, Source},
    parameters::{Group, Parameter, attributes, p},
};

const ID: Parameter = p("package.id", "The package's id", "0198c0de-0000-7000-8000-000000000004");
const EXTERNAL_ID: Parameter = p("package.externalId", "The package's id in the external system, if any", "FLEET-M");
const NAME: Parameter = p("package.name", "The package's name", "Fleet M");
const FEE: Parameter = p("package.recurringFee", "The package's fee per billing period", "9.90");
const CURRENCY: Parameter = p("package.currency", "The currency of the package's fee, ISO 4217", "EUR");

/// The package parameters of a package's events.
pub const CATALOGUE_PARAMETERS: &[Parameter] = &[ID, EXTERNAL_ID, NAME, FEE, CURRENCY];

/// The package and subscription parameters in events of a package subscription and of the services that belong to one.
pub const PARAMETERS: &[Parameter] = &[
    ID,
    EXTERNAL_ID,
    NAME,
    FEE,
    CURRENCY,
    p("package.subscriptionId", "Id of the account's subscription to the package", "0198c0de-0000-7000-8000-000000000005"),
    p("package.subscriptionExternalId", "The subscription's id in the external system, if any", "ORDER-815"),
    p("package.status", "The subscription's status after the event", "active"),
    p("package.statusReason", "Why the subscription has this status, if given", "ordered"),
    p("package.startDate", "First day of the subscription", "2027-01-15"),
    p("package.endDate", "First day after the subscription, once it is cancelled", "2027-03-01"),
    p("package.plannedStatus", "The subscription's status after the planned status change", "cancelled"),
    p("package.plannedStatusFrom", "When the planned status change takes effect, UTC", "2027-03-01T00:00:00Z"),
    attributes("package.attributes", "The subscription's custom attributes, if any: package.attributes.<name>"),
];

/// The subscription parameters among these. A further step of a path reaches the subscribed package's parameters.
pub const SUBSCRIPTION_PARAMETERS: &[Parameter] = PARAMETERS.split_at(CATALOGUE_PARAMETERS.len()).1;

const PACKAGE: Source = Source { kind: "package", key: Key::Object, groups: &[Group::Core] };

/// The events of packages.
pub const EVENTS: &[EventType] = &[
    PACKAGE.object("package.created", "Package Created", "createPackage").with(CATALOGUE_PARAMETERS),
    PACKAGE.object("package.updated", "Package Updated", "updatePackage").with(CATALOGUE_PARAMETERS),
    PACKAGE.object("package.deleted", "Package Deleted", "deletePackage").with(CATALOGUE_PARAMETERS),
];
