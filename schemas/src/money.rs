//! Money: an exact decimal and a currency.
//!
//! An amount is stored as an integer number of millionths of the currency's unit. Integers add up exactly in Rust and in SQL on both
//! databases, and millionths allow rates finer than the minor unit. On the wire an amount is a decimal string (`"12.50"`), never a
//! float. Amounts are rounded to the minor unit once, when an invoice line is created.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// Millionths per unit.
const SCALE: i64 = 1_000_000;
/// Maximum number of decimals.
pub const DECIMALS: u32 = 6;

/// An ISO 4217 currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Currency([u8; 3]);

/// Active codes whose minor unit is not a hundredth, with their number of decimals (ISO 4217 list one).
const OTHER_DECIMALS: &[(&str, u32)] = &[
    ("BHD", 3),
    ("BIF", 0),
    ("CLF", 4),
    ("CLP", 0),
    ("DJF", 0),
    ("GNF", 0),
    ("IQD", 3),
    ("ISK", 0),
    ("JOD", 3),
    ("JPY", 0),
    ("KMF", 0),
    ("KRW", 0),
    ("KWD", 3),
    ("LYD", 3),
    ("OMR", 3),
    ("PYG", 0),
    ("RWF", 0),
    ("TND", 3),
    ("UGX", 0),
    ("UYI", 0),
    ("UYW", 4),
    ("VND", 0),
    ("VUV", 0),
    ("XAF", 0),
    ("XOF", 0),
    ("XPF", 0),
];

/// Active codes with two decimals (ISO 4217 list one).
const TWO_DECIMALS: &str = "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF CHE CHF \
    CHW CNY COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR \
    JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR \
    NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD \
    TWD TZS UAH USD USN UYU UZS VED VES WST XCD XCG YER ZAR ZMW ZWG";

/// A text that is not a currency code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be an active ISO 4217 code, such as EUR")]
pub struct NoCurrency;

impl Currency {
    /// The code.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// Number of decimals of the minor unit: 2 for EUR, 0 for JPY, 3 for KWD.
    pub fn decimals(self) -> u32 {
        OTHER_DECIMALS.iter().find(|(code, _)| *code == self.as_str()).map_or(2, |(_, decimals)| *decimals)
    }
}

