//! The one list of built-in event types.

use serde::Serialize;

use super::parameters::{Group, Parameter};

/// Which family an event belongs to (DESIGN section 5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Family {
    /// State of one created, updated or deleted object.
    Object,
    /// An occurrence a person or process reacts to.
    Lifecycle,
}

/// A built-in event type.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EventType {
    /// `<object>.<what happened>`.
    pub name: &'static str,
    /// The name people know it by.
    pub title: &'static str,
    /// Object or lifecycle.
    pub family: Family,
    /// What makes it happen.
    pub trigger: &'static str,
    /// The groups of parameters it offers.
    pub groups: &'static [Group],
}

impl EventType {
    /// The parameters this event offers, group by group.
    pub fn parameters(&self) -> impl Iterator<Item = &'static Parameter> + '_ {
        self.groups.iter().flat_map(|group| group.parameters())
    }

    /// The object token of the name.
    pub fn object(&self) -> &'static str {
        self.name.split_once('.').map_or(self.name, |(object, _)| object)
    }
}

const ACCOUNT: &[Group] = &[Group::Core, Group::Account];
const BILL_CYCLE: &[Group] = &[Group::Core, Group::BillCycle];

/// Every built-in event type, by object.
pub const CATALOGUE: &[EventType] = &[
    EventType { name: "account.created", title: "Account Created", family: Family::Object, trigger: "createAccount", groups: ACCOUNT },
    EventType {
        name: "account.updated",
        title: "Account Updated",
        family: Family::Object,
        trigger: "every operation and due date that changes an account",
        groups: ACCOUNT,
    },
    EventType {
        name: "account.status_changed",
        title: "Account Status Change",
        family: Family::Lifecycle,
        trigger: "changeAccountStatus",
        groups: ACCOUNT,
    },
    EventType {
        name: "account.cancelled",
        title: "Account Cancellation",
        family: Family::Lifecycle,
        trigger: "changeAccountStatus to deactivated",
        groups: ACCOUNT,
    },
    EventType {
        name: "account.bill_cycle_change_planned",
        title: "Account Bill Cycle Change Planned",
        family: Family::Lifecycle,
        trigger: "updateAccountBillCycle with a validFrom in the future",
        groups: ACCOUNT,
    },
    EventType {
        name: "account.bill_cycle_change_cancelled",
        title: "Account Bill Cycle Change Cancelled",
        family: Family::Lifecycle,
        trigger: "cancelAccountBillCycleChange",
        groups: ACCOUNT,
    },
    EventType {
        name: "account.bill_cycle_changed",
        title: "Account Bill Cycle Changed",
        family: Family::Lifecycle,
        trigger: "updateAccountBillCycle at once, performAccountBillCycleChange, or a planned change that falls due",
        groups: ACCOUNT,
    },
    EventType {
        name: "bill_cycle.created",
        title: "Bill Cycle Created",
        family: Family::Object,
        trigger: "createBillCycle",
        groups: BILL_CYCLE,
    },
];

/// The built-in event type of this name.
pub fn find(name: &str) -> Option<&'static EventType> {
    CATALOGUE.iter().find(|event| event.name == name)
}
