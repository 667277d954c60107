//! Usage identifiers: their events and parameters.

use crate::events::{
    catalogue::{EventType, Key, Source},
    parameters::{Group, Parameter, n, p},
};

/// The usage identifier parameters of a usage identifier's events.
pub const PARAMETERS: &[Parameter] = &[
    p("usageIdentifier.id", "The usage identifier's id", "0198c0de-0000-7000-8000-000000000016"),
    p("usageIdentifier.externalId", "The usage identifier's id in the external system, if any", "SIM-0042"),
    p("usageIdentifier.kind", "Kind of identifier", "iccid"),
    p("usageIdentifier.value", "The identifier itself", "8949010000000000042"),
    p("usageIdentifier.lastUsageOn", "Latest date of usage, if any", "2027-01-15"),
    n("usageIdentifier.dormantAfterDays", "Days without usage until the identifier is dormant, if set", "30"),
    p("usageIdentifier.dormantSince", "When the identifier became dormant, if it is dormant, UTC", "2027-02-15T00:00:00Z"),
];

const IDENTIFIER: Source = Source {
    kind: "usageIdentifier",
    key: Key::Account,
    groups: &[Group::Core, Group::Account, Group::Company, Group::Contact, Group::Package, Group::Service, Group::UsageIdentifier],
};

/// The events of usage identifiers.
pub const EVENTS: &[EventType] = &[
    IDENTIFIER.object("usage_identifier.created", "Usage Identifier Created", "createUsageIdentifier"),
    IDENTIFIER.object(
        "usage_identifier.updated",
        "Usage Identifier Updated",
        "updateUsageIdentifier, the first charge of a day, and the clock when the identifier becomes dormant",
    ),
    IDENTIFIER.object("usage_identifier.deleted", "Usage Identifier Deleted", "deleteUsageIdentifier"),
    IDENTIFIER
        .lifecycle(
            "usage_identifier.dormant",
            "Dormant Usage Identifier",
            "the clock, once, after the configured number of days without usage",
        )
        .also(&["Dormant SIM"]),
];
