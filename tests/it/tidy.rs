//! The structure of the code base: who may import whom, how long files may be, which names are not used.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    process::Command,
};

use billwire_tests::root;
use serde_json::Value;

/// The workspace crates that each crate may import (DESIGN section 3), apart from itself.
const ARROWS: &[(&str, &[&str])] = &[
    ("billwire-schemas", &[]),
    ("billwire-monitoring", &[]),
    ("billwire-domain", &["billwire-schemas"]),
    ("billwire-store", &["billwire-schemas", "billwire-domain", "billwire-monitoring"]),
    ("billwire-app", &["billwire-schemas", "billwire-domain", "billwire-store", "billwire-monitoring"]),
    ("billwire-api", &["billwire-schemas", "billwire-domain", "billwire-app", "billwire-monitoring"]),
    ("billwire-bus", &["billwire-schemas"]),
    ("billwire-dev", &["billwire-schemas"]),
    ("billwire-delivery", &["billwire-schemas", "billwire-bus", "billwire-monitoring"]),
    ("billwire-webhook", &["billwire-schemas", "billwire-delivery"]),
    ("billwire-email", &["billwire-schemas", "billwire-delivery"]),
    ("billwire-warehouse", &["billwire-schemas", "billwire-delivery"]),
];

fn dependencies() -> BTreeMap<String, Vec<String>> {
    let output = Command::new(env!("CARGO")).args(["metadata", "--no-deps", "--format-version", "1"]).current_dir(root()).output();
    let metadata: Value = serde_json::from_slice(&output.expect("cargo metadata").stdout).expect("JSON");
    let packages = metadata["packages"].as_array().expect("packages");
    let names = |package: &Value| {
        let of = package["dependencies"].as_array().expect("dependencies");
        // A crate's tests may depend on more than the crate itself.
        of.iter().filter(|d| d["kind"] != "dev").filter_map(|d| d["name"].as_str()).map(str::to_owned).collect()
    };
    packages.iter().map(|p| (p["name"].as_str().expect("a name").to_owned(), names(p))).collect()
}

#[test]
fn imports_go_one_way() {
    let all = dependencies();
    let listed: BTreeSet<&str> = ARROWS.iter().map(|(name, _)| *name).collect();
    // The program and the tests may import every crate.
    let missing: Vec<&String> =
        all.keys().filter(|name| !listed.contains(name.as_str()) && !["billwire", "billwire-tests"].contains(&name.as_str())).collect();
    assert!(missing.is_empty(), "{missing:?} are not in the list of arrows");
    for (name, allowed) in ARROWS {
        for dependency in all[*name].iter().filter(|d| d.starts_with("billwire")) {
            assert!(allowed.contains(&dependency.as_str()), "{name} must not import {dependency}");
        }
    }
}

/// The third-party crates that only some crates may import: the bans of deny.toml with `wrappers`.
fn wrapped(rules: &str) -> Vec<(&str, Vec<&str>)> {
    let bans = rules.lines().filter_map(|line| line.trim().strip_prefix("{ crate = ")?.split_once(", wrappers = ["));
    bans.map(|(library, rest)| {
        let names = rest.split(']').next().unwrap_or_default();
        (library.trim_matches('"'), names.split('"').skip(1).step_by(2).collect())
    })
    .collect()
}

#[test]
fn a_third_party_is_known_to_its_one_crate_only() {
    let (all, rules) = (dependencies(), std::fs::read_to_string(root().join("deny.toml")).expect("the rules"));
    let wrapped = wrapped(&rules);
    assert!(wrapped.len() >= 7, "{wrapped:?}");
    for (library, allowed) in wrapped {
        for (name, dependencies) in &all {
            let imports = dependencies.iter().any(|d| d == library);
            assert!(!imports || allowed.contains(&name.as_str()), "{name} must not import {library}");
        }
    }
}

fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        if path.is_dir() && name != "target" && !name.to_string_lossy().starts_with('.') {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

/// Every file of Rust in the repository with its text.
fn sources() -> Vec<(PathBuf, String)> {
    let mut files = Vec::new();
    rust_files(&root(), &mut files);
    files.into_iter().map(|file| (file.clone(), std::fs::read_to_string(file).expect("a file"))).collect()
}

#[test]
fn no_file_is_a_drawer_for_everything() {
    for (file, text) in sources() {
        let lines = text.lines().count();
        assert!(lines <= 400, "{} has {lines} lines: look for the second subject in it", file.display());
        let stem = file.file_stem().expect("a name").to_string_lossy().into_owned();
        assert!(!["util", "utils", "helpers", "common", "manager"].contains(&stem.as_str()), "{}", file.display());
    }
}

/// Lines from a function's signature to the brace that closes it, which rustfmt puts under its beginning.
fn functions(text: &str) -> impl Iterator<Item = (&str, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let begins = |line: &str| {
        let words = ["pub ", "pub(crate) ", "pub(super) ", "const ", "async "];
        let signature = words.iter().fold(line.trim_start(), |rest, word| rest.strip_prefix(word).unwrap_or(rest));
        signature.starts_with("fn ") && !line.trim_end().ends_with(';')
    };
    let length = move |at: usize| {
        let indent = lines[at].len() - lines[at].trim_start().len();
        let closes = |line: &&str| line.len() == indent + 1 && line.trim_start() == "}";
        (lines[at], lines[at..].iter().position(closes).unwrap_or(0) + 1)
    };
    let starts: Vec<usize> = text.lines().enumerate().filter(|(_, line)| begins(line)).map(|(at, _)| at).collect();
    starts.into_iter().map(length)
}

#[test]
fn a_function_fits_on_a_page() {
    for (file, text) in sources() {
        // A test tells a story from top to bottom.
        if file.components().any(|part| part.as_os_str().to_string_lossy().starts_with("tests")) {
            continue;
        }
        // Macros hold several items between one function's signature and its end.
        for (signature, lines) in functions(&text).filter(|_| !text.contains("macro_rules!")) {
            // The defaults of the settings are a list, with a line for each.
            if signature.contains("fn default() -> Self") {
                continue;
            }
            assert!(lines <= 70, "{}: {} has {lines} lines", file.display(), signature.trim());
        }
    }
}

/// Words that were names of our own for things that have a standard term.
const BANNED: &[&str] = &[
    "ledger",
    "ways",
    "gate",
    "gates",
    "passage",
    "stand",
    "in_hand",
    "crowding",
    "loading",
    "recording",
    "ending",
    "postmen",
    "receivers",
    "onward",
    "looked_up",
    "house",
    "once_each",
    "demand",
    "shelf",
    "noun",
    "owe",
    "hurry",
    "mending",
    "dial",
    "consented",
    "showing",
    "stretches",
    "rhythm",
    "touched",
    "booked",
    "publish_together",
    "verdict",
    "parcel",
    "mailing",
    "blame",
    "edge",
];

/// A name in snake_case.
fn snake(name: &str) -> String {
    let mut snake = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && !snake.is_empty() && !snake.ends_with('_') {
            snake.push('_');
        }
        snake.extend(letter.to_lowercase());
    }
    snake
}

#[test]
fn things_have_their_standard_names() {
    for (file, text) in sources() {
        let stem = file.file_stem().expect("a name").to_string_lossy().into_owned();
        assert!(!BANNED.contains(&stem.as_str()), "{}", file.display());
        for line in text.lines().map(str::trim_start).filter(|line| line.starts_with("pub")) {
            let mut words = line.split(|letter: char| !letter.is_alphanumeric() && letter != '_').filter(|word| !word.is_empty());
            let item = words.by_ref().find(|word| ["fn", "struct", "enum", "trait", "type", "mod", "const", "static"].contains(word));
            if let Some(name) = item.and_then(|_| words.next()) {
                assert!(!BANNED.contains(&snake(name).as_str()), "{}: {name}", file.display());
            }
        }
    }
}

/// The module of a file below `src`: `a::b` of `a/b.rs` or `a/b/mod.rs`, empty for the crate's root.
fn module(path: &Path) -> String {
    let path = path.with_extension("");
    let mut parts: Vec<String> = path.iter().map(|part| part.to_string_lossy().into_owned()).collect();
    if parts.last().is_some_and(|last| ["mod", "lib", "main"].contains(&last.as_str())) {
        parts.pop();
    }
    parts.join("::")
}

/// The paths that a `use` tree imports.
fn expand(tree: &str, prefix: &str, paths: &mut Vec<String>) {
    let Some((before, inside)) = tree.split_once('{') else {
        return paths.push(format!("{prefix}{}", tree.trim()));
    };
    let prefix = format!("{prefix}{}", before.trim());
    let (mut depth, mut from) = (0, 0);
    for (at, letter) in inside.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ',' | '}' if depth == 0 => {
                expand(&inside[from..at], &prefix, paths);
                from = at + 1;
            }
            _ => {}
        }
    }
}

