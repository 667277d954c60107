//! Services: their events and parameters.

use crate::events::{
    catalogue::{EventType, Key, Source},
    parameters::{Group, Parameter, attributes, b, p},
};

/// The service parameters in events of a service and of objects that belong to one.
pub const PARAMETERS: &[Parameter] = &[
    p("service.id", "The service's id", "0198c0de-0000-7000-8000-000000000006"),
    p("service.externalId", "The service's id in the external system, if any", "LINE-0042"),
    p("service.name", "The service's name", "Truck 42"),
    p("service.type", "Type of the service", "iot-sim"),
    p("service.status", "The service's status after the event", "active"),
    p("service.statusReason", "Why the service has this status, if given", "installed"),
    p("service.plannedStatus", "The service's status after the planned status change", "cancelled"),
    p("service.plannedStatusFrom", "When the planned status change takes effect, UTC", "2027-03-01T00:00:00Z"),
    attributes("service.attributes", "The service's custom attributes, if any: service.attributes.<name>"),
];

const SERVICE: Source = Source {
    kind: "service",
    key: Key::Account,
    groups: &[Group::Core, Group::Account, Group::Company, Group::Package, Group::Service, Group::Contact],
};

/// The events of services.
pub const EVENTS: &[EventType] = &[
    SERVICE.object("service.created", "Service Created", "createService"),
    SERVICE.object("service.updated", "Service Updated", "any operation that changes a service"),
    SERVICE.object("service.deleted", "Service Deleted", "deleteService"),
    SERVICE
        .lifecycle(
            "service.state_changed",
            "Service State Transition",
            "transitionService, performServiceStatusChange, a planned change that becomes due; changes of the account's status that include services",
        )
        .also(&["Account Service State Transition"])
        .with(&[
            p("service.previousStatus", "The service's status before the event", "preactive"),
            b("service.billable", "Whether the status after the event is billed", "true"),
        ]),
    SERVICE.lifecycle("service.state_change_planned", "Service State Transition Planned", "transitionService with validFrom or endOfPeriod"),
    SERVICE.lifecycle(
        "service.state_change_cancelled",
        "Service State Transition Cancelled",
        "cancelServiceStatusChange, a change of status that the planned one cannot follow, or the deactivation of the account",
    ),
];
