//! Decides whether a new version of a schema accepts everything that the old version accepted.
//!
//! The question is undecidable for schemas in general, so this check is conservative: it compares keyword by keyword and refuses, with
//! a specific code, every change that it cannot show to be compatible.

use std::collections::HashSet;

use billwire_schemas::refusal::Code;

use serde_json::{Map, Value};

use crate::{
    events::data_schema::{ANNOTATIONS, step},
    rejected::Violation,
};

/// The keywords that define the members of an object.
const MEMBERS: &[&str] = &["additionalProperties", "patternProperties", "properties"];
/// Keywords that act in combination: each group must be unchanged, or its first keyword must be gone.
const TOGETHER: &[&[&str]] = &[&["contains", "maxContains", "minContains"], &["if", "then", "else"]];
/// Upper limits.
const UPPER: &[&str] = &["exclusiveMaximum", "maxItems", "maxLength", "maxProperties", "maximum"];
/// Lower limits.
const LOWER: &[&str] = &["exclusiveMinimum", "minItems", "minLength", "minProperties", "minimum"];

/// Every place in `new` that may refuse what `old` accepted; pointers start with `/schema`. Empty if the versions are compatible.
///
/// An open object (without `additionalProperties: false`) accepted any value under every name, so a new member must not constrain its
/// value. A closed object can gain any optional member.
pub fn incompatibilities(old: &Value, new: &Value) -> Vec<Violation> {
    let mut found = Vec::new();
    compare(old, new, "/schema", &mut found);
    found
}

fn says_nothing(schema: &Value) -> bool {
    match schema {
        Value::Bool(accepts) => *accepts,
        Value::Object(members) => members.keys().all(|keyword| is_annotation(keyword)),
        _ => false,
    }
}

fn is_annotation(keyword: &str) -> bool {
    keyword.starts_with("x-") || ANNOTATIONS.contains(&keyword)
}

fn compare(old: &Value, new: &Value, at: &str, found: &mut Vec<Violation>) {
    if old == new || says_nothing(new) || *old == Value::Bool(false) {
        return;
    }
    let Some(new) = new.as_object() else {
        return found.push(Violation::new(at.to_owned(), Code::SchemaNarrowed, "Values accepted here before are no longer accepted."));
    };
    let everything = Map::new();
    let old = old.as_object().unwrap_or(&everything);
    for (keyword, value) in new {
        compare_keyword(old, keyword, value, &step(at, keyword), found);
    }
    for group in TOGETHER {
        let changed = group.iter().any(|keyword| old.get(*keyword) != new.get(*keyword));
        if changed && new.contains_key(group[0]) {
            found.push(changed_keyword(&step(at, group[0]), group[0]));
        }
    }
    if MEMBERS.iter().any(|keyword| new.contains_key(*keyword)) {
        compare_members(old, new, at, found);
    }
    compare_items(old, new, at, found);
}

fn changed_keyword(at: &str, keyword: &str) -> Violation {
    let message = format!("'{keyword}' was added or changed, and compatibility cannot be shown.");
    Violation::new(at.to_owned(), Code::KeywordChanged, message)
}

