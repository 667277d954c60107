//! Chargeable events: their events and parameters.

use crate::events::{
    catalogue::{EventType, Key, Source},
    objects::adjustment,
    parameters::{Group, Parameter, p},
};

/// What a chargeable event's events offer of it.
pub const PARAMETERS: &[Parameter] = &[
    p("chargeableEvent.id", "The charge's id", "0198c0de-0000-7000-8000-000000000030"),
    p("chargeableEvent.externalId", "The charge's id in the outside system, where it has one", "CDR-2027-01-15-0001"),
    p("chargeableEvent.type", "What kind of charge it is", "voice"),
    p("chargeableEvent.description", "The charge for people, where it has a description", "Call to Norway, 12 minutes"),
    p("chargeableEvent.quantity", "How much was used, where it is known", "12"),
    p("chargeableEvent.unit", "What the quantity counts", "minute"),
    p("chargeableEvent.amount", "What was charged, as recorded", "1.20"),
    p("chargeableEvent.netAmount", "What is charged after all adjustments", "0.95"),
    p("chargeableEvent.currency", "The charge's currency, ISO 4217", "EUR"),
    p("chargeableEvent.occurredAt", "Moment it happened, UTC", "2027-01-15T09:30:00Z"),
    p("chargeableEvent.state", "Whether it stands on an invoice", "unbilled"),
];

const CHARGE: Source = Source {
    kind: "chargeableEvent",
    key: Key::Account,
    groups: &[Group::Core, Group::Account, Group::Company, Group::Contact, Group::Package, Group::Service, Group::ChargeableEvent],
};

/// The events of chargeable events.
pub const EVENTS: &[EventType] = &[
    CHARGE.object("chargeable_event.created", "Chargeable Event Created", "recordChargeableEvents"),
    CHARGE.object("chargeable_event.updated", "Chargeable Event Updated", "adjustChargeableEvent"),
    CHARGE.lifecycle("chargeable_event.adjusted", "Chargeable Event Adjusted", "adjustChargeableEvent").with(adjustment::PARAMETERS),
];
