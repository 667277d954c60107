//! Integers beyond 64 bits: serde_json reads them as floating point, which has about 16 digits, so an ICCID would lose its last ones.

use billwire_schemas::refusal::Code;
use serde_json::Number;

use crate::http::{
    problem::{Problem, Violation},
    violations::capped,
};

/// The smallest magnitude at which serde_json reads an integer as floating point: 2^63.
const LARGE: f64 = 9_223_372_036_854_775_808.0;

/// Maximum number of places that are remembered, and of violations that are reported.
const PLACES_MAX: usize = 200;

/// The places of the numbers that may be such integers, in order, up to a bound.
#[derive(Debug, Default)]
pub(super) struct Suspects(Vec<String>);

impl Suspects {
    /// Notes a number that serde_json read as floating point.
    pub fn note(&mut self, value: f64, pointer: impl FnOnce() -> String) {
        if may_be(value) && self.0.len() < PLACES_MAX {
            self.0.push(capped(&pointer()));
        }
    }

    /// Refuses the integers among them; `body` is the text they were read from.
    ///
    /// # Errors
    /// `schema_violation`, with every such integer.
    pub fn refuse(self, body: &[u8]) -> Result<(), Problem> {
        if self.0.is_empty() {
            return Ok(());
        }
        let mut places = self.0.into_iter();
        let suspects = suspects_in(body).map(|number| (number, places.next()));
        let found: Vec<Violation> = suspects.filter(|(number, _)| is_integer(number)).map(violation).take(PLACES_MAX).collect();
        let detail = match found.as_slice() {
            [] => return Ok(()),
            [one] => one.message.clone(),
            many => format!("The body has {} integers beyond 64 bits; see errors.", many.len()),
        };
        Err(Problem::new(Code::SchemaViolation, detail).with_errors(found))
    }
}

/// Whether a number that serde_json read as floating point may be written as an integer.
fn may_be(value: f64) -> bool {
    value.abs() >= LARGE
}

fn violation((number, place): (&str, Option<String>)) -> Violation {
    let place = place.unwrap_or_default();
    let what = if place.is_empty() { "The body has".to_owned() } else { format!("'{place}' is") };
    let message = format!("{what} an integer beyond 64 bits; send it as text, such as \"{}\".", capped(number));
    Violation::at(place, "out_of_range", message)
}

/// Whether a number has neither a fraction nor an exponent.
fn is_integer(number: &str) -> bool {
    !number.contains(['.', 'e', 'E'])
}

/// The numbers of a JSON text that serde_json reads as floating point and that [`may_be`] integers, in order.
fn suspects_in(body: &[u8]) -> impl Iterator<Item = &str> {
    let read = |number: &&str| serde_json::from_str::<Number>(number).ok().filter(Number::is_f64).and_then(|number| number.as_f64());
    numbers(body).filter(move |number| read(number).is_some_and(may_be))
}

/// The numbers of a JSON text: what starts with a digit or a sign outside strings.
fn numbers(body: &[u8]) -> impl Iterator<Item = &str> {
    let mut at = 0;
    std::iter::from_fn(move || {
        while let Some(byte) = body.get(at) {
            match byte {
                b'"' => at += string_length(&body[at..]),
                b'-' | b'0'..=b'9' => {
                    let from = at;
                    at += body[at..].iter().take_while(|byte| matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9')).count();
                    return std::str::from_utf8(&body[from..at]).ok();
                }
                _ => at += 1,
            }
        }
        None
    })
}

/// The length of the string that `text` starts with, in bytes, with its quotes.
fn string_length(text: &[u8]) -> usize {
    let mut escaped = false;
    let end = text.iter().skip(1).position(|byte| {
        let ends = *byte == b'"' && !escaped;
        escaped = *byte == b'\\' && !escaped;
        ends
    });
    end.map_or(text.len(), |end| end + 2)
}