fn compare_keyword(old: &Map<String, Value>, keyword: &str, new: &Value, at: &str, found: &mut Vec<Violation>) {
    let was = old.get(keyword);
    let mut violation = |code, message: String| found.push(Violation::new(at.to_owned(), code, message));
    match keyword {
        _ if was == Some(new) || is_annotation(keyword) || MEMBERS.contains(&keyword) || matches!(keyword, "items" | "prefixItems") => {}
        _ if TOGETHER.iter().any(|group| group.contains(&keyword)) => {}
        "type" if accepts_types(was, new) => {}
        "type" => violation(Code::TypeNarrowed, format!("The type must accept all previous types; it is now {new}.")),
        "enum" | "const" if accepts_values(old, keyword, new) => {}
        "enum" | "const" => violation(Code::EnumNarrowed, "A previously accepted value is no longer accepted.".to_owned()),
        "required" => {
            let before: HashSet<&str> = was.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
            for member in new.as_array().into_iter().flatten().filter(|member| !member.as_str().is_some_and(|name| before.contains(name))) {
                violation(Code::MemberRequired, format!("The member {member} was optional and must stay optional."));
            }
        }
        _ if UPPER.contains(&keyword) && was.is_some_and(|was| at_most(was, new)) => {}
        _ if LOWER.contains(&keyword) && was.is_some_and(|was| at_most(new, was)) => {}
        "uniqueItems" if *new == Value::Bool(false) => {}
        _ if UPPER.contains(&keyword) || LOWER.contains(&keyword) || keyword == "uniqueItems" => {
            violation(Code::BoundNarrowed, format!("'{keyword}' was added or is stricter than before."));
        }
        "anyOf" if was.and_then(Value::as_array).is_some_and(|was| all_in(was, new)) => {}
        "$defs" => {
            for (name, _) in
                was.and_then(Value::as_object).into_iter().flatten().filter(|(name, was)| new.get(name).is_some_and(|n| n != *was))
            {
                let message = format!("The definition '{name}' was changed; use another name for the new one.");
                found.push(Violation::new(step(at, name), Code::DefinitionChanged, message));
            }
        }
        _ => found.push(changed_keyword(at, keyword)),
    }
}

/// Compares serialized JSON, because pairwise comparison is too slow for thousands of values.
fn all_in(wanted: &[Value], list: &Value) -> bool {
    let list: Option<HashSet<String>> = list.as_array().map(|list| list.iter().map(Value::to_string).collect());
    list.is_some_and(|list| wanted.iter().all(|one| list.contains(&one.to_string())))
}

fn types(value: &Value) -> Vec<&str> {
    match value {
        Value::Array(some) => some.iter().filter_map(Value::as_str).collect(),
        one => one.as_str().into_iter().collect(),
    }
}

fn accepts_types(was: Option<&Value>, new: &Value) -> bool {
    let new = types(new);
    was.is_some_and(|was| types(was).iter().all(|one| new.contains(one) || (*one == "integer" && new.contains(&"number"))))
}

fn accepts_values(old: &Map<String, Value>, keyword: &str, new: &Value) -> bool {
    let accepted = |values: &[Value]| if keyword == "const" { values.iter().all(|value| value == new) } else { all_in(values, new) };
    match (old.get("const"), old.get("enum").and_then(Value::as_array)) {
        (Some(one), _) => accepted(std::slice::from_ref(one)),
        (None, Some(some)) => accepted(some),
        (None, None) => false,
    }
}

/// Whether one limit is at most the other. Integers are compared exactly; as floats, neighbouring large integers compare as equal.
fn at_most(one: &Value, other: &Value) -> bool {
    let whole = |value: &Value| value.as_i64().map(i128::from).or_else(|| value.as_u64().map(i128::from));
    match (whole(one), whole(other)) {
        (Some(one), Some(other)) => one <= other,
        (None, None) => one.as_f64().zip(other.as_f64()).is_some_and(|(one, other)| one <= other),
        // An integer and a float: equal values are exact only within float precision.
        _ => one.as_f64().zip(other.as_f64()).is_some_and(|(one, other)| one < other || (one == other && one.abs() < 9e15)),
    }
}

/// The members an object may have, from the keywords in [`MEMBERS`].
struct Members<'s> {
    named: Option<&'s Map<String, Value>>,
    patterns: Option<&'s Map<String, Value>>,
    others: &'s Value,
}

impl<'s> Members<'s> {
    fn of(schema: &'s Map<String, Value>) -> Self {
        let map = |keyword: &str| schema.get(keyword).and_then(Value::as_object).filter(|map| !map.is_empty());
        let others = schema.get("additionalProperties").unwrap_or(&Value::Bool(true));
        Self { named: map("properties"), patterns: map("patternProperties"), others }
    }

    fn named(&self) -> impl Iterator<Item = (&'s String, &'s Value)> {
        self.named.into_iter().flatten()
    }
}

