//! Bill cycles: their events and parameters.

use crate::events::{
    catalogue::{EventType, Key, Source},
    parameters::{Group, Parameter, p},
};

/// The bill cycle parameters of a bill cycle's events.
pub const PARAMETERS: &[Parameter] = &[
    p("billCycle.id", "The bill cycle's id", "0198c0de-0000-7000-8000-000000000002"),
    p("billCycle.externalId", "The bill cycle's id in the external system, if any", "MONTHLY-15"),
    p("billCycle.name", "The bill cycle's name", "Monthly on the 15th"),
    p("billCycle.period", "Unit of the billing period", "month"),
];

const BILL_CYCLE: Source = Source { kind: "billCycle", key: Key::Object, groups: &[Group::Core, Group::BillCycle] };

/// The events of bill cycles.
pub const EVENTS: &[EventType] = &[
    BILL_CYCLE.object("bill_cycle.created", "Bill Cycle Created", "createBillCycle"),
    BILL_CYCLE.object(
        "bill_cycle.updated",
        "Bill Cycle Updated",
        "updateBillCycle, or an announced billing date or a bill run that the clock has started",
    ),
    BILL_CYCLE.object("bill_cycle.deleted", "Bill Cycle Deleted", "deleteBillCycle"),
];
