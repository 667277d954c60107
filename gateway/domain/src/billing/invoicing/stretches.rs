//! The days fees are for: an account's billing periods, the ones behind it, the running one, and how they move on.

use chrono::NaiveDate;

use crate::{
    calendar::{Period, Rhythm},
    customers::account::CurrentBillCycle,
};

/// More periods than any account has: ten years of daily ones. Bounds the work whatever the dates are.
const PERIODS_MAX: usize = 4_000;

/// Days that one fee line can be for: a billing period, or what an account had of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stretch {
    /// The days.
    pub period: Period,
    /// Days of the full period they belong to: a fee is due as `days / full_days` of it.
    pub full_days: i64,
}

/// The account's bill cycle after every period that has ended by `date`. A short period that a change of cycle left behind is used up
/// on the way.
pub fn moved_on(current: &CurrentBillCycle, rhythm: &Rhythm, date: NaiveDate) -> CurrentBillCycle {
    let mut moved = current.clone();
    while moved.period.end <= date {
        moved.period = next_period(&mut moved, rhythm);
    }
    moved
}

fn next_period(current: &mut CurrentBillCycle, rhythm: &Rhythm) -> Period {
    let end = current.period.end;
    match current.short_period.take() {
        Some(short) if short.start == end => short,
        _ => rhythm.period_from(end),
    }
}

/// The stretches of the days from `from` up to `until`, oldest first: the periods before the account's running one, as its rhythm
/// would have had them, the running one, and those after it.
pub fn stretches(current: &CurrentBillCycle, rhythm: &Rhythm, from: NaiveDate, until: NaiveDate) -> Vec<Stretch> {
    let asked = Period { start: from, end: until };
    let mut found = before(current.period, rhythm, from);
    let mut walk = current.clone();
    while walk.period.start < until && found.len() < PERIODS_MAX {
        found.push(Stretch { period: walk.period, full_days: full_days(walk.period, rhythm) });
        walk.period = next_period(&mut walk, rhythm);
    }
    found.iter().filter_map(|stretch| Some(Stretch { period: stretch.period.within(asked)?, ..*stretch })).collect()
}

/// Days of the full period that `period` is, or is the end of. A period that ends on no billing date of the rhythm is the last one of
/// an earlier cycle, which ends untouched: it is full by itself.
fn full_days(period: Period, rhythm: &Rhythm) -> i64 {
    let full = rhythm.is_billing_date(period.end).then(|| rhythm.full_period_ending(period.end)).flatten();
    full.map_or(0, |full| full.days()).max(period.days())
}

/// Back from the start of `running` to `from`, oldest first. The full periods are those that end where the running one would begin if it
/// were full, so that days billed again after a cancelled invoice cost what they cost before.
fn before(running: Period, rhythm: &Rhythm, from: NaiveDate) -> Vec<Stretch> {
    let mut found = Vec::new();
    let mut cursor = running.start;
    let mut full = if rhythm.is_billing_date(running.end) && !rhythm.is_billing_date(running.start) {
        rhythm.full_period_ending(running.end)
    } else {
        rhythm.full_period_ending(running.start)
    };
    while let Some(nominal) = full
        && cursor > from
        && found.len() < PERIODS_MAX
    {
        if let Some(period) = nominal.within(Period { start: nominal.start, end: cursor }) {
            found.push(Stretch { period, full_days: nominal.days() });
        }
        cursor = cursor.min(nominal.start);
        full = rhythm.full_period_ending(nominal.start);
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

    fn monthly(day: u32) -> Rhythm {
        Rhythm { unit: PeriodUnit::Month, length: 1, day, month: 1 }
    }

    fn found(current: &CurrentBillCycle, rhythm: &Rhythm, from: &str, until: &str) -> Vec<(String, i64)> {
        let found = stretches(current, rhythm, d(from), d(until));
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
        let rhythm = monthly(15);
        assert_eq!(
            found(&account, &rhythm, "2027-06-01", "2027-08-15"),
            [
                ("2027-06-01..2027-07-01".to_owned(), 30),
                ("2027-07-01..2027-07-15".to_owned(), 30),
                ("2027-07-15..2027-08-15".to_owned(), 31)
            ]
        );
        let moved = moved_on(&account, &rhythm, d("2027-07-01"));
        assert_eq!((moved.period, moved.short_period), (period("2027-07-01", "2027-07-15"), None));
        let moved = moved_on(&account, &rhythm, d("2027-09-20"));
        assert_eq!(moved.period, period("2027-09-15", "2027-10-15"), "late runs catch up over several periods");
        assert_eq!(moved_on(&account, &rhythm, d("2027-06-30")), account, "a period that has not ended stays");
    }

    #[test]
    fn stretches_leave_no_day_out_and_take_none_twice() {
        for rhythm in [monthly(1), monthly(28), Rhythm { unit: PeriodUnit::Week, length: 2, day: 3, month: 1 }] {
            for start in ["2027-01-31", "2027-02-28", "2027-06-02"] {
                let account = current(rhythm.period_from(d(start)), None);
                let (from, until) = (d("2026-03-05"), d("2028-03-05"));
                let found = stretches(&account, &rhythm, from, until);
                assert_eq!(found.first().map(|s| s.period.start), Some(from));
                assert_eq!(found.last().map(|s| s.period.end), Some(until));
                assert!(found.windows(2).all(|two| two[0].period.end == two[1].period.start), "{rhythm:?} {start}");
                assert!(found.iter().all(|s| s.period.days() <= s.full_days), "{rhythm:?} {start}");
            }
        }
    }
}
