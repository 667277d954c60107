//! Times and dates.

use std::borrow::Cow;

use billwire_schemas::clock::Timestamp;
use chrono::{DateTime, Datelike, NaiveDate, SubsecRound, Utc};
use poem_openapi::{
    registry::{MetaSchema, MetaSchemaRef},
    types::{ParseError, ParseFromJSON, ParseFromParameter, ParseResult, ToJSON, Type},
};
use serde_json::Value;

/// A point in time, to the microsecond.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment(pub Timestamp);

plumbing!(Moment, MetaSchema::new_with_format("string", "date-time"));

/// The rule of [`moment`], for error messages and the document.
pub(crate) const MOMENT_RULE: &str =
    "a date and time with offset (RFC 3339) in the years 0001 to 9999 UTC, without leap seconds, such as 2027-01-15T09:30:00Z";

/// The rule of [`date`], for error messages and the document.
pub(crate) const DATE_RULE: &str = "a date (ISO 8601) in the years 0001 to 9999, such as 2027-01-15";

/// Whether a year is one that dates and times are in. RFC 3339 cannot write others.
fn is_year(year: i32) -> bool {
    (1..=9999).contains(&year)
}

/// Parses an RFC 3339 date-time, truncated to microseconds. Defines the schema format `date-time`. Second 60 is refused: business time
/// has no leap seconds, and chrono accepts it in any minute.
pub(crate) fn moment(text: &str) -> Option<Timestamp> {
    let separated = matches!(text.as_bytes().get(10), Some(b'T' | b't'));
    let leap = text.as_bytes().get(17..19) == Some(b"60");
    let at = DateTime::parse_from_rfc3339(text).ok().filter(|_| separated && !leap)?;
    Some(at.with_timezone(&Utc).trunc_subsecs(6)).filter(|at| is_year(at.year()))
}

impl ParseFromJSON for Moment {
    fn parse_from_json(value: Option<Value>) -> ParseResult<Self> {
        let text = value.as_ref().and_then(Value::as_str).unwrap_or_default();
        moment(text).map(Self).ok_or_else(|| ParseError::custom("not a date-time"))
    }
}

impl ParseFromParameter for Moment {
    fn parse_from_parameter(value: &str) -> ParseResult<Self> {
        moment(value).map(Self).ok_or_else(|| ParseError::custom("not a date-time"))
    }
}

impl From<Timestamp> for Moment {
    fn from(at: Timestamp) -> Self {
        Self(at)
    }
}

impl ToJSON for Moment {
    fn to_json(&self) -> Option<Value> {
        Some(self.0.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true).into())
    }
}

/// A date.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Date(pub NaiveDate);

plumbing!(Date, MetaSchema { max_length: Some(10), ..MetaSchema::new_with_format("string", "date") });

/// Parses an ISO 8601 date, `YYYY-MM-DD`. Defines the schema format `date`.
pub(crate) fn date(text: &str) -> Option<NaiveDate> {
    text.parse().ok().filter(|date: &NaiveDate| text.len() == 10 && text.as_bytes()[0].is_ascii_digit() && is_year(date.year()))
}

impl ParseFromJSON for Date {
    fn parse_from_json(value: Option<Value>) -> ParseResult<Self> {
        let text = value.as_ref().and_then(Value::as_str).unwrap_or_default();
        date(text).map(Self).ok_or_else(|| ParseError::custom("not a date"))
    }
}

impl ParseFromParameter for Date {
    fn parse_from_parameter(value: &str) -> ParseResult<Self> {
        date(value).map(Self).ok_or_else(|| ParseError::custom("not a date"))
    }
}

impl ToJSON for Date {
    fn to_json(&self) -> Option<Value> {
        Some(self.0.to_string().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_rfc_3339_and_nothing_else() {
        for good in ["2027-01-15T09:30:00Z", "2027-01-15T09:30:00.123456789+02:00", "2027-01-15t09:30:00z"] {
            assert!(moment(good).is_some(), "{good}");
        }
        for bad in ["", "2027-01-15", "2027-01-15 09:30:00Z", "2027-01-15T09:30:00", "2027-13-15T09:30:00Z", "now"] {
            assert!(moment(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn a_moment_has_no_leap_second() {
        for bad in ["2027-01-15T12:00:60Z", "2016-12-31T23:59:60Z", "2027-01-15T12:00:60.5+01:00", "2027-01-15T12:00:61Z"] {
            assert!(moment(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn a_moment_is_in_the_years_1_to_9999_utc() {
        for good in ["0001-01-01T00:00:00Z", "0000-12-31T23:30:00-01:00", "9999-12-31T23:59:59.999999Z"] {
            assert!(moment(good).is_some(), "{good}");
        }
        for bad in ["0000-12-31T23:59:59Z", "0001-01-01T00:30:00+01:00", "9999-12-31T23:30:00-01:00", "+10000-01-01T00:00:00Z"] {
            assert!(moment(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn a_date_is_year_month_and_day_and_nothing_else() {
        assert!(date("2027-02-28").is_some());
        for bad in ["", "2027-02-29", "2027-2-28", "+2027-02-28", "12027-02-28", "0000-12-31", "2027-02-28T00:00:00Z", "20270228"] {
            assert!(date(bad).is_none(), "{bad}");
        }
    }
}
