//! What an account was when: its statuses and bill cycles by day, and the billing periods that follow from the cycles.

use billwire_schemas::ids::BillCycleId;
use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

use crate::{
    calendar::{BillingSchedule, Period, PeriodUnit},
    customers::account::{Account, Status},
    history::History,
};

/// A status, in a history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusInForce {
    /// The status.
    pub status: Status,
}

/// A bill cycle and its schedule, in a history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CycleInForce {
    /// The bill cycle.
    pub bill_cycle_id: BillCycleId,
    /// Its schedule, with the account's own billing day on an individual cycle.
    pub schedule: BillingSchedule,
}

/// The bill cycle an account is in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CurrentBillCycle {
    /// The bill cycle.
    pub bill_cycle_id: BillCycleId,
    /// The account's own billing day, on an individual cycle.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub billing_day: Option<u32>,
    /// The running billing period.
    pub period: Period,
    /// The short, prorated period between the current period and the first full one after a change of cycle.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub short_period: Option<Period>,
}

/// The billing period that `day` is in, as far as its cycle lets it run. `None` if no cycle is known.
pub fn period_on(cycles: &History<CycleInForce>, day: NaiveDate) -> Option<Period> {
    let (entry, until) = cycles.on(day)?;
    let full = entry.value.schedule.full_period_containing(day, entry.from);
    // The first cycle also counts for the days before it.
    let start = if cycles.begins() == Some(entry.from) { full.start } else { full.start.max(entry.from) };
    Some(Period { start, end: until.map_or(full.end, |until| full.end.min(until)) })
}

/// The billing period of the account that `day` is in, and the next one where it is the short one after a change of cycle.
pub fn running_period(cycles: &History<CycleInForce>, day: NaiveDate) -> Option<(Period, Option<Period>)> {
    let period = period_on(cycles, day)?;
    let next = cycles.on(period.end).filter(|(entry, _)| entry.from == period.end && !entry.value.schedule.is_billing_date(period.end));
    let start = cycles.begins().filter(|begins| *begins <= day).map_or(period.start, |begins| period.start.max(begins));
    Some((Period { start, ..period }, next.and_then(|_| period_on(cycles, period.end))))
}

impl Account {
    /// Whether the account's days are charged in this status.
    pub fn billable(status: Status) -> bool {
        matches!(status, Status::Active | Status::Suspended)
    }

    /// Fills in the bill cycle's history of an account that has not changed since a version without it. `schedule` is that of its cycle. A
    /// running period of an earlier cycle, which is no longer known, counts as a full one.
    #[must_use]
    pub fn with_bill_cycle_history(mut self, schedule: BillingSchedule) -> Self {
        if self.bill_cycle_history.is_empty() {
            let CurrentBillCycle { bill_cycle_id, period, short_period, .. } = self.bill_cycle;
            let current = CycleInForce { bill_cycle_id, schedule };
            self.bill_cycle_history = match short_period {
                None => History::starting(period.start, current),
                Some(short) => {
                    let length = u32::try_from(period.days()).unwrap_or(1).max(1);
                    let earlier = BillingSchedule { unit: PeriodUnit::Day, length, day: 1, month: 1 };
                    let mut history = History::starting(period.start, CycleInForce { bill_cycle_id, schedule: earlier });
                    history.set(short.start, current);
                    history
                }
            };
        }
        self
    }
}
