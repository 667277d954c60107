//! The grammar of expressions, and events for them.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::{dice::Dice, input::Input};

const NAMES: &[&str] = &[
    "event.after",
    "event.before",
    "event.after.lines",
    "event.after.text",
    "event.after.a",
    "event.type",
    "event.object",
    "account.id",
    "account.name",
    "data.text",
    "data.count",
    "account",
    "event",
    "x",
    "nowhere",
];
const LITERALS: &[&str] =
    &["1", "0", "-1", "9223372036854775807", "1.5", "1e308", "true", "false", "null", "'a'", "'EUR'", "b'x'", "3u", "[]", "{}", "r'\\d'"];
const BINARY: &[&str] = &["+", "-", "*", "/", "%", "==", "!=", "<", "<=", ">", ">=", "&&", "||", "in"];
const FUNCTIONS: &[&str] = &[
    "size",
    "string",
    "int",
    "double",
    "decimal",
    "amount",
    "timestamp",
    "duration",
    "type",
    "bytes",
    "uint",
    "bool",
    "now",
    "max",
    "dyn",
];
const METHODS: &[&str] = &["contains", "startsWith", "endsWith", "size", "getFullYear", "getHours", "matches", "f"];
const LOOPS: &[&str] = &["all", "exists", "exists_one", "filter", "map"];

pub fn input(dice: &mut Dice) -> Input {
    let count = 1 + dice.size(5);
    let parameters: BTreeMap<String, String> = (0..count).map(|n| (format!("p{n}"), source(dice))).collect();
    let bytes = [1_000, 20_000, 200_000, 1_000_000][dice.size(3)];
    Input::Expression { parameters, event: event(dice, bytes) }
}

fn source(dice: &mut Dice) -> String {
    let most = if dice.rarely(20) { 10_000 } else { 2_000 };
    let text = match dice.throw(6) {
        0 => long(dice, most),
        1 => deep(dice, most),
        _ => expression(dice, 4),
    };
    let damaged = dice.damaged(text, most);
    damaged.chars().take(most).collect()
}

/// One construct repeated beside itself up to the longest source.
fn long(dice: &mut Dice, most: usize) -> String {
    let part = if dice.rarely(2) { (*dice.one(NAMES)).to_owned() } else { expression(dice, 1) };
    let separator = *dice.one(&["+", ",", "==", " && ", " || ", " in ", "?1:", "-"]);
    let times = 1 + dice.size(most / (part.len() + separator.len()));
    let all = vec![part; times].join(separator);
    match dice.throw(5) {
        0 => format!("[{all}]"),
        1 => format!("size([{all}])"),
        2 => format!("{}.map(l, [{all}])", dice.one(NAMES)),
        3 => format!("{}.exists(l, l in [{all}])", dice.one(NAMES)),
        _ => all,
    }
}

/// One construct nested in itself up to the longest source.
fn deep(dice: &mut Dice, most: usize) -> String {
    let inner = expression(dice, 1);
    let (open, close) = *dice.one(&[
        ("(", ")"),
        ("[", "]"),
        ("{1:", "}"),
        ("!", ""),
        ("-", ""),
        ("size(", ")"),
        ("", ".a"),
        ("", "[0]"),
        ("[1].map(l,", ")"),
        ("true?", ":1"),
        ("string(", ")"),
        ("Foo{a:", "}"),
        ("'a'+", ""),
    ]);
    dice.nested(open, &inner, close, most / (open.len() + close.len()))
}

fn expression(dice: &mut Dice, depth: usize) -> String {
    if depth == 0 || dice.rarely(4) {
        return if dice.rarely(3) { (*dice.one(LITERALS)).to_owned() } else { (*dice.one(NAMES)).to_owned() };
    }
    let sub = |dice: &mut Dice| expression(dice, depth - 1);
    match dice.throw(11) {
        0..=2 => format!("{} {} {}", sub(dice), dice.one(BINARY), sub(dice)),
        3 => format!("({} ? {} : {})", sub(dice), sub(dice), sub(dice)),
        4 => format!("{}({})", dice.one(FUNCTIONS), sub(dice)),
        5 => format!("{}.{}({})", sub(dice), dice.one(METHODS), sub(dice)),
        6 => format!("{}.{}(l, {})", dice.one(NAMES), dice.one(LOOPS), sub(dice).replace("x", "l")),
        7 => format!("[{}, {}, {}]", sub(dice), sub(dice), sub(dice)),
        8 => format!("{{'a': {}, {}: 1}}", sub(dice), sub(dice)),
        9 => format!("has({})", dice.one(NAMES)),
        _ => format!("{}[{}]", sub(dice), sub(dice)),
    }
}

fn event(dice: &mut Dice, bytes: usize) -> Value {
    let mut after = Map::new();
    // Very many small objects: what takes the most memory for its text.
    let lines = if dice.rarely(10) { vec![json!({ "a": 0 }); bytes / 24].into() } else { dice.json(bytes / 2, 3) };
    after.insert("lines".to_owned(), lines);
    after.insert("text".to_owned(), dice.text(bytes / 2).into());
    after.insert("a".to_owned(), dice.json(bytes / 8, 4));
    let parameters =
        json!({ "account.id": "a1", "data.text": dice.text(4096), "data.count": dice.json(4, 0), "event.type": "custom.fuzzed" });
    let event = json!({
        "id": "e1", "type": "custom.fuzzed", "time": "2027-01-15T09:30:00Z", "subject": "s", "sequence": "00000000000000000007",
        "data": { "object": { "type": "custom_event", "id": "s", "version": 1, "action": "created" }, "after": after, "parameters": parameters }
    });
    // A larger one never gets here: it does not fit the stream.
    if event.to_string().len() > 1 << 20 { json!({ "data": { "parameters": {} } }) } else { event }
}
