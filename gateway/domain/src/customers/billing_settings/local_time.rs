//! Times of day in a time zone, correct across daylight saving changes.

use std::{fmt, str::FromStr};

use billwire_schemas::clock::Timestamp;
use chrono::{LocalResult, NaiveDate, NaiveTime, Offset, TimeDelta, TimeZone};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

/// A time of day to the minute, `"09:30"` on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TimeOfDay(NaiveTime);

impl TimeOfDay {
    /// 00:00.
    pub const MIDNIGHT: Self = Self(NaiveTime::MIN);

    /// The time at which an hour of the day begins, from 0 to 23.
    pub fn full_hour(hour: u32) -> Option<Self> {
        NaiveTime::from_hms_opt(hour, 0, 0).map(Self)
    }

    /// The time as a chrono value.
    pub fn naive(self) -> NaiveTime {
        self.0
    }
}

/// A text that is not a time of day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a time of day such as 09:30, from 00:00 to 23:59")]
pub struct NoTimeOfDay;

impl FromStr for TimeOfDay {
    type Err = NoTimeOfDay;
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        // chrono alone also accepts "9:30" and "+9:30", so one time would have several spellings.
        let digits = |part: &str| part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit());
        let (hour, minute) = s.split_once(':').filter(|(hour, minute)| digits(hour) && digits(minute)).ok_or(NoTimeOfDay)?;
        let number = |part: &str| part.parse::<u32>().map_err(|_| NoTimeOfDay);
        NaiveTime::from_hms_opt(number(hour)?, number(minute)?, 0).map(Self).ok_or(NoTimeOfDay)
    }
}

impl fmt::Display for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.format("%H:%M"))
    }
}

impl Serialize for TimeOfDay {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TimeOfDay {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        std::borrow::Cow::<str>::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

/// The moment at which clocks in `zone` show `time` on `date`.
///
/// A time skipped in spring becomes the first moment after the gap. A time that occurs twice in autumn becomes the earlier
/// moment.
pub fn local_moment(zone: Tz, date: NaiveDate, time: TimeOfDay) -> Timestamp {
    let local = date.and_time(time.naive());
    match zone.from_local_datetime(&local) {
        LocalResult::Single(moment) | LocalResult::Ambiguous(moment, _) => moment.to_utc(),
        LocalResult::None => {
            // No zone's offset exceeds a day, so the jump over `local` is between these two.
            let day = TimeDelta::hours(26);
            let (Some(mut before), Some(mut after)) = (local.checked_sub_signed(day), local.checked_add_signed(day)) else {
                return local.and_utc();
            };
            let second = TimeDelta::seconds(1);
            while after - before > second {
                let middle = before + TimeDelta::seconds((after - before).num_seconds() / 2);
                let shown = middle + zone.offset_from_utc_datetime(&middle).fix();
                if shown > local {
                    after = middle;
                } else {
                    before = middle;
                }
            }
            after.and_utc()
        }
    }
}
