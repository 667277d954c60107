//! Objects whose `type` says which other members go with it.
//!
//! They are one object with optional members, not a union: a new type then breaks no client, every generator makes a usable type of it
//! (the Go one cannot build a `oneOf`), and each misplaced member is named where a union could only say that nothing fits.

use serde_json::Value;

use crate::http::problem::Violation;

/// Names what the object `name` of a body lacks, and what does not go with its type. `takes`: of each type, what it must have and what
/// it may have besides.
pub(crate) fn check(body: &Value, name: &str, takes: &[(&str, &[&str], &[&str])], found: &mut Vec<Violation>) {
    let Some(object) = body.get(name).and_then(Value::as_object) else { return };
    let kind = object.get("type").and_then(Value::as_str).unwrap_or_default();
    let Some((_, must, may)) = takes.iter().find(|(name, ..)| *name == kind) else { return };
    for member in must.iter().filter(|member| !object.contains_key(**member)) {
        let pointer = format!("/{name}/{member}");
        let message = format!("'{pointer}' is required by the type {kind}.");
        found.push(Violation::at(pointer, "missing", message));
    }
    let all = takes.iter().flat_map(|(_, must, may)| must.iter().chain(*may));
    for member in all.filter(|member| object.contains_key(**member) && !must.contains(member) && !may.contains(member)) {
        let pointer = format!("/{name}/{member}");
        let message = format!("'{pointer}' does not go with the type {kind}.");
        found.push(Violation::at(pointer, "not_allowed", message));
    }
}
