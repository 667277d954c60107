//! Makes a failing input smaller, as long as it fails.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::input::Input;

/// Longest that one input is made smaller.
const PATIENCE: Duration = Duration::from_secs(120);

/// The smallest input that was found for which `fails`.
pub fn shrink(input: Input, mut fails: impl FnMut(&Input) -> bool) -> Input {
    let until = Instant::now() + PATIENCE;
    let mut best = serde_json::to_value(&input).expect("JSON");
    let mut progress = true;
    while progress && Instant::now() < until {
        progress = false;
        for path in places(&best) {
            for smaller in smaller(best.pointer(&path).unwrap_or(&Value::Null)) {
                let mut candidate = best.clone();
                let Some(place) = candidate.pointer_mut(&path) else { continue };
                *place = smaller;
                if Instant::now() < until && serde_json::from_value(candidate.clone()).is_ok_and(|input| fails(&input)) {
                    (best, progress) = (candidate, true);
                    break;
                }
            }
        }
    }
    serde_json::from_value(best).unwrap_or(input)
}

/// The pointers to all values, those of large ones first.
fn places(value: &Value) -> Vec<String> {
    fn collect(value: &Value, at: String, found: &mut Vec<(usize, String)>) {
        if found.len() > 200 {
            return;
        }
        found.push((value.to_string().len(), at.clone()));
        match value {
            Value::Array(items) => items.iter().enumerate().for_each(|(n, item)| collect(item, format!("{at}/{n}"), found)),
            Value::Object(members) => {
                let step = |name: &str| name.replace('~', "~0").replace('/', "~1");
                members.iter().for_each(|(name, member)| collect(member, format!("{at}/{}", step(name)), found));
            }
            _ => {}
        }
    }
    let mut found = Vec::new();
    collect(value, String::new(), &mut found);
    found.sort_by(|one, other| other.cmp(one));
    found.into_iter().map(|(_, at)| at).collect()
}

fn smaller(value: &Value) -> Vec<Value> {
    match value {
        Value::String(text) => {
            let chars: Vec<char> = text.chars().collect();
            let without = |from: usize, to: usize| Value::from(chars[..from].iter().chain(&chars[to..]).collect::<String>());
            let half = chars.len() / 2;
            let mut found = vec![without(0, half), without(half, chars.len())];
            if chars.len() < 400 {
                let part = (chars.len() / 8).max(1);
                found.extend((0..chars.len()).step_by(part).map(|from| without(from, (from + part).min(chars.len()))));
            }
            found.retain(|smaller| smaller != value);
            found
        }
        Value::Array(items) if !items.is_empty() => {
            let half = items.len() / 2;
            let mut found = vec![Value::from(items[..half].to_vec()), Value::from(items[half..].to_vec())];
            if items.len() < 40 {
                found.extend(
                    (0..items.len()).map(|n| items.iter().enumerate().filter(|(m, _)| *m != n).map(|(_, item)| item.clone()).collect()),
                );
            }
            found.retain(|smaller| smaller != value);
            found
        }
        Value::Object(members) => {
            let without = |name: &String| {
                Value::Object(members.iter().filter(|(other, _)| *other != name).map(|(n, v)| (n.clone(), v.clone())).collect())
            };
            members.keys().take(40).map(without).collect()
        }
        _ => Vec::new(),
    }
}
