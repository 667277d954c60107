//! The grammar of subscriptions' paths, and parameters to fill in.

use serde_json::Map;

use crate::{dice::Dice, input::Input};

const PARTS: &[&str] = &[
    "/",
    "a",
    "{account.id}",
    "{data.text}",
    "{nowhere}",
    "{",
    "}",
    "..",
    ".",
    "%2e",
    "%2F",
    "%",
    "?",
    "#",
    "\\",
    "ä",
    "//",
    "@",
    ":443",
    "&x=",
    " ",
    "\u{202e}",
    "{data.count}",
];

pub fn input(dice: &mut Dice) -> Input {
    let count = dice.size(300);
    let mut path: String = (0..count).map(|_| *dice.one(PARTS)).collect();
    if dice.rarely(3) {
        let part = *dice.one(PARTS);
        path = format!("/{}", part.repeat(1 + dice.size(20_000 / part.len())));
    }
    let base = (*dice.one(&["https://example.test", "https://example.test/base/", "https://example.test/%2e%2e/a?x=1", "https://[::1]/a"]))
        .to_owned();
    let mut parameters = Map::new();
    for name in ["account.id", "data.text"] {
        let most = if dice.rarely(4) { 256 * 1024 } else { 4_096 };
        parameters.insert(name.to_owned(), dice.text(most).into());
    }
    parameters.insert("data.count".to_owned(), dice.json(8, 0));
    Input::Path { path, base, parameters }
}
