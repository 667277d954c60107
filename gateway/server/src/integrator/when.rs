//! Moments on the command line: RFC 3339, or how long ago.

use std::str::FromStr;

use billwire_schemas::clock::{Clock, SystemClock, Timestamp};
use chrono::{SecondsFormat, TimeDelta};

/// A moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct When(Timestamp);

impl When {
    /// As the API takes it.
    pub fn wire(self) -> String {
        self.0.to_rfc3339_opts(SecondsFormat::Millis, true)
    }

    fn parse(text: &str, now: Timestamp) -> Option<Self> {
        if let Ok(moment) = text.parse::<Timestamp>() {
            return Some(Self(moment));
        }
        let unit = text.chars().last()?;
        let count: i64 = text.strip_suffix(unit)?.parse().ok().filter(|count| (0..1_000_000).contains(count))?;
        let ago = match unit {
            's' => TimeDelta::seconds(count),
            'm' => TimeDelta::minutes(count),
            'h' => TimeDelta::hours(count),
            'd' => TimeDelta::days(count),
            _ => return None,
        };
        Some(Self(now - ago))
    }
}

impl FromStr for When {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::parse(text, SystemClock.now())
            .ok_or_else(|| "must be a time such as 2027-01-04T09:30:00Z, or how long ago: 90s, 15m, 2h, 7d".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_a_time_or_how_long_ago() {
        let now: Timestamp = "2027-01-04T09:30:00Z".parse().unwrap();
        let wire = |text| When::parse(text, now).map(When::wire);
        assert_eq!(wire("2026-12-31T23:00:00+01:00").as_deref(), Some("2026-12-31T22:00:00.000Z"));
        assert_eq!(wire("90s").as_deref(), Some("2027-01-04T09:28:30.000Z"));
        assert_eq!(wire("2h").as_deref(), Some("2027-01-04T07:30:00.000Z"));
        assert_eq!(wire("7d").as_deref(), Some("2026-12-28T09:30:00.000Z"));
        for wrong in ["", "h", "-1h", "2w", "yesterday", "99999999d", "2027-01-04", "é"] {
            assert_eq!(wire(wrong), None, "{wrong}");
        }
    }
}
