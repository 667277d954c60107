//! Strict JSON parsing: a duplicate member is refused. serde_json would silently keep the last one, and a proxy might keep the first. An
//! integer beyond 64 bits is refused, because serde_json would round it. The number of values is limited, because small ones take much
//! more memory than their text.

mod long_integers;

use std::{
    cell::{Cell, RefCell},
    fmt,
};

use billwire_schemas::{events::size::VALUES_MAX, refusal::Code};

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::http::{
    problem::{Problem, Violation},
    strict_json::long_integers::Suspects,
    violations::{capped, escaped},
};

/// The first duplicate member found.
type Twice = RefCell<Option<Violation>>;

/// A location in the document, as a chain up to its root. The pointer is built only for a violation, since building all of them
/// would cost more than parsing.
#[derive(Clone, Copy)]
enum Place<'p> {
    Root,
    Member(&'p Place<'p>, &'p str),
    Item(&'p Place<'p>, usize),
}

impl Place<'_> {
    fn pointer(self) -> String {
        match self {
            Self::Root => String::new(),
            Self::Member(parent, name) => format!("{}/{}", parent.pointer(), escaped(name)),
            Self::Item(parent, index) => format!("{}/{index}", parent.pointer()),
        }
    }
}

#[derive(Clone, Copy)]
struct Strict<'s> {
    place: &'s Place<'s>,
    twice: &'s Twice,
    /// Numbers that may be integers beyond 64 bits.
    large: &'s RefCell<Suspects>,
    /// How many values may still come; `None` once there were too many.
    left: &'s Cell<Option<usize>>,
}

