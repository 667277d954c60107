//! Parameters: the name-value pairs an event offers to templates, callouts and filters.
//!
//! They are contextual: an event offers the groups its object reaches by a relation to *one* thing (DESIGN section 5;
//! LogiSense notification tokens). A bill run spans many accounts and so offers no service name.

use serde::Serialize;

/// A group of parameters that come from one object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Group {
    /// Of the event itself: offered by every event.
    Core,
    /// Of the account the event belongs to.
    Account,
    /// Of the bill cycle the event is about.
    BillCycle,
}

/// One parameter as the catalogue tells of it.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Parameter {
    /// The name templates use, e.g. `account.name`.
    pub name: &'static str,
    /// What it means.
    pub meaning: &'static str,
    /// A value it could have.
    pub example: &'static str,
}

const fn p(name: &'static str, meaning: &'static str, example: &'static str) -> Parameter {
    Parameter { name, meaning, example }
}

const CORE: &[Parameter] = &[
    p("event.name", "The event's title in the catalogue", "Account Bill Cycle Changed"),
    p("event.type", "The event's type", "account.bill_cycle_changed"),
    p("tenant.name", "The tenant the event belongs to", "default"),
    p("current.date", "Date of the event, UTC", "2027-01-15"),
    p("current.time", "Time of the event, UTC", "09:30:00"),
    p("current.dateTime", "Moment of the event, UTC", "2027-01-15T09:30:00Z"),
];

const ACCOUNT: &[Parameter] = &[
    p("account.id", "The account's id", "0198c0de-0000-7000-8000-000000000001"),
    p("account.externalId", "The account's id in the outside system, where it has one", "CRM-4711"),
    p("account.name", "The account's name", "Acme Telecom"),
    p("account.status", "The account's status after the event", "active"),
    p("account.statusReason", "Why the account has this status, where a reason was given", "customer_request"),
    p("account.currency", "The account's currency, ISO 4217", "EUR"),
    p("account.billCycle", "Id of the account's bill cycle after the event", "0198c0de-0000-7000-8000-000000000002"),
    p("account.billingDay", "Day of the month, week or year the account is billed on", "15"),
    p("account.periodStart", "First day of the running billing period", "2027-01-15"),
    p("account.periodEnd", "First day after the running billing period", "2027-02-15"),
    p("account.plannedBillCycle", "Id of the bill cycle a planned change leads to", "0198c0de-0000-7000-8000-000000000003"),
    p("account.plannedFrom", "Moment the planned bill cycle change takes effect, UTC", "2027-02-01T00:00:00Z"),
];

const BILL_CYCLE: &[Parameter] = &[
    p("billCycle.id", "The bill cycle's id", "0198c0de-0000-7000-8000-000000000002"),
    p("billCycle.externalId", "The bill cycle's id in the outside system, where it has one", "MONTHLY-15"),
    p("billCycle.name", "The bill cycle's name", "Monthly on the 15th"),
    p("billCycle.period", "Unit of the billing period", "month"),
];

impl Group {
    /// The parameters of this group.
    pub fn parameters(self) -> &'static [Parameter] {
        match self {
            Self::Core => CORE,
            Self::Account => ACCOUNT,
            Self::BillCycle => BILL_CYCLE,
        }
    }
}

/// Up to three of `offered` that look most like `name`, nearest first; what a refusal proposes.
pub fn nearest<'a>(name: &str, offered: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut scored: Vec<(usize, &str)> = offered.map(|o| (distance(name, o), o)).collect();
    scored.sort();
    scored.dedup();
    scored.into_iter().filter(|(d, o)| *d <= o.len().max(name.len()) / 2).take(3).map(|(_, o)| o).collect()
}

/// Levenshtein distance, on bytes: names of parameters are ASCII.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.bytes().enumerate() {
        let mut before = row[0];
        row[0] = i + 1;
        for (j, cb) in b.bytes().enumerate() {
            let change = before + usize::from(ca != cb);
            before = row[j + 1];
            row[j + 1] = change.min(row[j] + 1).min(before + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typo_finds_the_name_that_was_meant() {
        let offered = || Group::Account.parameters().iter().map(|p| p.name);
        assert_eq!(nearest("account.nmae", offered())[0], "account.name");
        assert!(nearest("service.name.of.the.thing.over.there", offered()).is_empty());
    }
}
