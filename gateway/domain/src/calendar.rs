//! Bill cycle arithmetic on dates. Billing days are 1-7 (Monday = 1) for weeks and 1-28 for months and years, so that every
//! period contains its billing day (OCS.io bill cycles: 1-7 and 1-28).

use chrono::{Datelike, Days, Months, NaiveDate};
use serde::{Deserialize, Serialize};

/// Unit of a billing period.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum PeriodUnit {
    /// Calendar days.
    Day,
    /// Weeks, starting on Monday.
    Week,
    /// Calendar months.
    Month,
    /// Calendar years.
    Year,
}

impl PeriodUnit {
    /// The billing days valid for this unit; `None` if the unit has no billing day.
    pub fn billing_days(self) -> Option<std::ops::RangeInclusive<u32>> {
        match self {
            Self::Day => None,
            Self::Week => Some(1..=7),
            Self::Month | Self::Year => Some(1..=28),
        }
    }

    /// The name in messages and parameters.
    pub fn name(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
            Self::Year => "year",
        }
    }
}

/// A half-open range of dates: includes `start`, excludes `end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Period {
    /// First day.
    pub start: NaiveDate,
    /// First day after the period.
    pub end: NaiveDate,
}

impl Period {
    /// Length in days; never negative.
    pub fn days(&self) -> i64 {
        (self.end - self.start).num_days().max(0)
    }

    /// The intersection with `other`; `None` if it is empty.
    pub fn within(&self, other: Self) -> Option<Self> {
        let both = Self { start: self.start.max(other.start), end: self.end.min(other.end) };
        (both.start < both.end).then_some(both)
    }
}

/// A length of time on the calendar, such as two months.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RecurringPeriod {
    /// Unit of the period.
    pub unit: PeriodUnit,
    /// Units per period, at least 1.
    pub length: u32,
}

impl RecurringPeriod {
    /// The periods that follow each other from `start` on. Those of months and years begin on the same day of the month as the first one, or on the
    /// last day of a month that is too short for it.
    pub fn starting(self, start: NaiveDate) -> impl Iterator<Item = Period> {
        let nth = move |number: u32| {
            let units = number.checked_mul(self.length)?;
            match self.unit {
                PeriodUnit::Day => start.checked_add_days(Days::new(u64::from(units))),
                PeriodUnit::Week => start.checked_add_days(Days::new(7 * u64::from(units))),
                PeriodUnit::Month => start.checked_add_months(Months::new(units)),
                PeriodUnit::Year => start.checked_add_months(Months::new(units.checked_mul(12)?)),
            }
        };
        (0..u32::MAX).map_while(move |number| Some(Period { start: nth(number)?, end: nth(number + 1)? }))
    }
}

/// The rule that sets where a cycle's billing periods start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct BillingSchedule {
    /// Unit of the period.
    #[serde(rename = "period")]
    pub unit: PeriodUnit,
    /// Units per full period, at least 1 (2 weeks = fortnightly).
    pub length: u32,
    /// The billing day within the unit.
    #[serde(rename = "billingDay")]
    pub day: u32,
    /// The billing month; used for years only.
    #[serde(rename = "billingMonth")]
    pub month: u32,
}

impl BillingSchedule {
    /// The first billing date strictly after `date`.
    pub fn next_billing_date(&self, date: NaiveDate) -> NaiveDate {
        match self.unit {
            PeriodUnit::Day => date + Days::new(1),
            PeriodUnit::Week => {
                let ahead = (self.day + 7 - date.weekday().number_from_monday()) % 7;
                date + Days::new(u64::from(if ahead == 0 { 7 } else { ahead }))
            }
            PeriodUnit::Month => {
                let this = date.with_day(self.day).unwrap_or(date);
                if this > date { this } else { this + Months::new(1) }
            }
            PeriodUnit::Year => {
                let this = NaiveDate::from_ymd_opt(date.year(), self.month, self.day).unwrap_or(date);
                if this > date { this } else { this + Months::new(12) }
            }
        }
    }

    /// The full period that begins at the billing date `start`.
    pub fn full_period(&self, start: NaiveDate) -> Period {
        let end = match self.unit {
            PeriodUnit::Day => start + Days::new(u64::from(self.length)),
            PeriodUnit::Week => start + Days::new(7 * u64::from(self.length)),
            PeriodUnit::Month => start + Months::new(self.length),
            PeriodUnit::Year => start + Months::new(12 * self.length),
        };
        Period { start, end }
    }

    /// The full period that ends (exclusively) at `end`; `None` if it would start before the earliest supported date.
    pub fn full_period_ending(&self, end: NaiveDate) -> Option<Period> {
        let start = match self.unit {
            PeriodUnit::Day => end.checked_sub_days(Days::new(u64::from(self.length))),
            PeriodUnit::Week => end.checked_sub_days(Days::new(7 * u64::from(self.length))),
            PeriodUnit::Month => end.checked_sub_months(Months::new(self.length)),
            PeriodUnit::Year => end.checked_sub_months(Months::new(12 * self.length)),
        };
        Some(Period { start: start?, end })
    }

    /// Whether a full period may begin on `date`.
    pub fn is_billing_date(&self, date: NaiveDate) -> bool {
        date.pred_opt().is_some_and(|eve| self.next_billing_date(eve) == date)
    }