/// Parses a body. serde_json limits the depth to 128.
///
/// # Errors
/// `malformed_json` with line and column, `duplicate_key`, `body_too_large` with more than [`VALUES_MAX`] values, `schema_violation` with
/// an integer beyond 64 bits.
pub(crate) fn read(body: &[u8]) -> Result<Value, Problem> {
    if let Some(mark) = [&b"\xef\xbb\xbf"[..], b"\xfe\xff", b"\xff\xfe"].into_iter().find(|mark| body.starts_with(mark)) {
        let encoding = if mark.len() == 3 { "UTF-8" } else { "UTF-16" };
        let detail = format!("The body starts with the byte-order mark of {encoding}. Send UTF-8 without one (RFC 8259 section 8.1).");
        return Err(Problem::new(Code::MalformedJson, detail));
    }
    let twice = Twice::default();
    let mut reader = serde_json::Deserializer::from_slice(body);
    let left = Cell::new(Some(VALUES_MAX));
    let large = RefCell::<Suspects>::default();
    let strict = Strict { place: &Place::Root, twice: &twice, large: &large, left: &left };
    let read = strict.deserialize(&mut reader).and_then(|value| reader.end().map(|()| value));
    read.map_err(|error| match twice.into_inner() {
        Some(violation) => Problem::new(Code::DuplicateKey, violation.message.clone()).with_errors(vec![violation]),
        None if left.get().is_none() => Problem::new(Code::BodyTooLarge, format!("The body has more than {VALUES_MAX} JSON values.")),
        None if body.iter().all(u8::is_ascii_whitespace) => {
            Problem::new(Code::MalformedJson, "The body is empty; a JSON object is required.")
        }
        // serde_json's message ends with "at line x column y" and does not quote the input.
        None => Problem::new(Code::MalformedJson, format!("The body is not JSON: {error}.")),
    })
    .and_then(|value| large.take().refuse(body).map(|()| value))
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        self.left.set(self.left.get().and_then(|left| left.checked_sub(1)));
        if self.left.get().is_none() {
            return Err(D::Error::custom("too many values"));
        }
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }
    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }
    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }
    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }
    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }
    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        self.large.borrow_mut().note(value, || self.place.pointer());
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }
    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }
    fn visit_string<E: Error>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(Strict { place: &Place::Item(self.place, list.len()), ..self })? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut members = Map::new();
        while let Some(name) = entries.next_key::<String>()? {
            let place = Place::Member(self.place, &name);
            if members.contains_key(&name) {
                let pointer = place.pointer();
                let message = format!("'{}' is listed twice.", capped(&pointer));
                *self.twice.borrow_mut() = Some(Violation::at(capped(&pointer), Code::DuplicateKey.as_str(), message));
                return Err(A::Error::custom("duplicate member"));
            }
            let value = entries.next_value_seed(Strict { place: &place, ..self })?;
            members.insert(name, value);
        }
        Ok(Value::Object(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_is_what_serde_json_reads() {
        for text in
            [r#"{"a":[1,-2,3.5,"x",null,true,{"b":{}}],"c/d~e":"é"}"#, "[]", "\"x\"", "18446744073709551615", "-9223372036854775808"]
        {
            assert_eq!(read(text.as_bytes()).expect("JSON"), serde_json::from_str::<Value>(text).expect("JSON"), "{text}");
        }
    }

    #[test]
    fn a_member_that_stands_twice_is_named_by_its_pointer() {
        let refused = read(br#"{"a":[{"x/y":1,"x/y":2}]}"#).expect_err("refused");
        assert_eq!(refused.to_string(), "duplicate_key: '/a/0/x~1y' is listed twice.");
    }

    #[test]
    fn more_values_than_allowed_are_refused_however_small() {
        let list = |count: usize| format!("[{}]", vec!["[]"; count].join(","));
        assert!(read(list(VALUES_MAX - 1).as_bytes()).is_ok());
        let refused = read(list(VALUES_MAX).as_bytes()).expect_err("too many").to_string();
        assert!(refused.starts_with("body_too_large") && refused.contains(&format!("{VALUES_MAX} ")), "{refused}");
    }

    #[test]
    fn an_integer_beyond_64_bits_is_refused_wherever_it_is() {
        let refused = read(br#"{"a":1e20,"s":"\\\"99999999999999999999,","b":[{"c/d":89445000000000000012},-9223372036854775809,1.5]}"#);
        let refused = refused.expect_err("refused").to_string();
        assert!(refused.starts_with("schema_violation: The body has 2 integers beyond 64 bits"), "{refused}");
        let refused = read(br#"{"iccid": 89445000000000000012}"#).expect_err("refused").to_string();
        assert_eq!(refused, "schema_violation: '/iccid' is an integer beyond 64 bits; send it as text, such as \"89445000000000000012\".");
        for kept in
            ["18446744073709551615", "-9223372036854775808", "1e20", "89445000000000000012.0", "6.02e23", "\"89445000000000000012\""]
        {
            assert_eq!(read(kept.as_bytes()).expect(kept), serde_json::from_str::<Value>(kept).expect("JSON"), "{kept}");
        }
    }

    #[test]
    fn a_byte_order_mark_is_named() {
        for (body, encoding) in [(&b"\xef\xbb\xbf{}"[..], "UTF-8"), (b"\xff\xfe{\0}\0", "UTF-16"), (b"\xfe\xff\0{\0}", "UTF-16")] {
            let refused = read(body).expect_err("refused").to_string();
            assert!(refused.starts_with("malformed_json") && refused.contains(&format!("byte-order mark of {encoding}.")), "{refused}");
        }
    }

    #[test]
    fn what_is_no_json_says_where() {
        for (text, part) in
            [("{\"a\":1,}", "line 1 column 8"), ("{}x", "line 1 column 3"), ("", "empty"), ("\"\\ud800\"", "line 1"), ("1e999", "range")]
        {
            let refused = read(text.as_bytes()).expect_err("refused").to_string();
            assert!(refused.starts_with("malformed_json") && refused.contains(part), "{text}: {refused}");
        }
        assert!(read("[".repeat(100_000).as_bytes()).expect_err("too deep").to_string().contains("recursion"));
        assert!(read(b"\"\xff\"").is_err());
    }
}
