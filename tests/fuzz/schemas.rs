//! The grammar of JSON schemas, and data for them.

use serde_json::{Map, Value, json};

use crate::{dice::Dice, input::Input};

const KINDS: &[&str] = &["null", "boolean", "integer", "number", "string", "array", "object", "strnig"];
const FORMATS: &[&str] =
    &["date", "date-time", "email", "uri", "regex", "ipv6", "uuid", "idn-hostname", "json-pointer", "duration", "none"];
const PATTERNS: &[&str] =
    &["a", "^[ab]+$", "(a+)+b", "(a{100}){100}", "[\\p{L}]{0,200}", "\\w{1000}", "(?i)x{500}", "(?=a)", "(", "^(a|b|c)*d$"];

pub fn input(dice: &mut Dice) -> Input {
    let schema = match dice.throw(5) {
        0 => many(dice),
        1 => referring(dice),
        _ => of_object(dice, 4),
    };
    let mut next = schema.clone();
    if let Some(members) = next.as_object_mut() {
        members.insert(["title", "required", "maxProperties"][dice.throw(3)].to_owned(), dice.json(20, 1));
        if let Some(properties) = members.get_mut("properties").and_then(Value::as_object_mut) {
            properties.insert("later".to_owned(), Value::Bool(true));
        }
    }
    let bytes = [200, 5_000, 100_000, 900_000][dice.size(3)];
    let mut data: Vec<Value> = (0..1 + dice.size(3)).map(|_| object(dice, bytes)).collect();
    // More is no request.
    let mut left = 1 << 20;
    data.retain(|data| {
        let size = data.to_string().len();
        let fits = size < left;
        left -= if fits { size } else { 0 };
        fits
    });
    Input::Schema { schema, next, data }
}

fn object(dice: &mut Dice, bytes: usize) -> Value {
    let members = ["a", "b", "c", "lines", "text"].map(|name| (name.to_owned(), dice.json(bytes / 5, 4)));
    Value::Object(members.into_iter().collect())
}

fn of_object(dice: &mut Dice, depth: usize) -> Value {
    let mut schema = Map::from_iter([("type".to_owned(), Value::from("object"))]);
    let properties = ["a", "b", "c", "lines"].map(|name| (name.to_owned(), sub(dice, depth)));
    schema.insert("properties".to_owned(), Value::Object(properties.into_iter().collect()));
    if let Value::Object(more) = sub(dice, depth) {
        schema.extend(more.into_iter().filter(|(name, _)| name != "type"));
    }
    schema.into()
}

/// One keyword with very many members.
fn many(dice: &mut Dice) -> Value {
    let count = 1 + dice.size(3_000);
    let one = sub(dice, 1);
    let (keyword, value) = match dice.throw(6) {
        0 => ("allOf", Value::Array(vec![one; count])),
        1 => ("enum", (0..count).map(|n| json!({ "n": n })).collect()),
        2 => ("properties", (0..count).map(|n| (format!("m{n}"), one.clone())).collect::<Map<_, _>>().into()),
        3 => {
            let pattern = *dice.one(PATTERNS);
            ("patternProperties", (0..count.min(400)).map(|n| (format!("{pattern}{n}"), one.clone())).collect::<Map<_, _>>().into())
        }
        4 => ("oneOf", (0..count).map(|n| json!({ "pattern": format!("{}{n}", dice.one(PATTERNS)) })).collect()),
        _ => ("pattern", dice.one(PATTERNS).repeat(1 + dice.size(600)).into()),
    };
    json!({ "type": "object", keyword: value })
}

/// Definitions that refer to each other, so that the whole is much larger than its text.
fn referring(dice: &mut Dice) -> Value {
    let count = 1 + dice.size(40);
    let circle = dice.rarely(4);
    let definition = |n: usize| {
        let to = if n + 1 < count {
            n + 1
        } else if circle {
            0
        } else {
            count
        };
        let reference = json!({ "$ref": format!("#/$defs/d{to}") });
        match dice.throw(3) {
            0 => json!({ "anyOf": [reference, reference] }),
            1 => json!({ "properties": { "a": reference, "b": reference }, "items": reference }),
            _ => json!({ "items": reference, "uniqueItems": true }),
        }
    };
    let mut definitions: Map<String, Value> = (0..count).map(definition).enumerate().map(|(n, made)| (format!("d{n}"), made)).collect();
    definitions.insert(format!("d{count}"), sub(dice, 1));
    json!({ "type": "object", "$defs": definitions, "properties": { "lines": { "$ref": "#/$defs/d0" }, "a": { "items": { "$ref": "#/$defs/d0" } } } })
}

fn sub(dice: &mut Dice, depth: usize) -> Value {
    if depth == 0 || dice.rarely(8) {
        return dice.rarely(2).into();
    }
    let mut schema = Map::new();
    for _ in 0..dice.size(5) {
        let below = |dice: &mut Dice| sub(dice, depth - 1);
        let (keyword, value) = match dice.throw(20) {
            0 | 1 => ("type", (*dice.one(KINDS)).into()),
            2 => ("enum", Value::Array(vec![dice.json(50, 1), dice.json(2_000, 2)])),
            3 => ("const", dice.json(2_000, 3)),
            4 => ("multipleOf", dice.json(2, 0)),
            5 => ("maxLength", dice.throw(100).into()),
            6 => ("pattern", (*dice.one(PATTERNS)).into()),
            7 => ("format", (*dice.one(FORMATS)).into()),
            8 => ("uniqueItems", true.into()),
            9 => ("items", below(dice)),
            10 => ("prefixItems", Value::Array(vec![below(dice); dice.size(50)])),
            11 => ("contains", below(dice)),
            12 => ("additionalProperties", below(dice)),
            13 => ("patternProperties", json!({ *dice.one(PATTERNS): below(dice) })),
            14 => ("propertyNames", below(dice)),
            15 => ("anyOf", Value::Array(vec![below(dice), below(dice)])),
            16 => ("oneOf", Value::Array(vec![below(dice); 1 + dice.size(20)])),
            17 => ("not", below(dice)),
            18 => ("properties", json!({ "a": below(dice), "b": below(dice) })),
            _ => (*dice.one(&["required", "unevaluatedItems", "$id", "maximun", "minimum", "dependentRequired"]), dice.json(50, 2)),
        };
        schema.insert(keyword.to_owned(), value);
    }
    schema.into()
}
