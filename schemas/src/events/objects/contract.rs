//! Contracts: their events and parameters.

use crate::events::{
    catalogue::{EventType, Key, Source},
    parameters::{Group, Parameter, p},
};

/// What a contract's events offer of it.
pub const PARAMETERS: &[Parameter] = &[
    p("contract.id", "The contract's id", "0198c0de-0000-7000-8000-000000000018"),
    p("contract.externalId", "Its id in the outside system, where it has one", "FRAME-2027"),
    p("contract.name", "The contract's name", "Frame contract 2027"),
    p("contract.status", "Whether it still runs", "active"),
    p("contract.startDate", "Its first day", "2027-01-01"),
    p("contract.endDate", "The first day it no longer holds, where it has an end", "2028-01-01"),
    p("contract.periodStart", "First day of the period the event is about", "2027-01-01"),
    p("contract.periodEnd", "First day after that period", "2027-02-01"),
    p("contract.currency", "Currency of its commitments, ISO 4217", "EUR"),
];

const TIER: &[Parameter] = &[
    p("contract.tier", "Name of the tier fallen short of", "Gold"),
    p("contract.commit", "What was committed to", "500.00"),
    p("contract.spend", "What was spent", "420.50"),
    p("contract.shortfall", "How much is missing", "79.50"),
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
            "the clock at the end of a period, for each tier that was fallen short of",
        )
        .with(TIER)
        .also(&["Account Contract Under Commit"]),
];