    /// The billing period that starts on `start`: a full period if `start` is a billing date, otherwise a short one that ends on
    /// the next billing date.
    pub fn period_from(&self, start: NaiveDate) -> Period {
        if self.is_billing_date(start) { self.full_period(start) } else { Period { start, end: self.next_billing_date(start) } }
    }

    /// The full period that contains `date`, of an account that is on the schedule since `since`: full periods are counted from the first
    /// billing date from `since` on, also backwards.
    pub fn full_period_containing(&self, date: NaiveDate, since: NaiveDate) -> Period {
        let first = if self.is_billing_date(since) { since } else { self.next_billing_date(since) };
        let mut period = self.full_period(first);
        while period.end <= date {
            period = self.full_period(period.end);
        }
        while period.start > date
            && let Some(earlier) = self.full_period_ending(period.start)
        {
            period = earlier;
        }
        period
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn d(text: &str) -> NaiveDate {
        text.parse().expect("a date")
    }

    fn monthly(day: u32) -> BillingSchedule {
        BillingSchedule { unit: PeriodUnit::Month, length: 1, day, month: 1 }
    }

    #[test]
    fn a_monthly_cycle_starts_on_its_day_also_over_the_turn_of_the_year() {
        assert_eq!(monthly(15).next_billing_date(d("2027-06-01")), d("2027-06-15"));
        assert_eq!(monthly(15).next_billing_date(d("2027-06-15")), d("2027-07-15"));
        assert_eq!(monthly(1).next_billing_date(d("2027-12-31")), d("2028-01-01"));
        assert_eq!(monthly(28).next_billing_date(d("2027-01-31")), d("2027-02-28"));
    }

    #[test]
    fn the_worked_example_from_the_first_to_the_fifteenth_gives_one_short_period() {
        let short = monthly(15).period_from(d("2027-06-01"));
        assert_eq!(short, Period { start: d("2027-06-01"), end: d("2027-06-15") });
        assert_eq!(monthly(15).period_from(short.end), Period { start: d("2027-06-15"), end: d("2027-07-15") });
    }

    #[test]
    fn weeks_and_years_and_days_have_their_own_steps() {
        let weekly = BillingSchedule { unit: PeriodUnit::Week, length: 2, day: 3, month: 1 };
        assert_eq!(weekly.next_billing_date(d("2027-06-02")), d("2027-06-09"), "2 June 2027 is a Wednesday");
        assert_eq!(weekly.full_period(d("2027-06-02")).end, d("2027-06-16"));
        let yearly = BillingSchedule { unit: PeriodUnit::Year, length: 1, day: 28, month: 2 };
        assert_eq!(yearly.next_billing_date(d("2027-02-28")), d("2028-02-28"));
        let daily = BillingSchedule { unit: PeriodUnit::Day, length: 1, day: 1, month: 1 };
        assert_eq!(daily.period_from(d("2028-02-28")).end, d("2028-02-29"));
    }

    #[test]
    fn full_periods_are_counted_from_the_first_billing_date_also_backwards() {
        let two_months = BillingSchedule { length: 2, ..monthly(15) };
        let full = |date| two_months.full_period_containing(d(date), d("2027-06-01"));
        assert_eq!(full("2027-06-01"), Period { start: d("2027-04-15"), end: d("2027-06-15") });
        assert_eq!(full("2027-06-15"), Period { start: d("2027-06-15"), end: d("2027-08-15") });
        assert_eq!(full("2028-01-01"), Period { start: d("2027-12-15"), end: d("2028-02-15") });
        assert_eq!(full("2027-02-20"), Period { start: d("2027-02-15"), end: d("2027-04-15") });
    }

    #[test]
    fn recurring_periods_keep_the_day_they_began_on_where_the_month_has_it() {
        let starts = |unit, length, start| {
            let periods = RecurringPeriod { unit, length }.starting(d(start));
            periods.take(4).map(|period| period.start.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(starts(PeriodUnit::Month, 1, "2027-01-31"), ["2027-01-31", "2027-02-28", "2027-03-31", "2027-04-30"]);
        assert_eq!(starts(PeriodUnit::Year, 1, "2028-02-29"), ["2028-02-29", "2029-02-28", "2030-02-28", "2031-02-28"]);
        assert_eq!(starts(PeriodUnit::Week, 2, "2027-01-31"), ["2027-01-31", "2027-02-14", "2027-02-28", "2027-03-14"]);
        assert_eq!(starts(PeriodUnit::Day, 10, "2027-01-31"), ["2027-01-31", "2027-02-10", "2027-02-20", "2027-03-02"]);
        let daily = RecurringPeriod { unit: PeriodUnit::Day, length: 1 };
        assert!(daily.starting(d("2027-01-01")).zip(daily.starting(d("2027-01-02"))).take(50).all(|(one, next)| one.end == next.start));
    }

    #[test]
    fn periods_follow_each_other_without_hole_or_overlap() {
        for schedule in [monthly(1), monthly(28), BillingSchedule { unit: PeriodUnit::Week, length: 1, day: 7, month: 1 }] {
            let mut period = schedule.period_from(d("2027-01-31"));
            for _ in 0..60 {
                let next = schedule.period_from(period.end);
                assert_eq!(next.start, period.end);
                assert!(next.end > next.start);
                assert!(schedule.is_billing_date(next.start));
                period = next;
            }
        }
    }
}
