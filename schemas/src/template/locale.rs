//! Formats amounts, numbers and dates for a recipient's language and time zone: the template filters `money`, `number`, `date` and
//! `datetime`. The data is from the Unicode CLDR.

use chrono::{DateTime, Datelike, NaiveDate, Timelike};
use chrono_tz::Tz;
use icu_datetime::{
    DateTimeFormatter,
    fieldsets::YMD,
    input::{Date, DateTime as IcuDateTime, Time},
};
use icu_decimal::{DecimalFormatter, input::Decimal};
use icu_locale_core::Locale as Tag;
use minijinja::{Environment, Error, ErrorKind, Value, value::ValueKind};

/// The language of texts without a language.
pub const LANGUAGE_DEFAULT: &str = "en";

/// Whether `tag` is a well-formed language tag (BCP 47).
pub fn is_language(tag: &str) -> bool {
    tag.parse::<Tag>().is_ok_and(|tag| !tag.id.language.is_unknown())
}

/// A recipient's language and time zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Locale {
    language: Tag,
    zone: Tz,
}

impl Default for Locale {
    fn default() -> Self {
        Self::new(LANGUAGE_DEFAULT, Tz::UTC)
    }
}

impl Locale {
    /// Combines a language tag (BCP 47) and a time zone; an invalid tag counts as [`LANGUAGE_DEFAULT`].
    pub fn new(language: &str, zone: Tz) -> Self {
        let language = language.parse().or_else(|_| LANGUAGE_DEFAULT.parse()).unwrap_or(Tag::UNKNOWN);
        Self { language, zone }
    }

    /// Adds the filters to a template engine.
    pub(super) fn add_to(&self, environment: &mut Environment<'static>) {
        let locale = self.clone();
        environment.add_filter("number", move |value: Value| with_text(&value, |text| locale.number(text)));
        let locale = self.clone();
        environment.add_filter("money", move |value: Value, currency: Value| {
            let currency = currency.as_str().unwrap_or_default().to_owned();
            with_text(&value, |text| Ok(format!("{}\u{a0}{currency}", locale.number(text)?)))
        });
        let locale = self.clone();
        environment.add_filter("date", move |value: Value| with_text(&value, |text| locale.date(text)));
        let locale = self.clone();
        environment.add_filter("datetime", move |value: Value| with_text(&value, |text| locale.moment(text)));
    }

    fn number(&self, text: &str) -> Result<String, Error> {
        let decimal: Decimal = text.parse().map_err(|_| wrong(format!("'{text}' is not a decimal number")))?;
        let formatter = DecimalFormatter::try_new((&self.language).into(), Default::default()).map_err(|error| wrong(error.to_string()))?;
        Ok(formatter.format(&decimal).to_string())
    }

    /// Formats a date, or the date of a moment in the recipient's time zone.
    fn date(&self, text: &str) -> Result<String, Error> {
        let date = match text.parse::<NaiveDate>() {
            Ok(date) => date,
            Err(_) => self.local(text)?.date_naive(),
        };
        let formatter = DateTimeFormatter::try_new((&self.language).into(), YMD::long()).map_err(|error| wrong(error.to_string()))?;
        Ok(formatter.format(&iso(date)?).to_string())
    }

    /// Formats a moment in the recipient's time zone, to the minute, with the zone's abbreviation.
    fn moment(&self, text: &str) -> Result<String, Error> {
        let local = self.local(text)?;
        let formatter =
            DateTimeFormatter::try_new((&self.language).into(), YMD::long().with_time_hm()).map_err(|error| wrong(error.to_string()))?;
        let (hour, minute) = (u8::try_from(local.hour()), u8::try_from(local.minute()));
        let time = Time::try_new(hour.unwrap_or(0), minute.unwrap_or(0), 0, 0).map_err(|error| wrong(error.to_string()))?;
        let moment = IcuDateTime { date: iso(local.date_naive())?, time };
        Ok(format!("{} {}", formatter.format(&moment), local.format("%Z")))
    }