fn compare_members(old: &Map<String, Value>, new: &Map<String, Value>, at: &str, found: &mut Vec<Violation>) {
    let (old, new) = (Members::of(old), Members::of(new));
    if old.patterns != new.patterns && (new.patterns.is_some() || !says_nothing(new.others)) {
        return found.push(changed_keyword(&step(at, "patternProperties"), "patternProperties"));
    }
    let here = step(at, "properties");
    for (name, member) in new.named() {
        let place = step(&here, name);
        match old.named.and_then(|named| named.get(name)) {
            Some(was) => compare(was, member, &place, found),
            // Under a pattern, any value may have been accepted.
            None if old.patterns.is_none() && *old.others == Value::Bool(false) => {}
            None if says_nothing(member) => {}
            None if old.patterns.is_none() && !says_nothing(old.others) => compare(old.others, member, &place, found),
            None => {
                let message = format!(
                    "'{name}' was undeclared in an open object, so any value was accepted. Declare it without constraining its value, or \
                     register another event type. Objects with additionalProperties: false can gain constrained members."
                );
                found.push(Violation::new(place, Code::MemberConstrained, message));
            }
        }
    }
    for (name, was) in old.named().filter(|(name, _)| !new.named.is_some_and(|named| named.contains_key(*name))) {
        if *new.others == Value::Bool(false) {
            let message = format!("'{name}' was accepted before and must stay accepted.");
            found.push(Violation::new(step(&here, name), Code::MemberRemoved, message));
        } else {
            compare(was, new.others, &step(at, "additionalProperties"), found);
        }
    }
    compare(old.others, new.others, &step(at, "additionalProperties"), found);
}

