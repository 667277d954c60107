//! Contracts: their events and parameters.

use crate::events::{
    catalogue::{EventType, Key, Source},
    parameters::{Group, Parameter, p},
};

/// The contract parameters of a contract's events.
pub const PARAMETERS: &[Parameter] = &[
    p("contract.id", "The contract's id", "0198c0de-0000-7000-8000-000000000018"),
    p("contract.externalId", "The contract's id in the external system, if any", "FRAME-2027"),
    p("contract.name", "The contract's name", "Frame contract 2027"),
    p("contract.status", "The contract's status after the event", "active"),
    p("contract.startDate", "First day of the contract", "2027-01-01"),
    p("contract.endDate", "First day after the contract, if it has an end", "2028-01-01"),
    p("contract.periodStart", "First day of the period the event is about", "2027-01-01"),
    p("contract.periodEnd", "First day after the period", "2027-02-01"),
    p("contract.currency", "Currency of the commitments, ISO 4217", "EUR"),
];

const TIER: &[Parameter] = &[
    p("contract.tier", "Name of the missed tier", "Gold"),
    p("contract.commit", "The committed amount", "500.00"),
    p("contract.spend", "The amount spent", "420.50"),
    p("contract.shortfall", "Committed amount minus amount spent", "79.50"),
];

const CONTRACT: Source =
    Source { kind: "contract", key: Key::Account, groups: &[Group::Core, Group::Account, Group::Company, Group::Contact, Group::Contract] };

/// The events of contracts.
pub const EVENTS: &[EventType] = &[
    CONTRACT.object("contract.created", "Contract Created", "createContract"),
    CONTRACT.object("contract.updated", "Contract Updated", "updateContract, and the clock at the end of each period"),
    CONTRACT.object("contract.deleted", "Contract Deleted", "deleteContract"),
    CONTRACT
        .lifecycle(
            "contract.under_commit",
            "Contract Under Commit",
            "the clock at the end of a period, for each tier whose commitment was missed",
        )
        .with(TIER)
        .also(&["Account Contract Under Commit"]),
];
