//! Bounds of the times that requests name: beyond them a time is a mistake, such as a wrong unit or century.

use billwire_schemas::{clock::Timestamp, refusal::Code};
use chrono::{Datelike, Months, NaiveDate, SecondsFormat, TimeDelta};

use crate::rejected::{Rejected, Violation};

/// How far a time that has passed may be ahead of the gateway's clock, since clocks differ.
const AHEAD_MAX: TimeDelta = TimeDelta::hours(1);

/// How long ago what is reported may have occurred, in years.
const REPORTED_YEARS_MAX: u32 = 10;

/// How far ahead a change may be planned, in years.
const PLANNED_YEARS_MAX: u32 = 200;

/// The years that business time can be set to.
const CLOCK_YEARS: std::ops::RangeInclusive<i32> = 2000..=2999;

/// Checks the time of an occurrence that is reported; `ahead` is the code if it has not come yet.
pub(crate) fn reported(member: &'static str, at: Timestamp, now: Timestamp, ahead: Code) -> Option<Violation> {
    let name = member.trim_start_matches('/');
    let clock = now.to_rfc3339_opts(SecondsFormat::Secs, true);
    let first = now.checked_sub_months(Months::new(12 * REPORTED_YEARS_MAX));
    if at > now + AHEAD_MAX {
        let message = format!("{name} must be at most {} minutes in the future (now: {clock}).", AHEAD_MAX.num_minutes());
        return Some(Violation::new(member, ahead, message));
    }
    first.is_some_and(|first| at < first).then(|| {
        let message = format!("{name} must be at most {REPORTED_YEARS_MAX} years in the past (now: {clock}).");
        Violation::new(member, Code::TimeOutOfRange, message)
    })
}

/// Checks the date of a change that is planned.
pub(crate) fn planned(member: &'static str, on: NaiveDate, now: Timestamp) -> Option<Violation> {
    let last = now.date_naive().checked_add_months(Months::new(12 * PLANNED_YEARS_MAX));
    last.is_none_or(|last| on > last).then(|| {
        let name = member.trim_start_matches('/');
        let message = format!("{name} must be at most {PLANNED_YEARS_MAX} years ahead.");
        Violation::new(member, Code::TimeOutOfRange, message)
    })
}

/// [`planned`], for rules that end at the first violation.
///
/// # Errors
/// `time_out_of_range`.
pub(crate) fn ensure_planned(member: &'static str, on: NaiveDate, now: Timestamp) -> Result<(), Rejected> {
    Rejected::from_violations(planned(member, on, now).into_iter().collect()).map_or(Ok(()), Err)
}

/// Checks the time that business time is set to.
pub fn clock(member: &'static str, to: Timestamp) -> Option<Violation> {
    (!CLOCK_YEARS.contains(&to.year())).then(|| {
        let message = format!("Business time must be in the years {} to {}.", CLOCK_YEARS.start(), CLOCK_YEARS.end());
        Violation::new(member, Code::TimeOutOfRange, message)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a time")
    }

    #[test]
    fn what_is_reported_has_occurred_within_ten_years() {
        let now = at("2027-06-01T12:00:00Z");
        let code = |text| reported("/occurredAt", at(text), now, Code::OccurredAtInFuture).map(|broken| broken.code);
        for good in ["2017-06-01T12:00:00Z", "2027-06-01T13:00:00Z"] {
            assert_eq!(code(good), None, "{good}");
        }
        for early in ["2017-06-01T11:59:59Z", "0001-01-01T00:00:00Z"] {
            assert_eq!(code(early), Some(Code::TimeOutOfRange), "{early}");
        }
        for late in ["2027-06-01T13:00:01Z", "2099-01-01T00:00:00Z", "9999-12-31T23:59:59Z"] {
            assert_eq!(code(late), Some(Code::OccurredAtInFuture), "{late}");
        }
    }

    #[test]
    fn what_is_planned_is_within_a_hundred_years() {
        let now = at("2027-06-01T12:00:00Z");
        let broken = |text: &str| planned("/validFrom", text.parse().expect("a date"), now).is_some();
        assert!(!broken("2227-06-01") && broken("2227-06-02") && broken("9999-12-31"));
    }

    #[test]
    fn business_time_is_in_this_millennium() {
        let broken = |text| clock("/now", at(text)).is_some();
        assert!(!broken("2000-01-01T00:00:00Z") && !broken("2999-12-31T23:59:59Z"));
        assert!(broken("1999-12-31T23:59:59Z") && broken("9999-12-31T23:59:59Z"));
    }
}
