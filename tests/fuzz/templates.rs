//! The grammar of templates, and parameters for them.

use billwire_schemas::template::Template;
use serde_json::Map;

use crate::{dice::Dice, input::Input};

const NAMES: &[&str] =
    &["account.name", "account.id", "data.text", "data.list", "data.count", "event.name", "account", "item", "loop.index", "x"];
const FILTERS: &[&str] = &[
    "upper",
    "default('-')",
    "money('EUR')",
    "date",
    "datetime",
    "number",
    "join(',')",
    "sort",
    "unique",
    "replace('a', 'bb')",
    "length",
    "list",
    "reverse",
    "first",
    "indent(4)",
    "batch(2)",
    "tojson",
    "safe",
    "dictsort",
    "format",
    "split('a')",
    "items",
    "title",
    "trim",
    "round",
    "string",
];
const OPERATORS: &[&str] = &["+", "-", "*", "/", "//", "%", "**", "~", "==", "!=", "<", ">", "and", "or", "in", "not in", "is"];
const BYTES_MAX: usize = 200_000;

pub fn input(dice: &mut Dice) -> Input {
    let html = dice.rarely(3).then(|| part(dice));
    let template = Template { subject: if dice.rarely(3) { part(dice) } else { "s".to_owned() }, text: part(dice), html };
    let mut parameters = Map::new();
    for name in ["account.name", "account.id", "data.text", "event.name"] {
        parameters.insert(name.to_owned(), dice.text(4_096).into());
    }
    parameters.insert("data.count".to_owned(), dice.json(8, 0));
    let bytes = if dice.rarely(10) { 200_000 } else { 4_000 };
    parameters.insert("data.list".to_owned(), dice.json(bytes, 3));
    let offered = ["account.name", "account.id", "data.text", "data.list", "data.count", "event.name"].map(str::to_owned).to_vec();
    Input::Template { template, offered, parameters }
}

fn part(dice: &mut Dice) -> String {
    let text = match dice.throw(6) {
        0 => long(dice),
        1 => deep(dice),
        _ => (0..1 + dice.size(6)).map(|_| statement(dice, 3)).collect(),
    };
    let damaged = dice.damaged(text, BYTES_MAX);
    damaged.chars().take(BYTES_MAX).collect()
}

fn long(dice: &mut Dice) -> String {
    let one = statement(dice, 1);
    match dice.throw(4) {
        0 => {
            format!("{{{{ {} }}}}", vec!["data.text"; 1 + dice.size(20_000)].join(*dice.one::<&str>(&[" ~ ", "|upper ~ ", " + ", " == "])))
        }
        1 => format!("{{{{ [{}] }}}}", vec!["data.list"; 1 + dice.size(20_000)].join(",")),
        2 => format!("{{{{ data.text{} }}}}", format!("|{}", dice.one(FILTERS)).repeat(1 + dice.size(20_000))),
        _ => one.repeat(1 + dice.size(BYTES_MAX / one.len().max(1))),
    }
}

fn deep(dice: &mut Dice) -> String {
    let inner = expression(dice, 1);
    let most = 30_000;
    match dice.throw(7) {
        0 => format!("{{{{ {} }}}}", dice.nested("(", &inner, ")", most)),
        1 => format!("{{{{ {} }}}}", dice.nested("[", &inner, "]", most)),
        2 => format!("{{{{ {} }}}}", dice.nested("not ", &inner, "", most)),
        3 => format!("{{{{ {} }}}}", dice.nested("-", &inner, "", most)),
        4 => dice.nested("{% if x %}", &inner, "{% endif %}", most / 3),
        5 => dice.nested("{% for item in data.list %}", "{{ item }}", "{% endfor %}", most / 3),
        // A value that contains itself over and over.
        _ => {
            let times = dice.size(60);
            let set = "{% set x = [x, x] %}".repeat(times);
            format!(
                "{{% set x = data.list %}}{set}{{{{ {} }}}}",
                dice.one(&["x", "x == x", "x|length", "x|join", "x|sort", "x|tojson", "x|string"])
            )
        }
    }
}

fn statement(dice: &mut Dice, depth: usize) -> String {
    if depth == 0 {
        return dice.text(40);
    }
    let body = |dice: &mut Dice| statement(dice, depth - 1);
    match dice.throw(10) {
        0 => dice.text(200),
        1..=3 => format!("{{{{ {} }}}}", expression(dice, depth)),
        4 => format!("{{% if {} %}}{}{{% else %}}{}{{% endif %}}", expression(dice, depth), body(dice), body(dice)),
        5 => format!("{{% for item in {} %}}{}{{% endfor %}}", expression(dice, depth), body(dice)),
        6 => format!("{{% set x = {} %}}{}", expression(dice, depth), body(dice)),
        7 => format!("{{% macro m(a) %}}{}{{% endmacro %}}{{{{ m({}) }}}}", body(dice), expression(dice, depth)),
        8 => format!("{{% filter {} %}}{}{{% endfilter %}}", dice.one(FILTERS), body(dice)),
        _ => format!(
            "{}{{% raw %}}{}{{% endraw %}}{{# {} #}}",
            dice.one(&["{% include 'a' %}", "{% autoescape false %}", "{%", ""]),
            body(dice),
            dice.text(20)
        ),
    }
}

fn expression(dice: &mut Dice, depth: usize) -> String {
    const LITERALS: &[&str] =
        &["1", "9223372036854775807", "1.5", "'a'", "true", "none", "[]", "{}", "range(100000)", "'a' * 1000000", "[1] * 1000000"];
    if depth == 0 || dice.rarely(3) {
        return if dice.rarely(3) { (*dice.one(LITERALS)).to_owned() } else { (*dice.one(NAMES)).to_owned() };
    }
    let sub = |dice: &mut Dice| expression(dice, depth - 1);
    match dice.throw(7) {
        0 | 1 => format!("{} {} {}", sub(dice), dice.one(OPERATORS), sub(dice)),
        2 | 3 => format!("{}|{}", sub(dice), dice.one(FILTERS)),
        4 => format!("[{}, {}]", sub(dice), sub(dice)),
        5 => format!("({} if {} else {})", sub(dice), sub(dice), sub(dice)),
        _ => format!("{}[{}:{}]", sub(dice), sub(dice), sub(dice)),
    }
}