fn compare_items(old: &Map<String, Value>, new: &Map<String, Value>, at: &str, found: &mut Vec<Violation>) {
    let any = Value::Bool(true);
    match (old.get("prefixItems"), new.get("prefixItems"), new.get("items")) {
        (_, None, None) => {}
        (was, is, items) if was == is => compare(old.get("items").unwrap_or(&any), items.unwrap_or(&any), &step(at, "items"), found),
        _ => found.push(changed_keyword(&step(at, "prefixItems"), "prefixItems")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn codes(old: Value, new: Value) -> Vec<(String, &'static str)> {
        incompatibilities(&old, &new).into_iter().map(|found| (found.pointer.into_owned(), found.code.as_str())).collect()
    }

    fn code(old: Value, new: Value) -> &'static str {
        let found = codes(old, new);
        assert_eq!(found.len(), 1, "{found:?}");
        found[0].1
    }

    #[test]
    fn wider_is_compatible() {
        let closed = |members: Value| json!({ "type": "object", "additionalProperties": false, "properties": members, "required": ["a"] });
        let wider = [
            (
                closed(json!({ "a": { "type": "integer" } })),
                closed(json!({ "a": { "type": ["number", "string"] }, "b": { "type": "string" } })),
            ),
            (closed(json!({ "a": { "enum": [1, 2] } })), closed(json!({ "a": { "enum": [3, 2, 1] } }))),
            (closed(json!({ "a": { "const": 1 } })), closed(json!({ "a": { "enum": [1, 2] } }))),
            (closed(json!({ "a": { "enum": [1] } })), closed(json!({ "a": { "title": "Any" } }))),
            (json!({ "required": ["a", "b"] }), json!({ "required": ["a"] })),
            (json!({ "minLength": 2, "maximum": 5, "pattern": "x" }), json!({ "minLength": 1, "maximum": 5.5 })),
            (json!({ "type": "object" }), json!({ "type": "object", "properties": { "a": {} } })),
            (json!({ "properties": { "a": { "type": "string" } } }), json!({ "properties": {} })),
            (
                json!({ "additionalProperties": { "type": "string" } }),
                json!({ "properties": { "a": { "type": "string" } }, "additionalProperties": { "type": "string" } }),
            ),
            (json!({ "additionalProperties": false }), json!({})),
            (json!({ "anyOf": [{ "type": "string" }] }), json!({ "anyOf": [{ "type": "null" }, { "type": "string" }] })),
            (json!({ "items": { "maxLength": 3 } }), json!({ "items": { "maxLength": 4 } })),
            (json!({ "if": { "type": "string" }, "then": { "minLength": 1 } }), json!({ "then": { "minLength": 9 } })),
            (json!({ "$defs": { "a": true } }), json!({ "$defs": { "a": true, "b": false } })),
            (json!({ "title": "A", "x-y": 1 }), json!({ "title": "B" })),
            (json!({ "patternProperties": { "^x": { "type": "string" } } }), json!({ "properties": { "a": {} } })),
        ];
        for (old, new) in wider {
            assert_eq!(codes(old.clone(), new.clone()), [], "{old} to {new}");
        }
    }

    #[test]
    fn each_way_to_be_narrower_has_its_code() {
        let members = |members: Value| json!({ "additionalProperties": false, "properties": members });
        assert_eq!(code(json!({ "type": "number" }), json!({ "type": "integer" })), "type_narrowed");
        assert_eq!(code(json!({}), json!({ "type": "string" })), "type_narrowed");
        assert_eq!(code(json!({ "enum": [1, 2] }), json!({ "enum": [1] })), "enum_narrowed");
        assert_eq!(code(json!({ "type": "string" }), json!({ "type": "string", "const": "a" })), "enum_narrowed");
        assert_eq!(
            codes(json!({ "required": ["a"] }), json!({ "required": ["a", "b", "c"] })),
            [("/schema/required".to_owned(), "member_required"), ("/schema/required".to_owned(), "member_required")]
        );
        assert_eq!(
            codes(members(json!({ "a": true, "b": true })), members(json!({ "a": true }))),
            [("/schema/properties/b".to_owned(), "member_removed")]
        );
        assert_eq!(
            code(json!({ "type": "object" }), json!({ "type": "object", "properties": { "a": { "type": "string" } } })),
            "member_constrained"
        );
        assert_eq!(code(json!({}), json!({ "additionalProperties": false })), "schema_narrowed");
        assert_eq!(code(json!({ "maximum": 5 }), json!({ "maximum": 4 })), "bound_narrowed");
        assert_eq!(code(json!({ "minimum": 9007199254740992u64 }), json!({ "minimum": 9007199254740993u64 })), "bound_narrowed");
        assert_eq!(code(json!({}), json!({ "minItems": 1 })), "bound_narrowed");
        assert_eq!(code(json!({}), json!({ "uniqueItems": true })), "bound_narrowed");
        assert_eq!(code(json!({ "pattern": "a" }), json!({ "pattern": "b" })), "keyword_changed");
        assert_eq!(code(json!({}), json!({ "format": "date" })), "keyword_changed");
        assert_eq!(code(json!({}), json!({ "not": { "type": "string" } })), "keyword_changed");
        assert_eq!(
            code(json!({ "oneOf": [{ "type": "string" }] }), json!({ "oneOf": [{ "type": "string" }, { "maxLength": 3 }] })),
            "keyword_changed"
        );
        assert_eq!(code(json!({ "contains": {}, "minContains": 0 }), json!({ "contains": {} })), "keyword_changed");
        assert_eq!(code(json!({ "prefixItems": [true] }), json!({ "items": false })), "keyword_changed");
        assert_eq!(code(json!({ "patternProperties": { "a": true } }), json!({ "patternProperties": { "a": false } })), "keyword_changed");
        assert_eq!(
            code(json!({ "patternProperties": { "a": true }, "additionalProperties": false }), json!({ "additionalProperties": false })),
            "keyword_changed"
        );
        assert_eq!(
            codes(json!({ "$defs": { "a": true } }), json!({ "$defs": { "a": false } })),
            [("/schema/$defs/a".to_owned(), "definition_changed")]
        );
        assert_eq!(code(json!({ "items": true }), json!({ "items": false })), "schema_narrowed");
    }

    #[test]
    fn every_narrowing_is_named_wherever_it_stands() {
        let old = json!({ "properties": { "a": { "properties": { "b": { "type": "string" } } }, "c": { "maxLength": 9 } } });
        let new = json!({ "properties": { "a": { "properties": { "b": { "type": "number" } } }, "c": { "maxLength": 8 } } });
        assert_eq!(
            codes(old, new),
            [
                ("/schema/properties/a/properties/b/type".to_owned(), "type_narrowed"),
                ("/schema/properties/c/maxLength".to_owned(), "bound_narrowed")
            ]
        );
    }
}