impl FromStr for Currency {
    type Err = NoCurrency;
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let code: [u8; 3] = s.as_bytes().try_into().map_err(|_| NoCurrency)?;
        let known = TWO_DECIMALS.split(' ').any(|known| known == s) || OTHER_DECIMALS.iter().any(|(known, _)| *known == s);
        if known { Ok(Self(code)) } else { Err(NoCurrency) }
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Currency {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Currency {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        std::borrow::Cow::<str>::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

/// An exact decimal: an integer number of millionths. Also used for quantities of usage.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Decimal(i64);

/// Why a text is not a decimal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadDecimal {
    /// Not digits with an optional sign and decimal point.
    #[error("must be a decimal such as 12.50, without exponent, spaces or thousands separators")]
    Syntax,
    /// Too many decimals.
    #[error("must have at most {DECIMALS} decimals")]
    Decimals,
    /// Out of range.
    #[error("must be from -9000000000000 to 9000000000000")]
    Range,
}

/// The largest absolute value, in units.
const UNITS_MAX: i64 = 9_000_000_000_000;

impl Decimal {
    /// Zero.
    pub const ZERO: Self = Self(0);
    /// The largest value.
    pub const MAX: Self = Self::units(UNITS_MAX);

    /// Converts from millionths, as the database stores them.
    pub const fn from_millionths(millionths: i64) -> Self {
        Self(millionths)
    }

    /// The value in millionths.
    pub const fn millionths(self) -> i64 {
        self.0
    }

    /// An integer number of units.
    pub const fn units(units: i64) -> Self {
        Self(units.saturating_mul(SCALE))
    }

    /// The sum; `None` if it is out of range.
    pub fn plus(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).filter(|sum| sum.unsigned_abs() <= UNITS_MAX.unsigned_abs() * SCALE.unsigned_abs()).map(Self)
    }

    /// The difference; `None` if it is out of range.
    pub fn minus(self, other: Self) -> Option<Self> {
        self.plus(Self(other.0.checked_neg()?))
    }

    /// The value with the opposite sign.
    pub fn negated(self) -> Self {
        Self(-self.0)
    }

    /// The value without its sign.
    pub fn abs(self) -> Self {
        Self(self.0.abs())
    }

    /// Whether the value is less than zero.
    pub fn is_negative(self) -> bool {
        self.0 < 0
    }

    /// Whether the value is zero.
    pub fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// Whether the value is greater than zero.
    pub fn is_positive(self) -> bool {
        self.0 > 0
    }

    /// Whether the value has at most `decimals` decimals.
    pub fn fits(self, decimals: u32) -> bool {
        self.0 % 10i64.pow(DECIMALS.saturating_sub(decimals)) == 0
    }

    /// Rounds to `decimals` decimals, half to even (ISO 80000-1, rule A), which favours neither side over many lines.
    pub fn rounded(self, decimals: u32) -> Self {
        let step = 10i64.pow(DECIMALS.saturating_sub(decimals));
        let (whole, rest) = (self.0.div_euclid(step), self.0.rem_euclid(step));
        let up = match (rest * 2).cmp(&step) {
            std::cmp::Ordering::Less => false,
            std::cmp::Ordering::Greater => true,
            std::cmp::Ordering::Equal => whole % 2 != 0,
        };
        Self((whole + i64::from(up)) * step)
    }

    /// `self * numerator / denominator`, rounded to the nearest millionth, half to even. `None` if `denominator` is 0 or the result is out
    /// of range. For proration: `fee.times(days, days_of_full_period)`.
    pub fn times(self, numerator: i64, denominator: i64) -> Option<Self> {
        self.part(numerator, denominator, 6)
    }

    /// The same rounded, once, to this many decimals, at most six.
    pub fn part(self, numerator: i64, denominator: i64, decimals: u32) -> Option<Self> {
        let step = 10_i64.checked_pow(6_u32.checked_sub(decimals)?)?;
        if denominator == 0 {
            return None;
        }
        let product = i128::from(self.0) * i128::from(numerator);
        let divisor = i128::from(denominator) * i128::from(step);
        let (whole, rest) = (product.div_euclid(divisor), product.rem_euclid(divisor));
        let up = match (rest * 2).cmp(&divisor.abs()) {
            std::cmp::Ordering::Less => false,
            std::cmp::Ordering::Greater => true,
            std::cmp::Ordering::Equal => whole % 2 != 0,
        };
        let result = i64::try_from((whole + i128::from(up)) * i128::from(step)).ok()?;
        Self(result).plus(Self::ZERO)
    }

    /// The value as text with at least `decimals` decimals, or more if needed.
    pub fn text(self, decimals: u32) -> String {
        let magnitude = self.0.unsigned_abs();
        let (units, rest) = (magnitude / SCALE.unsigned_abs(), magnitude % SCALE.unsigned_abs());
        let mut fraction = format!("{rest:06}");
        while fraction.len() > decimals as usize && fraction.ends_with('0') {
            fraction.pop();
        }
        let sign = if self.0 < 0 { "-" } else { "" };
        if fraction.is_empty() { format!("{sign}{units}") } else { format!("{sign}{units}.{fraction}") }
    }
}

impl FromStr for Decimal {
    type Err = BadDecimal;
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let (negative, digits) = s.strip_prefix('-').map_or((false, s), |rest| (true, rest));
        let (units, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
        let all_digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        if !all_digits(units) || !all_digits(fraction) {
            return Err(BadDecimal::Syntax);
        }
        let significant = fraction.trim_end_matches('0');
        if significant.len() > DECIMALS as usize {
            return Err(BadDecimal::Decimals);
        }
        let units = units.parse::<i64>().ok().filter(|units| *units <= UNITS_MAX).ok_or(BadDecimal::Range)?;
        let millionths = format!("{significant:0<6}").parse::<i64>().map_err(|_| BadDecimal::Syntax)?;
        let magnitude = units * SCALE + millionths;
        if magnitude > UNITS_MAX * SCALE {
            return Err(BadDecimal::Range);
        }
        Ok(Self(if negative { -magnitude } else { magnitude }))
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text(0))
    }
}

