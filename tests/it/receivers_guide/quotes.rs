//! What the guide quotes.

use std::{collections::BTreeSet, fs};

use billwire_tests::root;

/// The lines between `[name]` and `[/name]`.
fn region<'t>(program: &'t str, name: &str) -> Vec<&'t str> {
    let (begin, end) = (format!("[{name}]"), format!("[/{name}]"));
    let mut lines: Vec<&str> = program.lines().skip_while(|line| !line.ends_with(&begin)).skip(1).collect();
    lines.truncate(lines.iter().position(|line| line.ends_with(&end)).expect("an end"));
    let length = lines.iter().rposition(|line| !line.is_empty()).map_or(0, |last| last + 1);
    lines.truncate(length);
    lines
}

#[test]
fn the_guide_quotes_every_program_as_it_is() {
    let folder = root().join("consumers/webhook");
    let guide = fs::read_to_string(folder.join("README.md")).expect("the guide");
    let mut quoted = BTreeSet::new();
    let mut lines = guide.lines();
    while let Some(line) = lines.next() {
        let Some(mark) = line.strip_prefix("<!-- ").and_then(|rest| rest.strip_suffix(" -->")) else { continue };
        let (file, name) = mark.split_once(' ').expect("a file and a region");
        assert!(lines.next().is_some_and(|fence| fence.starts_with("```")), "no code behind {line}");
        let quote: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
        let program = fs::read_to_string(folder.join(file)).expect("a program");
        assert!(!quote.is_empty() && quote == region(&program, name), "{line} is no longer what the file says");
        quoted.insert(folder.join(file));
    }
    let programs: BTreeSet<_> = ["receivers", "subscribers"]
        .into_iter()
        .flat_map(|kind| fs::read_dir(folder.join(kind)).expect("a folder"))
        .map(|entry| entry.expect("an entry").path())
        .collect();
    assert_eq!(quoted, programs);
}
