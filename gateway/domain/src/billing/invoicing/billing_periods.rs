//! The days that fees cover: an account's billing periods, as its bill cycles ran at the time.

use chrono::NaiveDate;

use crate::{
    calendar::{Period, RecurringPeriod},
    customers::account::CycleInForce,
    history::History,
};

/// More periods than an invoice needs (ten years of daily ones); bounds the work for any dates.
const PERIODS_MAX: usize = 4_000;

/// The days of a billing period, or of the part of it that ran before or after a change of cycle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BillingPeriod {
    /// The days.
    pub period: Period,
    /// Days of the full period; a fee is prorated as `days / full_days`.
    pub full_days: i64,
    /// The first day of the period, also if the days are only the rest of it: those before were billed earlier.
    pub begins: NaiveDate,
}

/// The billing periods within `days`, oldest first. Of a period that a change of cycle cuts, each cycle has its days, with the length of the full
/// period of that cycle. The days before the first cycle are in periods of that cycle.
pub fn billing_periods(cycles: &History<CycleInForce>, days: Period) -> Vec<BillingPeriod> {
    let mut found = Vec::new();
    for (held, entry) in cycles.within(days) {
        let schedule = entry.value.schedule;
        let mut full = schedule.full_period_containing(held.start, entry.from);
        let first = cycles.begins() == Some(entry.from);
        while full.start < held.end && found.len() < PERIODS_MAX {
            let begins = if first { full.start } else { full.start.max(entry.from) };
            found.extend(full.within(held).map(|period| BillingPeriod { period, full_days: full.days(), begins }));
            full = schedule.full_period(full.end);
        }
    }
    found
}

impl BillingPeriod {
    /// The days of the period at one price, as a fee is prorated for them: against the full billing period, or against each full period of the
    /// package's own, which are counted from `start`.
    pub fn prorated(&self, days: Period, own: Option<RecurringPeriod>, start: NaiveDate) -> Vec<Self> {
        let Some(own) = own else { return vec![Self { period: days, ..*self }] };
        let full = own.starting(start).skip_while(|full| full.end <= days.start).take_while(|full| full.start < days.end);
        full.filter_map(|full| Some(Self { period: full.within(days)?, full_days: full.days(), begins: full.start })).collect()
    }
}

#[cfg(test)]
mod tests {
    use billwire_schemas::ids::{BillCycleId, fresh};

    use super::*;
    use crate::calendar::{BillingSchedule, PeriodUnit};

    fn d(text: &str) -> NaiveDate {
        text.parse().expect("a date")
    }

    fn monthly(day: u32) -> BillingSchedule {
        BillingSchedule { unit: PeriodUnit::Month, length: 1, day, month: 1 }
    }

    fn cycle(schedule: BillingSchedule) -> CycleInForce {
        CycleInForce { bill_cycle_id: BillCycleId(fresh()), schedule }
    }

    fn found(cycles: &History<CycleInForce>, start: &str, end: &str) -> Vec<(String, i64)> {
        let found = billing_periods(cycles, Period { start: d(start), end: d(end) });
        found.iter().map(|one| (format!("{}..{}", one.period.start, one.period.end), one.full_days)).collect()
    }

    #[test]
    fn a_short_first_period_counts_against_the_full_one_it_is_the_end_of() {
        let cycles = History::starting(d("2027-06-01"), cycle(monthly(15)));
        let expected = [("2027-06-01..2027-06-15".to_owned(), 31), ("2027-06-15..2027-07-15".to_owned(), 30)];
        assert_eq!(found(&cycles, "2027-06-01", "2027-07-15"), expected);
    }

    #[test]
    fn days_before_the_first_cycle_are_in_its_periods() {
        let cycles = History::starting(d("2027-06-10"), cycle(monthly(15)));
        let expected = [("2027-04-20..2027-05-15".to_owned(), 30), ("2027-05-15..2027-06-15".to_owned(), 31)];
        assert_eq!(found(&cycles, "2027-04-20", "2027-06-15"), expected);
    }

    #[test]
    fn a_change_cuts_a_period_and_each_part_counts_against_the_full_period_of_its_own_cycle() {
        let mut cycles = History::starting(d("2027-06-01"), cycle(monthly(1)));
        cycles.set(d("2027-06-11"), cycle(monthly(15)));
        let expected = [
            ("2027-06-01..2027-06-11".to_owned(), 30),
            ("2027-06-11..2027-06-15".to_owned(), 31),
            ("2027-06-15..2027-07-15".to_owned(), 30),
        ];
        assert_eq!(found(&cycles, "2027-06-01", "2027-07-15"), expected);
    }

    #[test]
    fn periods_leave_no_day_out_and_take_none_twice() {
        let schedules = [monthly(1), monthly(28), BillingSchedule { unit: PeriodUnit::Week, length: 2, day: 3, month: 1 }];
        for (index, schedule) in schedules.iter().enumerate() {
            let mut cycles = History::starting(d("2027-01-31"), cycle(*schedule));
            cycles.set(d("2027-02-28"), cycle(schedules[(index + 1) % 3]));
            cycles.set(d("2027-06-02"), cycle(schedules[(index + 2) % 3]));
            let (from, until) = (d("2026-03-05"), d("2028-03-05"));
            let found = billing_periods(&cycles, Period { start: from, end: until });
            assert_eq!(found.first().map(|one| one.period.start), Some(from));
            assert_eq!(found.last().map(|one| one.period.end), Some(until));
            assert!(found.windows(2).all(|two| two[0].period.end == two[1].period.start), "{schedule:?}");
            assert!(found.iter().all(|one| one.period.days() <= one.full_days), "{schedule:?}");
        }
    }
}