impl Serialize for Decimal {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&self.text(0))
    }
}

impl<'de> Deserialize<'de> for Decimal {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        std::borrow::Cow::<str>::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

/// An amount in a currency. On the wire `{"amount": "12.50", "currency": "EUR"}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Money {
    /// The amount.
    pub amount: Decimal,
    /// The currency.
    pub currency: Currency,
}

impl Money {
    /// Combines amount and currency.
    pub const fn new(amount: Decimal, currency: Currency) -> Self {
        Self { amount, currency }
    }

    /// The amount as text, with at least the currency's number of decimals.
    pub fn amount_text(&self) -> String {
        self.amount.text(self.currency.decimals())
    }

    /// Whether the amount is a whole number of minor units.
    pub fn in_minor_units(&self) -> bool {
        self.amount.fits(self.currency.decimals())
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.amount_text(), self.currency)
    }
}

#[derive(Serialize, Deserialize)]
struct Wire {
    amount: String,
    currency: Currency,
}

impl Serialize for Money {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        Wire { amount: self.amount_text(), currency: self.currency }.serialize(s)
    }
}

impl<'de> Deserialize<'de> for Money {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let wire = Wire::deserialize(d)?;
        Ok(Self { amount: wire.amount.parse().map_err(serde::de::Error::custom)?, currency: wire.currency })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn d(text: &str) -> Decimal {
        text.parse().expect("a decimal")
    }

    #[test]
    fn text_and_number_say_the_same() {
        for text in ["0", "12.5", "-0.000001", "9000000000000", "-3"] {
            assert_eq!(d(text).to_string(), text);
        }
        assert_eq!(d("12.500").text(2), "12.50");
        assert_eq!(d("12.3456").text(2), "12.3456");
    }

    #[test]
    fn what_is_no_exact_decimal_is_refused() {
        for bad in ["", "-", ".5", "5.", "1e3", "1,5", " 1", "+1", "0x1", "NaN", "--1", "1.2.3"] {
            assert_eq!(bad.parse::<Decimal>(), Err(BadDecimal::Syntax), "{bad:?}");
        }
        assert_eq!("0.0000001".parse::<Decimal>(), Err(BadDecimal::Decimals));
        assert_eq!("9000000000001".parse::<Decimal>(), Err(BadDecimal::Range));
        assert_eq!("99999999999999999999".parse::<Decimal>(), Err(BadDecimal::Range));
    }

    #[test]
    fn halves_go_to_the_even_neighbour() {
        for (from, to) in [("0.125", "0.12"), ("0.135", "0.14"), ("0.125001", "0.13"), ("-0.125", "-0.12"), ("-0.135", "-0.14")] {
            assert_eq!(d(from).rounded(2), d(to), "{from}");
        }
        assert_eq!(d("10").times(1, 3), Some(d("3.333333")));
        assert_eq!(d("10").times(2, 3), Some(d("6.666667")));
        assert_eq!(d("1").times(1, 0), None);
    }

    #[test]
    fn sums_that_leave_the_range_are_none() {
        assert_eq!(Decimal::units(UNITS_MAX).plus(Decimal::from_millionths(1)), None);
        assert_eq!(Decimal::from_millionths(i64::MAX).plus(Decimal::from_millionths(1)), None);
    }

    #[test]
    fn currencies_are_of_iso_4217_with_their_minor_units() {
        assert!("EUX".parse::<Currency>().is_err());
        assert!("eur".parse::<Currency>().is_err());
        let decimals = |code: &str| code.parse::<Currency>().map(Currency::decimals);
        assert_eq!((decimals("EUR"), decimals("JPY"), decimals("KWD")), (Ok(2), Ok(0), Ok(3)));
        let money = Money::new(d("12.5"), "EUR".parse().expect("a currency"));
        assert_eq!(serde_json::to_string(&money).expect("JSON"), r#"{"amount":"12.50","currency":"EUR"}"#);
        assert!(money.in_minor_units());
        assert!(!Money::new(d("0.5"), "JPY".parse().expect("a currency")).in_minor_units());
    }
}
