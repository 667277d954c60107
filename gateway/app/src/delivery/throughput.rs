//! `getThroughput`.

use billwire_schemas::{
    clock::{Clock, SystemClock, Timestamp},
    ids::TenantId,
};
use billwire_store::{Throughput, commit::Failure};
use chrono::{DateTime, TimeDelta};

use crate::App;

/// What a tenant had in equal spans of time, one after the other.
#[derive(Debug)]
pub struct Spans {
    /// When the first span begins.
    pub from: Timestamp,
    /// The length of each.
    pub step: TimeDelta,
    /// What was counted in each.
    pub counted: Vec<Throughput>,
}

/// The length of the spans of so many hours: such that a chart of them has some 60 to 170 points.
fn step(hours: u32) -> TimeDelta {
    match hours {
        0..=2 => TimeDelta::minutes(1),
        3..=24 => TimeDelta::minutes(10),
        _ => TimeDelta::hours(1),
    }
}

/// The spans of the last `hours` until `now`, whose own span is the last one, and what was counted in the minutes.
fn spans(now: Timestamp, hours: u32, minutes: &[(Timestamp, Throughput)]) -> Spans {
    let step = step(hours);
    let seconds = step.num_seconds();
    let last = now.timestamp().div_euclid(seconds) * seconds;
    let count = i64::from(hours) * 3600 / seconds;
    let from = DateTime::from_timestamp(last - (count - 1) * seconds, 0).unwrap_or(now);
    let mut counted = vec![Throughput::default(); usize::try_from(count).unwrap_or(0)];
    for (minute, one) in minutes {
        let at = (*minute - from).num_seconds().div_euclid(seconds);
        if let Some(span) = usize::try_from(at).ok().and_then(|at| counted.get_mut(at)) {
            span.add(one);
        }
    }
    Spans { from, step, counted }
}

impl App {
    /// What the tenant had in the last `hours`, by the clock of the machine: business time does not count.
    ///
    /// # Errors
    /// A database failure.
    pub async fn throughput(&self, tenant: &TenantId, hours: u32) -> Result<Spans, Failure> {
        let now = SystemClock.now();
        let minutes = self.store.throughput(tenant, now - TimeDelta::hours(i64::from(hours)) - step(hours), now + step(hours)).await?;
        Ok(spans(now, hours, &minutes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minutes_are_added_up_in_spans_that_end_with_the_running_one() {
        let at = |text: &str| text.parse::<Timestamp>().expect("a moment");
        let one = |operations| Throughput { operations, ..Throughput::default() };
        let minutes = [(at("2027-01-04T08:29:00Z"), one(1)), (at("2027-01-04T08:31:00Z"), one(2)), (at("2027-01-04T09:30:00Z"), one(4))];
        let hour = spans(at("2027-01-04T09:30:40Z"), 1, &minutes);
        assert_eq!((hour.from, hour.counted.len()), (at("2027-01-04T08:31:00Z"), 60));
        assert_eq!((hour.counted[0], hour.counted[1], hour.counted[59]), (one(2), one(0), one(4)));
        let day = spans(at("2027-01-04T09:30:40Z"), 24, &minutes);
        assert_eq!((day.from, day.counted.len(), day.counted[143]), (at("2027-01-03T09:40:00Z"), 144, one(4)));
        assert_eq!((day.counted[136], day.counted[137]), (one(1), one(2)));
        assert_eq!(spans(at("2027-01-04T09:30:40Z"), 168, &minutes).counted.len(), 168);
    }
}
