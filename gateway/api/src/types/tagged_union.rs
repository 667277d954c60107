//! Objects whose `type` determines the other members.
//!
//! The schema is one object with optional members, not a `oneOf`: a new type breaks no client, every generator produces a usable type
//! (the Go generator does not support `oneOf`), and each misplaced member is named, where a union could only report a mismatch.

use serde_json::Value;

use crate::http::problem::Violation;

/// Adds to `found` the missing members of the body's object `name`, and those its type does not allow. `takes` lists each type with its
/// required and its optional members.
pub(crate) fn check(body: &Value, name: &str, takes: &[(&str, &[&str], &[&str])], found: &mut Vec<Violation>) {
    let Some(object) = body.get(name).and_then(Value::as_object) else { return };
    let kind = object.get("type").and_then(Value::as_str).unwrap_or_default();
    let Some((_, must, may)) = takes.iter().find(|(name, ..)| *name == kind) else { return };
    for member in must.iter().filter(|member| !object.contains_key(**member)) {
        let pointer = format!("/{name}/{member}");
        let message = format!("'{pointer}' is required for type {kind}.");
        found.push(Violation::at(pointer, "missing", message));
    }
    let all = takes.iter().flat_map(|(_, must, may)| must.iter().chain(*may));
    for member in all.filter(|member| object.contains_key(**member) && !must.contains(member) && !may.contains(member)) {
        let pointer = format!("/{name}/{member}");
        let message = format!("'{pointer}' is not allowed for type {kind}.");
        found.push(Violation::at(pointer, "not_allowed", message));
    }
}
