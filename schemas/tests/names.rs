//! The names of event types.

use billwire_schemas::events::{catalogue, parameters::Group};

#[test]
fn every_name_is_an_object_and_something_past() {
    for event in catalogue::all() {
        let (object, what) = event.name.split_once('.').expect("two parts");
        for part in [object, what] {
            assert!(part.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{}", event.name);
        }
        assert_eq!(catalogue::all().filter(|other| other.name == event.name).count(), 1, "{} stands twice", event.name);
        assert!(event.groups.contains(&Group::Core));
    }
}
