//! The text of a JSON value that is the same however the value was written: members sorted, no whitespace, a number in one notation.

use serde_json::Value;

/// The smallest magnitude that no 64-bit integer has: 2^64.
const INTEGERS_END: f64 = 18_446_744_073_709_551_616.0;

/// The canonical text of `value`.
pub(crate) fn of(value: &Value) -> String {
    let mut canonical = value.clone();
    unify(&mut canonical);
    canonical.to_string()
}

/// Writes each number without a fraction as an integer: `14.0` and `1.4e1` are 14.
fn unify(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(unify),
        Value::Object(members) => {
            // Whether members are sorted depends on a feature of serde_json that another crate may switch on.
            members.sort_keys();
            members.values_mut().for_each(unify);
        }
        Value::Number(number) => {
            let whole = number.as_f64().filter(|float| number.is_f64() && float.fract() == 0.0);
            if let Some(whole) = whole.filter(|whole| (-INTEGERS_END / 2.0..INTEGERS_END).contains(whole)) {
                *number = if whole < 0.0 { (whole as i64).into() } else { (whole as u64).into() };
            }
        }
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn same(one: &str, other: &str) -> bool {
        let [one, other] = [one, other].map(|text| of(&serde_json::from_str(text).expect("JSON")));
        one == other
    }

    #[test]
    fn what_has_the_same_value_has_the_same_text() {
        for (one, other) in [
            ("14", "14.0"),
            ("140", "1.4e2"),
            ("0", "-0.0"),
            ("-9223372036854775808", "-9223372036854775808.0"),
            (r#"{"a":1,"b":[2,{"c":3}]}"#, r#"{ "b": [2.0, {"c": 3e0}], "a": 1 }"#),
        ] {
            assert!(same(one, other), "{one} {other}");
        }
    }

    #[test]
    fn what_differs_in_value_or_type_differs_in_text() {
        for (one, other) in
            [("14", "14.5"), ("14", "\"14\""), ("[1,2]", "[2,1]"), ("{}", r#"{"a":null}"#), ("9007199254740993", "9007199254740992")]
        {
            assert!(!same(one, other), "{one} {other}");
        }
    }
}
