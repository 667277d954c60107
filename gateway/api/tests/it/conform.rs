//! Checks every response of every test against the document: a documented status, a documented code, and a body that matches its schema
//! without undocumented members.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, LazyLock, Mutex},
};

use billwire_api::{business_transaction_schema, event_schema, openapi, operations as registered};
use billwire_schemas::events::{
    catalogue,
    selection::{BUSINESS_TRANSACTION, is_business_transaction},
};
use jsonschema::Validator;
use serde_json::{Value, json};

use crate::{document::operations, rig::Answer};

static DOCUMENT: LazyLock<Value> = LazyLock::new(|| {
    let mut document = openapi();
    close(&mut document["components"]["schemas"]);
    document
});

/// Closes schemas to members that they do not name.
fn close(schemas: &mut Value) {
    for schema in schemas.as_object_mut().into_iter().flatten().map(|(_, schema)| schema) {
        if schema.get("properties").is_some() {
            schema["additionalProperties"] = false.into();
        }
    }
}

static OPERATIONS: LazyLock<Vec<(String, String, String, Value)>> = LazyLock::new(|| operations(&DOCUMENT));

fn fits(template: &str, path: &str) -> bool {
    let (wanted, found): (Vec<_>, Vec<_>) = (template.split('/').collect(), path.split('/').collect());
    wanted.len() == found.len() && wanted.iter().zip(&found).all(|(w, f)| w.starts_with('{') || w == f)
}

static EVENTS: LazyLock<HashMap<&'static str, Validator>> = LazyLock::new(|| {
    let document = openapi();
    let compiled = |mut schema: Value| {
        close(&mut schema["$defs"]);
        jsonschema::options().should_validate_formats(true).build(&schema).expect("a schema")
    };
    let whole = [(BUSINESS_TRANSACTION, compiled(business_transaction_schema(&document)))];
    catalogue::all().map(|event| (event.name, compiled(event_schema(event, &document)))).chain(whole).collect()
});

/// The validator of a schema in the document. Compiling takes longer than most calls, so that each is compiled once.
fn validator(schema: &Value) -> Arc<Validator> {
    static COMPILED: LazyLock<Mutex<HashMap<String, Arc<Validator>>>> = LazyLock::new(Mutex::default);
    let text = schema.to_string();
    if let Some(known) = COMPILED.lock().expect("no panic").get(&text) {
        return known.clone();
    }
    let mut whole = schema.clone();
    whole["components"] = json!({ "schemas": DOCUMENT["components"]["schemas"] });
    let made = Arc::new(jsonschema::options().should_validate_formats(true).build(&whole).expect("a schema"));
    COMPILED.lock().expect("no panic").insert(text, made.clone());
    made
}

/// Panics unless this event of a built-in type matches its schema and has only public parameters of its type or parameters of a data
/// source.
#[track_caller]
pub fn check_event(kind: &str, body: &str) {
    let (known, whole) = (catalogue::find(kind), is_business_transaction(kind));
    if known.is_none() && !whole {
        return assert!(kind.starts_with("custom."), "{kind}");
    }
    let message: Value = serde_json::from_str(body).expect("JSON");
    let schema = if whole { BUSINESS_TRANSACTION } else { kind };
    let faults: Vec<String> = EVENTS[schema].iter_errors(&message).map(|e| format!("{}: {e}", e.instance_path())).collect();
    assert!(faults.is_empty(), "{kind}: {faults:#?}\n{message:#}");
    let Some(event) = known else { return };
    let group = |name: &str| name.split('.').next().unwrap_or_default().to_owned();
    let built_in: BTreeSet<String> = catalogue::all().flat_map(|event| event.parameters()).map(|p| group(p.name)).collect();
    for name in message["data"]["parameters"].as_object().expect("parameters").keys().filter(|name| built_in.contains(&group(name))) {
        let offered = event.offers().any(|(parameter, email_only)| parameter.name == name && !email_only);
        assert!(offered, "{kind} carries {name}, which the catalogue does not tell of");
    }
}

/// Panics unless the document allows this response to the call.
#[track_caller]
pub fn check(method: &str, path: &str, answer: &Answer) {
    // The path belongs to another operation, though this one has a parameter in the same place.
    if answer.status == 405 {
        return;
    }
    let path = path.split('?').next().expect("a path");
    let Some((id, _, _, operation)) = OPERATIONS.iter().find(|(_, m, template, _)| m == method && fits(template, path)) else { return };
    let mut response =
        operation["responses"].get(answer.status.to_string()).unwrap_or_else(|| panic!("{id}: {}: {}", answer.status, answer.text));
    if let Some(shared) = response["$ref"].as_str() {
        response = DOCUMENT.pointer(shared.trim_start_matches('#')).expect("a shared response");
    }
    if answer.status == 304 {
        return assert!(answer.text.is_empty());
    }
    let content = &response["content"][answer.header("content-type")];
    assert!(!content["schema"].is_null(), "{id}: {} is not documented as {}", answer.status, answer.header("content-type"));
    let body = answer.json();
    let validator = validator(&content["schema"]);
    let faults: Vec<String> = validator.iter_errors(&body).map(|e| format!("{}: {e}", e.instance_path())).collect();
    assert!(faults.is_empty(), "{id}: {faults:#?}\n{body:#}");
    if answer.status >= 400 {
        let code = body["code"].as_str().expect("a code");
        // Codes of requests that match no operation.
        if ["route_not_found", "method_not_allowed"].contains(&code) {
            return;
        }
        assert!(
            registered().find(|operation| operation.id == id).expect("an entry").codes().iter().any(|known| *known == code),
            "{id} does not tell of {code}"
        );
    }
    // The first two are on every response, the next three on every 415, and the others on what is served compressed.
    let common = ["x-content-type-options", "cache-control", "content-type", "accept", "accept-encoding", "vary", "content-encoding"];
    for name in answer.headers.keys().filter(|name| !common.contains(&name.as_str())) {
        let told = response["headers"].as_object().is_some_and(|headers| headers.keys().any(|key| key.eq_ignore_ascii_case(name.as_str())));
        assert!(told || (answer.status == 403 && name == "www-authenticate"), "{id}: {} does not tell of the header {name}", answer.status);
    }
}
