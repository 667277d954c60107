//! Usage identifiers: their events and parameters.

use crate::events::{
    catalogue::{EventType, Key, Source},
    parameters::{Group, Parameter, n, p},
};

/// What a usage identifier's events offer of it.
pub const PARAMETERS: &[Parameter] = &[
    p("usageIdentifier.id", "The usage identifier's id", "0198c0de-0000-7000-8000-000000000016"),
    p("usageIdentifier.externalId", "Its id in the outside system, where it has one", "SIM-0042"),
    p("usageIdentifier.kind", "What kind of identifier it is", "iccid"),
    p("usageIdentifier.value", "The identifier itself", "8949010000000000042"),
    p("usageIdentifier.lastUsageOn", "The latest date of usage, where there was any", "2027-01-15"),
    n("usageIdentifier.dormantAfterDays", "After how many days without usage it is dormant, where that was set", "30"),
    p("usageIdentifier.dormantSince", "Moment since when it is dormant, while it is, UTC", "2027-02-15T00:00:00Z"),
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
        "updateUsageIdentifier, the first charge of a day, and the clock that finds it dormant",
    ),
    IDENTIFIER.object("usage_identifier.deleted", "Usage Identifier Deleted", "deleteUsageIdentifier"),
    IDENTIFIER
        .lifecycle("usage_identifier.dormant", "Dormant Usage Identifier", "the clock, after as many days without usage as were set, once")
        .also(&["Dormant SIM"]),
];
