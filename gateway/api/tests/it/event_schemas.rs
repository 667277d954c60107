//! The committed JSON Schemas of events are the generated ones, and a version only gains optional members. `UPDATE=1` rewrites them.

use std::{fs, path::PathBuf};

use billwire_api::{business_transaction_schema, event_schema, openapi};
use billwire_schemas::events::{catalogue, selection::BUSINESS_TRANSACTION};
use serde_json::{Value, json};

/// Keywords that say nothing about which messages are valid.
const ANNOTATIONS: [&str; 5] = ["$schema", "title", "description", "examples", "default"];

/// What receivers of the old version of a schema may trip on in the new one, by place: all but new members that are optional.
fn breaks(old: &Value, new: &Value, at: &str, found: &mut Vec<String>) {
    let (Some(was), Some(is)) = (old.as_object(), new.as_object()) else {
        return if old != new {
            found.push(at.to_owned())
        };
    };
    for keyword in was.keys().chain(is.keys().filter(|keyword| !was.contains_key(*keyword))) {
        let place = format!("{at}/{keyword}");
        match (keyword.as_str(), was.get(keyword), is.get(keyword)) {
            (annotation, ..) if ANNOTATIONS.contains(&annotation) => {}
            // For generators: no message is less valid by it.
            ("format", None, Some(format)) if format == "int32" || format == "int64" => {}
            ("properties" | "$defs", Some(was), Some(is)) => {
                for (name, old) in was.as_object().into_iter().flatten() {
                    breaks(old, &is[name], &format!("{place}/{name}"), found);
                }
            }
            ("properties" | "$defs", None, Some(_)) => {}
            (_, Some(was), Some(is)) => breaks(was, is, &place, found),
            _ => found.push(place),
        }
    }
}

#[test]
fn every_event_type_has_its_schema_on_disk_and_versions_only_gain_optional_members() {
    let document = openapi();
    let events = catalogue::all().map(|event| (event.name, event_schema(event, &document)));
    for (name, schema) in events.chain([(BUSINESS_TRANSACTION, business_transaction_schema(&document))]) {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../schemas/events").join(name).join("v1.json");
        let generated = format!("{}\n", serde_json::to_string_pretty(&schema).expect("JSON"));
        let stored = fs::read_to_string(&path).unwrap_or_default();
        if let Ok(old) = serde_json::from_str::<Value>(&stored) {
            let mut found = Vec::new();
            breaks(&old, &schema, "", &mut found);
            assert!(found.is_empty(), "{name} would break its receivers: {found:#?}");
        }
        if std::env::var_os("UPDATE").is_some() {
            fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            fs::write(&path, &generated).expect("written");
        } else {
            assert_eq!(stored, generated, "{} is not what the code says; UPDATE=1 rewrites it", path.display());
        }
    }
}

#[test]
fn a_member_that_goes_or_becomes_required_or_is_of_another_type_breaks_receivers() {
    let member =
        |kind: &str| json!({ "type": "object", "required": ["a"], "properties": { "a": { "type": "string" }, "b": { "type": kind } } });
    let found = |new: Value| {
        let mut found = Vec::new();
        breaks(&member("string"), &new, "", &mut found);
        found
    };
    let (mut more, mut required, mut gone) = (member("string"), member("string"), member("string"));
    more["properties"]["c"] = json!({ "type": "integer", "description": "New." });
    assert!(found(more).is_empty());
    required["required"] = json!(["a", "b"]);
    assert_eq!(found(required), ["/required"]);
    gone["properties"].as_object_mut().expect("members").remove("b");
    assert_eq!(found(gone), ["/properties/b"]);
    assert_eq!(found(member("integer")), ["/properties/b/type"]);
}
