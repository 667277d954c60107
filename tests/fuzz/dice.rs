//! Reproducible random choices, and JSON values made of them.

use serde_json::{Map, Value};

/// A pseudo-random generator (SplitMix64).
pub struct Dice(u64);

impl Dice {
    /// The generator of one input of a run.
    pub fn new(seed: u64, round: u64) -> Self {
        let mut dice = Self(seed ^ round.wrapping_mul(0xd134_2543_de82_ef95));
        dice.number();
        dice
    }

    fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `sides`.
    pub fn throw(&mut self, sides: usize) -> usize {
        usize::try_from(self.number() % sides.max(1) as u64).expect("small")
    }

    /// True once in `times`.
    pub fn rarely(&mut self, times: usize) -> bool {
        self.throw(times) == 0
    }

    /// One of these.
    pub fn one<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.throw(of.len())]
    }

    /// A number up to `most` whose magnitude is as likely as any other: mostly small, sometimes as large as allowed.
    pub fn size(&mut self, most: usize) -> usize {
        let bits = usize::BITS - most.leading_zeros();
        let bits = self.throw(bits as usize + 1);
        self.throw((1 << bits).min(most + 1))
    }

    /// `open` and `close` many times around `inner`.
    pub fn nested(&mut self, open: &str, inner: &str, close: &str, most: usize) -> String {
        let times = self.size(most);
        format!("{}{inner}{}", open.repeat(times), close.repeat(times))
    }

    /// The text, now and then damaged: a part repeated, removed, or put elsewhere.
    pub fn damaged(&mut self, text: String, bytes_max: usize) -> String {
        if !self.rarely(6) || text.is_empty() {
            return text;
        }
        let chars: Vec<char> = text.chars().collect();
        let from = self.throw(chars.len());
        let part: String = chars[from..(from + 1 + self.size(40)).min(chars.len())].iter().collect();
        let at = self.throw(chars.len());
        let (before, after): (String, String) = (chars[..at].iter().collect(), chars[at..].iter().collect());
        let times = match self.throw(3) {
            0 => self.size(bytes_max / part.len().max(1)),
            1 => 1,
            _ => return text.replacen(&part, "", 1),
        };
        format!("{before}{}{after}", part.repeat(times))
    }

    pub fn text(&mut self, most: usize) -> String {
        const PARTS: &[&str] =
            &["a", "Z", "0", " ", "ä", "€", "😀", "\u{0}", "\n", "'", "\"", "\\", "{{", "}}", "%", "/", "..", "<b>", "&", "a+"];
        let length = self.size(most);
        if self.rarely(2) {
            let part = *self.one(PARTS);
            return part.repeat(length / part.len());
        }
        let mut text = String::new();
        while text.len() < length.min(2_000) {
            let part = *self.one(PARTS);
            text.push_str(part);
        }
        text
    }

    /// A JSON value of up to about `bytes`.
    pub fn json(&mut self, bytes: usize, depth: usize) -> Value {
        match self.throw(if depth == 0 || bytes < 8 { 5 } else { 9 }) {
            0 => self.one(&[Value::Null, Value::Bool(true), Value::Bool(false)]).clone(),
            1 => self.throw(1000).into(),
            2 => (self.throw(1000) as f64 / 7.0).into(),
            3 => (*self.one::<&str>(&["", "1.50", "2027-01-15", "2027-01-15T10:00:00Z", "a1", "EUR", "-0.000001"])).into(),
            4 => self.text(bytes).into(),
            5 | 6 => {
                let count = self.size(bytes / 4);
                // Many elements are alike, as in a real list.
                if count > 20 {
                    let element = self.json(bytes / count, depth - 1);
                    return Value::Array(vec![element; count]);
                }
                (0..count).map(|_| self.json(bytes / count.max(1), depth - 1)).collect()
            }
            7 => {
                let mut value = self.json(bytes / 4, 0);
                for _ in 0..self.size(100) {
                    value =
                        if self.rarely(2) { Value::Array(vec![value]) } else { Value::Object(Map::from_iter([("a".to_owned(), value)])) };
                }
                value
            }
            _ => {
                let count = self.size(bytes / 8).min(200);
                let name = |dice: &mut Self, n: usize| {
                    if dice.rarely(2) { format!("m{n}") } else { (*dice.one(&["a", "b", "lines", "text"])).to_owned() }
                };
                let member = |n| (name(self, n), self.json(bytes / count.max(1), depth - 1));
                Value::Object((0..count).map(member).collect())
            }
        }
    }
}
