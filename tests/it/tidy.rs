//! The structure of the code base: who may import whom, how long files may be, which names are not used.

use std::{collections::BTreeMap, path::Path, process::Command};

use billwire_tests::root;
use serde_json::Value;

/// The workspace crates that each crate may import (DESIGN section 3), apart from itself.
const ARROWS: &[(&str, &[&str])] = &[
    ("billwire-schemas", &[]),
    ("billwire-domain", &["billwire-schemas"]),
    ("billwire-store", &["billwire-schemas", "billwire-domain"]),
    ("billwire-app", &["billwire-schemas", "billwire-domain", "billwire-store"]),
    ("billwire-api", &["billwire-schemas", "billwire-domain", "billwire-app"]),
    ("billwire-bus", &["billwire-schemas"]),
    ("billwire-dev", &["billwire-schemas"]),
    ("billwire-delivery", &["billwire-schemas", "billwire-bus"]),
    ("billwire-webhook", &["billwire-schemas", "billwire-delivery"]),
    ("billwire-email", &["billwire-schemas", "billwire-delivery"]),
    ("billwire-warehouse", &["billwire-schemas", "billwire-delivery"]),
];

/// Third-party crates that only the listed crates import.
const FOREIGN: &[(&str, &[&str])] = &[
    ("sea-orm", &["billwire-store"]),
    ("sqlx", &["billwire-store", "billwire-tests"]),
    ("poem", &["billwire-api", "billwire-dev", "billwire"]),
    ("poem-openapi", &["billwire-api"]),
    ("async-nats", &["billwire-bus", "billwire-tests"]),
    ("reqwest", &["billwire-webhook", "billwire-tests"]),
    ("lettre", &["billwire-email", "billwire-tests"]),
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
    for (name, allowed) in ARROWS {
        for dependency in all[*name].iter().filter(|d| d.starts_with("billwire")) {
            assert!(allowed.contains(&dependency.as_str()), "{name} must not import {dependency}");
        }
    }
}

#[test]
fn a_third_party_is_known_to_its_one_crate_only() {
    let all = dependencies();
    for (library, allowed) in FOREIGN {
        for (name, dependencies) in &all {
            let imports = dependencies.iter().any(|d| d == library);
            assert!(!imports || allowed.contains(&name.as_str()), "{name} must not import {library}");
        }
    }
}

fn rust_files(folder: &Path, found: &mut Vec<std::path::PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        if path.is_dir() && name != "target" && !name.to_string_lossy().starts_with('.') {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn no_file_is_a_drawer_for_everything() {
    let mut files = Vec::new();
    rust_files(&root(), &mut files);
    for file in files {
        let lines = std::fs::read_to_string(&file).expect("a file").lines().count();
        assert!(lines <= 420, "{} has {lines} lines: look for the second subject in it", file.display());
        let stem = file.file_stem().expect("a name").to_string_lossy().into_owned();
        assert!(!["util", "utils", "helpers", "common", "manager"].contains(&stem.as_str()), "{}", file.display());
    }
}
