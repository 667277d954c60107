//! The days that fees cover: an account's past, current and future billing periods.

use chrono::NaiveDate;

use crate::{
    calendar::{BillingSchedule, Period},
    customers::account::CurrentBillCycle,
};

/// More periods than an account needs (ten years of daily ones); bounds the work for any dates.
const PERIODS_MAX: usize = 4_000;

/// The days of one fee line: a billing period or part of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BillingPeriod {
    /// The days.
    pub period: Period,
    /// Days of the full period; the fee is prorated as `days / full_days`.
    pub full_days: i64,
}

/// Advances the bill cycle past every period that has ended by `date`. Consumes a short period left by a change of cycle.
pub fn moved_on(current: &CurrentBillCycle, schedule: &BillingSchedule, date: NaiveDate) -> CurrentBillCycle {
    let mut moved = current.clone();
    while moved.period.end <= date {
        moved.period = next_period(&mut moved, schedule);
    }
    moved
}

fn next_period(current: &mut CurrentBillCycle, schedule: &BillingSchedule) -> Period {
    let end = current.period.end;
    match current.short_period.take() {
        Some(short) if short.start == end => short,
        _ => schedule.period_from(end),
    }
}

/// The billing periods from `from` up to `until`, oldest first: past periods as the current schedule would place them, the current
/// period, and later ones.
pub fn billing_periods(current: &CurrentBillCycle, schedule: &BillingSchedule, from: NaiveDate, until: NaiveDate) -> Vec<BillingPeriod> {
    let asked = Period { start: from, end: until };
    let mut found = before(current.period, schedule, from);
    let mut walk = current.clone();
    while walk.period.start < until && found.len() < PERIODS_MAX {
        found.push(BillingPeriod { period: walk.period, full_days: full_days(walk.period, schedule) });
        walk.period = next_period(&mut walk, schedule);
    }
    found.iter().filter_map(|stretch| Some(BillingPeriod { period: stretch.period.within(asked)?, ..*stretch })).collect()
}

/// Days of the full period that `period` is or ends. A period that does not end on a billing date of the schedule is the untouched
/// last period of an earlier cycle and counts as full.
fn full_days(period: Period, schedule: &BillingSchedule) -> i64 {
    let full = schedule.is_billing_date(period.end).then(|| schedule.full_period_ending(period.end)).flatten();
    full.map_or(0, |full| full.days()).max(period.days())
}

/// Periods from `from` up to the start of `running`, oldest first. Full periods are aligned with the full form of the running one, so
/// that days billed again after a cancelled invoice cost the same as before.
fn before(running: Period, schedule: &BillingSchedule, from: NaiveDate) -> Vec<BillingPeriod> {
    let mut found = Vec::new();
    let mut cursor = running.start;
    let mut full = if schedule.is_billing_date(running.end) && !schedule.is_billing_date(running.start) {
        schedule.full_period_ending(running.end)
    } else {
        schedule.full_period_ending(running.start)
    };
    while let Some(nominal) = full
        && cursor > from
        && found.len() < PERIODS_MAX
    {
        if let Some(period) = nominal.within(Period { start: nominal.start, end: cursor }) {
            found.push(BillingPeriod { period, full_days: nominal.days() });
        }
        cursor = cursor.min(nominal.start);
        full = schedule.full_period_ending(nominal.start);
    }
    found.reverse();
    found
}

#[cfg(test)]
mod tests {
    use billwire_schemas::ids::{BillCycleId, fresh};

    use super::*;
    use crate::calendar::PeriodUnit;

    fn d(text: &str) -> NaiveDate {
        text.parse().expect("a date")
    }

    fn period(start: &str, end: &str) -> Period {
        Period { start: d(start), end: d(end) }
    }

    fn current(running: Period, short: Option<Period>) -> CurrentBillCycle {
        CurrentBillCycle { bill_cycle_id: BillCycleId(fresh()), billing_day: None, period: running, short_period: short }
    }

    fn monthly(day: u32) -> BillingSchedule {
        BillingSchedule { unit: PeriodUnit::Month, length: 1, day, month: 1 }
    }

    fn found(current: &CurrentBillCycle, schedule: &BillingSchedule, from: &str, until: &str) -> Vec<(String, i64)> {
        let found = billing_periods(current, schedule, d(from), d(until));
        found.iter().map(|s| (format!("{}..{}", s.period.start, s.period.end), s.full_days)).collect()
    }

    #[test]
    fn a_short_first_period_counts_against_the_full_one_it_is_the_end_of() {
        let account = current(period("2027-06-01", "2027-06-15"), None);
        assert_eq!(
            found(&account, &monthly(15), "2027-06-01", "2027-07-15"),
            [("2027-06-01..2027-06-15".to_owned(), 31), ("2027-06-15..2027-07-15".to_owned(), 30)]
        );
    }

    #[test]
    fn days_before_the_running_period_belong_to_the_periods_the_rhythm_had_then() {
        let account = current(period("2027-06-15", "2027-07-15"), None);
        assert_eq!(
            found(&account, &monthly(15), "2027-04-20", "2027-06-15"),
            [("2027-04-20..2027-05-15".to_owned(), 30), ("2027-05-15..2027-06-15".to_owned(), 31)]
        );
        let short = current(period("2027-06-10", "2027-06-15"), None);
        assert_eq!(
            found(&short, &monthly(15), "2027-05-01", "2027-06-15"),
            [
                ("2027-05-01..2027-05-15".to_owned(), 30),
                ("2027-05-15..2027-06-10".to_owned(), 31),
                ("2027-06-10..2027-06-15".to_owned(), 31)
            ]
        );
    }

    #[test]
    fn the_running_period_of_an_earlier_cycle_is_full_and_the_short_one_follows() {
        let account = current(period("2027-06-01", "2027-07-01"), Some(period("2027-07-01", "2027-07-15")));
        let schedule = monthly(15);
        assert_eq!(
            found(&account, &schedule, "2027-06-01", "2027-08-15"),
            [
                ("2027-06-01..2027-07-01".to_owned(), 30),
                ("2027-07-01..2027-07-15".to_owned(), 30),
                ("2027-07-15..2027-08-15".to_owned(), 31)
            ]
        );
        let moved = moved_on(&account, &schedule, d("2027-07-01"));
        assert_eq!((moved.period, moved.short_period), (period("2027-07-01", "2027-07-15"), None));
        let moved = moved_on(&account, &schedule, d("2027-09-20"));
        assert_eq!(moved.period, period("2027-09-15", "2027-10-15"), "late runs catch up over several periods");
        assert_eq!(moved_on(&account, &schedule, d("2027-06-30")), account, "a period that has not ended stays");
    }

    #[test]
    fn stretches_leave_no_day_out_and_take_none_twice() {
        for schedule in [monthly(1), monthly(28), BillingSchedule { unit: PeriodUnit::Week, length: 2, day: 3, month: 1 }] {
            for start in ["2027-01-31", "2027-02-28", "2027-06-02"] {
                let account = current(schedule.period_from(d(start)), None);
                let (from, until) = (d("2026-03-05"), d("2028-03-05"));
                let found = billing_periods(&account, &schedule, from, until);
                assert_eq!(found.first().map(|s| s.period.start), Some(from));
                assert_eq!(found.last().map(|s| s.period.end), Some(until));
                assert!(found.windows(2).all(|two| two[0].period.end == two[1].period.start), "{schedule:?} {start}");
                assert!(found.iter().all(|s| s.period.days() <= s.full_days), "{schedule:?} {start}");
            }
        }
    }
}