/// The modules of the same crate that a file imports outside its tests.
fn imported(module: &str, text: &str, modules: &BTreeMap<String, String>) -> BTreeSet<String> {
    let code: String =
        text.lines().take_while(|line| *line != "#[cfg(test)]").filter(|line| !line.trim_start().starts_with("//")).collect();
    let mut paths = Vec::new();
    for part in code.split("use ").skip(1) {
        if let Some((tree, _)) = part.split_once(';') {
            expand(tree, "", &mut paths);
        }
    }
    paths.extend(
        code.split("crate::")
            .skip(1)
            .map(|rest| format!("crate::{}", rest.split([' ', '(', '<', '{', ';', ',', ')']).next().unwrap_or(""))),
    );
    let parent = module.rsplit_once("::").map_or("", |(parent, _)| parent);
    let absolute = |path: String| match (path.strip_prefix("crate::"), path.strip_prefix("super::"), path.strip_prefix("self::")) {
        (Some(path), ..) => Some(path.to_owned()),
        (_, Some(path), _) => Some(format!("{parent}::{path}")),
        (_, _, Some(path)) => Some(format!("{module}::{path}")),
        _ => None,
    };
    let known = |path: String| {
        let parts: Vec<&str> = path.split("::").filter(|part| !part.is_empty()).collect();
        (1..=parts.len()).rev().map(|count| parts[..count].join("::")).find(|module| modules.contains_key(module))
    };
    paths.into_iter().filter_map(absolute).filter_map(known).filter(|other| other != module).collect()
}

#[test]
fn no_more_than_three_files_import_each_other_in_a_circle() {
    for folder in rust_crates() {
        let (mut files, mut modules) = (Vec::new(), BTreeMap::new());
        rust_files(&folder, &mut files);
        for file in files {
            let module = module(file.strip_prefix(&folder).expect("below"));
            modules.insert(module, std::fs::read_to_string(&file).expect("a file"));
        }
        let direct: BTreeMap<&str, BTreeSet<String>> =
            modules.iter().map(|(name, text)| (name.as_str(), imported(name, text, &modules))).collect();
        let reached = |from: &str| {
            let (mut seen, mut next) = (BTreeSet::new(), vec![from.to_owned()]);
            while let Some(module) = next.pop() {
                next.extend(direct[module.as_str()].iter().filter(|other| seen.insert((*other).clone())).cloned());
            }
            seen
        };
        let all: BTreeMap<&str, BTreeSet<String>> = direct.keys().map(|module| (*module, reached(module))).collect();
        for (module, reached) in &all {
            let circle: Vec<&String> = reached.iter().filter(|other| all[other.as_str()].contains(*module)).collect();
            assert!(circle.len() <= 3, "{}: {circle:?} import each other", folder.display());
        }
    }
}

/// The source folder of every crate.
fn rust_crates() -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> = sources().into_iter().map(|(file, _)| file).collect();
    folders.retain(|file| file.ends_with("src/lib.rs") || file.ends_with("src/main.rs"));
    folders.iter().filter_map(|file| file.parent()).map(Path::to_path_buf).collect()
}

#[test]
fn only_the_registry_names_every_noun_of_the_api() {
    let folder = root().join("gateway/api/src");
    let registry = std::fs::read_to_string(folder.join("registry.rs")).expect("the registry");
    let entries = registry.lines().map(str::trim).filter_map(|line| line.strip_suffix(',')?.split_once("::"));
    let files: Vec<&str> =
        entries.filter(|(file, _)| file.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')).map(|(file, _)| file).collect();
    assert!(files.len() > 30, "{files:?}");
    let mut sources = Vec::new();
    rust_files(&folder, &mut sources);
    for source in sources.into_iter().filter(|source| !source.ends_with("registry.rs") && !source.ends_with("mod.rs")) {
        let text = std::fs::read_to_string(&source).expect("a file");
        let named = files.iter().filter(|file| text.contains(&format!("::{file}::"))).count();
        assert!(named <= 5, "{} names {named} nouns", source.display());
    }
}

#[test]
fn every_setting_is_in_the_table_of_settings() {
    let config = std::fs::read_to_string(root().join("gateway/server/src/config.rs")).expect("the settings");
    let (_, settings) = config.split_once("pub struct Settings {").expect("the settings");
    let (settings, _) = settings.split_once("\n}").expect("their end");
    let fields = settings.lines().filter_map(|line| line.trim().strip_prefix("pub ")?.split_once(':'));
    let known: BTreeSet<String> = fields.map(|(name, _)| format!("BILLWIRE_{}", name.to_uppercase())).collect();
    let table = std::fs::read_to_string(root().join("deploy/README.md")).expect("the table");
    let words =
        table.lines().filter(|line| line.starts_with("| `BILLWIRE_")).flat_map(|line| line.split('|').nth(1).unwrap_or("").split('`'));
    let mut told: BTreeSet<String> = words.filter(|word| word.starts_with("BILLWIRE_")).map(str::to_owned).collect();
    // The table says `BILLWIRE_MASTER_KEY` / `_FILE`.
    told.insert("BILLWIRE_MASTER_KEY_FILE".to_owned());
    assert_eq!(known, told);
}
