//! Chargeable events: their events and parameters.

use crate::events::{
    catalogue::{EventType, Key, Source},
    objects::adjustment,
    parameters::{Group, Parameter, p},
};

/// The charge parameters of a chargeable event's events.
pub const PARAMETERS: &[Parameter] = &[
    p("chargeableEvent.id", "The charge's id", "0198c0de-0000-7000-8000-000000000030"),
    p("chargeableEvent.externalId", "The charge's id in the external system, if any", "CDR-2027-01-15-0001"),
    p("chargeableEvent.type", "Type of the charge", "voice"),
    p("chargeableEvent.description", "Description of the charge, if any", "Call to Norway, 12 minutes"),
    p("chargeableEvent.quantity", "Quantity used, if known", "12"),
    p("chargeableEvent.unit", "Unit of the quantity", "minute"),
    p("chargeableEvent.amount", "The amount as recorded", "1.20"),
    p("chargeableEvent.netAmount", "The amount after all adjustments", "0.95"),
    p("chargeableEvent.currency", "The charge's currency, ISO 4217", "EUR"),
    p("chargeableEvent.occurredAt", "When the charge occurred, UTC", "2027-01-15T09:30:00Z"),
    p("chargeableEvent.reversedAt", "When the charge was reversed, UTC", "2027-01-16T08:00:00Z"),
    p("chargeableEvent.state", "Whether the charge is on an invoice", "unbilled"),
];

const CHARGE: Source = Source {
    kind: "chargeableEvent",
    key: Key::Account,
    groups: &[Group::Core, Group::Account, Group::Company, Group::Contact, Group::Package, Group::Service, Group::ChargeableEvent],
};

/// The events of chargeable events.
pub const EVENTS: &[EventType] = &[
    CHARGE.object(
        "chargeable_event.created",
        "Chargeable Event Created",
        "recordChargeableEvents, reverseChargeableEvent with a replacement",
    ),
    CHARGE.object("chargeable_event.updated", "Chargeable Event Updated", "adjustChargeableEvent, reverseChargeableEvent"),
    CHARGE.lifecycle("chargeable_event.adjusted", "Chargeable Event Adjusted", "adjustChargeableEvent").with(adjustment::PARAMETERS),
    CHARGE.lifecycle("chargeable_event.reversed", "Chargeable Event Reversed", "reverseChargeableEvent"),
];
