//! The committed JSON Schemas are the generated ones. `UPDATE=1` rewrites them.
#![expect(clippy::disallowed_methods, reason = "UPDATE=1 asks for rewriting")]

use std::{fs, path::PathBuf};

use billwire_schemas::events::{catalogue, json_schema};

#[test]
fn every_event_type_has_its_schema_on_disk() {
    for event in catalogue::all() {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("events").join(event.name).join("v1.json");
        let generated = format!("{}\n", serde_json::to_string_pretty(&json_schema::of(event)).expect("JSON"));
        if std::env::var("UPDATE").is_ok() {
            fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            fs::write(&path, &generated).expect("written");
        }
        let stored = fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(stored, generated, "{} is not what the code says; UPDATE=1 cargo test -p billwire-schemas rewrites it", path.display());
    }
}

#[test]
fn every_name_is_an_object_and_something_past() {
    for event in catalogue::all() {
        let (object, what) = event.name.split_once('.').expect("two parts");
        for part in [object, what] {
            assert!(part.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{}", event.name);
        }
        assert_eq!(catalogue::all().filter(|other| other.name == event.name).count(), 1, "{} stands twice", event.name);
        assert!(event.groups.contains(&billwire_schemas::events::parameters::Group::Core));
    }
}