    fn local(&self, text: &str) -> Result<DateTime<Tz>, Error> {
        let moment =
            DateTime::parse_from_rfc3339(text).map_err(|_| wrong(format!("'{text}' is neither a date nor an RFC 3339 date-time")))?;
        Ok(moment.with_timezone(&self.zone))
    }
}

fn iso(date: NaiveDate) -> Result<Date<icu_calendar::cal::Iso>, Error> {
    let (month, day) = (u8::try_from(date.month()), u8::try_from(date.day()));
    Date::try_new_iso(date.year(), month.unwrap_or(0), day.unwrap_or(0)).map_err(|error| wrong(error.to_string()))
}

fn wrong(message: String) -> Error {
    Error::new(ErrorKind::InvalidOperation, message)
}

/// Formats a value's text; null becomes an empty string. An undefined value stays an error.
fn with_text(value: &Value, format: impl FnOnce(&str) -> Result<String, Error>) -> Result<String, Error> {
    match value.kind() {
        ValueKind::Undefined => Err(Error::from(ErrorKind::UndefinedError)),
        ValueKind::None => Ok(String::new()),
        ValueKind::String => format(value.as_str().unwrap_or_default()),
        ValueKind::Number => format(&value.to_string()),
        kind => Err(wrong(format!("a {kind} cannot be formatted as a number or date"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(language: &str, zone: Tz, source: &str) -> Result<String, String> {
        let mut environment = Environment::new();
        Locale::new(language, zone).add_to(&mut environment);
        let expression = environment.compile_expression(source).map_err(|error| error.to_string())?;
        expression.eval(()).map(|value| value.to_string()).map_err(|error| error.to_string())
    }

    #[test]
    fn amounts_and_dates_read_as_the_recipient_writes_them() {
        for (language, zone, source, expected) in [
            ("en", Tz::UTC, "'1234567.50'|money('EUR')", "1,234,567.50\u{a0}EUR"),
            ("de", Tz::UTC, "'1234567.50'|money('EUR')", "1.234.567,50\u{a0}EUR"),
            ("de-CH", Tz::UTC, "'-1234.5'|number", "-1'234.5"),
            ("fr", Tz::UTC, "12345|number", "12\u{202f}345"),
            ("en", Tz::UTC, "'2027-01-15'|date", "January 15, 2027"),
            ("en-GB", Tz::UTC, "'2027-01-15'|date", "15 January 2027"),
            ("de", Tz::UTC, "'2027-01-15'|date", "15. Januar 2027"),
            ("ja", Tz::UTC, "'2027-01-15'|date", "2027年1月15日"),
            // 23:30 UTC is already the next day in Berlin.
            ("de", Tz::Europe__Berlin, "'2027-01-15T23:30:00Z'|date", "16. Januar 2027"),
            ("de", Tz::Europe__Berlin, "'2027-07-15T09:30:00Z'|datetime", "15. Juli 2027 um 11:30 CEST"),
            ("en", Tz::America__New_York, "'2027-01-15T23:30:00Z'|datetime", "January 15, 2027 at 6:30\u{202f}PM EST"),
            ("no such language", Tz::UTC, "'1.5'|number", "1.5"),
        ] {
            assert_eq!(shown(language, zone, source).as_deref(), Ok(expected), "{language} {source}");
        }
    }

    #[test]
    fn what_is_no_number_or_date_is_an_error_that_shows_it() {
        for (source, expected) in [("'soon'|date", "'soon'"), ("'12,5'|number", "'12,5'"), ("absent|money('EUR')", "undefined")] {
            let error = shown("en", Tz::UTC, source).unwrap_err();
            assert!(error.contains(expected), "{source}: {error}");
        }
        assert_eq!(shown("en", Tz::UTC, "none|date").as_deref(), Ok(""));
    }

    #[test]
    fn a_language_is_a_tag() {
        for tag in ["en", "de-CH", "zh-Hant-TW"] {
            assert!(is_language(tag), "{tag}");
        }
        for tag in ["", "e", "english language", "de_CH!", "und", "-"] {
            assert!(!is_language(tag), "{tag}");
        }
    }
}
