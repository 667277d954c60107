//! One test per event type of the catalogue: its cause, the parameters and ordering key the catalogue promises, and that nothing else
//! is published. The rows are in files by subject; an event type without a row fails here.

mod customers;
mod endpoints;
mod money;
mod usage;
mod world;

use std::collections::BTreeSet;

use billwire_schemas::events::{
    catalogue,
    parameters::{Group, Type},
};
use billwire_tests::{api::Api, gateway::Database};
use futures::future::LocalBoxFuture;
use serde_json::Value;

use crate::plain;
use world::World;

/// How an event type is caused and checked.
struct Row {
    /// The event type.
    kind: &'static str,
    /// All events published by the cause, in order.
    publishes: &'static [&'static str],
    /// Parameters that must be present, in addition to those of every event.
    tells: &'static [&'static str],
    /// Prepares the preconditions; the events of this step are ignored.
    given: for<'a> fn(&'a mut World) -> LocalBoxFuture<'a, ()>,
    /// Causes the event. For events of the clock, the test waits for the expected number.
    when: for<'a> fn(&'a mut World) -> LocalBoxFuture<'a, ()>,
}

fn rows() -> impl Iterator<Item = &'static Row> {
    [customers::ROWS, usage::ROWS, money::ROWS, endpoints::ROWS].into_iter().flatten()
}

#[test]
fn every_row_of_the_catalogue_has_a_test() {
    let tested: BTreeSet<&str> = rows().map(|row| row.kind).collect();
    let missing: Vec<&str> = catalogue::all().map(|event| event.name).filter(|name| !tested.contains(name)).collect();
    assert!(missing.is_empty(), "no test causes {missing:?}");
    assert_eq!(tested.len(), rows().count(), "a row stands twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_event_has_its_cause_tells_what_it_promises_and_nothing_else_is_published() {
    let (_setup, _gateway, api) = plain("catalogue", Database::Sqlite).await;
    let mut failed = Vec::new();
    for row in rows() {
        let caused = cause(row, &api).await;
        let kinds: Vec<&str> = caused.iter().filter_map(|event| event["type"].as_str()).collect();
        if kinds != row.publishes {
            failed.push(format!("{}: published {kinds:?} instead of {:?}", row.kind, row.publishes));
            continue;
        }
        let event = caused.iter().find(|event| event["type"] == row.kind).expect("the event itself");
        failed.extend(faults(row, event));
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

/// Causes the event of a row; gives everything that was published.
async fn cause(row: &Row, api: &Api) -> Vec<Value> {
    let mut world = World::new(api).await;
    (row.given)(&mut world).await;
    let before: BTreeSet<String> = world.events().await.iter().map(|event| event["id"].to_string()).collect();
    (row.when)(&mut world).await;
    let mut caused = world.events_when(before.len() + row.publishes.len()).await;
    caused.retain(|event| !before.contains(&event["id"].to_string()));
    caused
}

/// Causes every event of the catalogue.
pub async fn cause_all(api: &Api) {
    for row in rows() {
        cause(row, api).await;
    }
}

/// The differences between `event` and its catalogue entry.
fn faults(row: &Row, event: &Value) -> Vec<String> {
    let promised = catalogue::find(row.kind).expect("a row of the catalogue");
    let mut faults = Vec::new();
    let parameters = event["data"]["parameters"].as_object().expect("parameters");
    let known: BTreeSet<&str> = promised.parameters().map(|parameter| parameter.name).collect();
    for parameter in promised.parameters() {
        let is = match parameters.get(parameter.name) {
            Some(Value::String(_)) => Type::String,
            Some(Value::Number(_)) => Type::Number,
            Some(Value::Bool(_)) => Type::Boolean,
            Some(Value::Object(_)) => Type::Object,
            _ => continue,
        };
        if is != parameter.kind {
            faults.push(format!("{}: tells {} as a {}, not a {}", row.kind, parameter.name, is.name(), parameter.kind.name()));
        }
    }
    for name in parameters.keys() {
        if !known.contains(name.as_str()) {
            faults.push(format!("{}: offers {name}, which the catalogue does not list", row.kind));
        }
        if Group::Contact.parameters().iter().any(|parameter| parameter.name == name) {
            faults.push(format!("{}: tells {name}, which is for e-mail only", row.kind));
        }
    }
    for name in row.tells.iter().chain(&["event.name", "event.type", "tenant.name", "current.dateTime"]) {
        if !parameters.contains_key(*name) {
            faults.push(format!("{}: does not tell {name}", row.kind));
        }
    }
    if event["data"]["object"]["type"] != promised.source {
        faults.push(format!("{}: is about a {} instead of a {}", row.kind, event["data"]["object"]["type"], promised.source));
    }
    let key = event["partitionkey"].as_str().unwrap_or_default();
    let expected = match promised.key {
        catalogue::Key::Account => {
            let data = &event["data"];
            let state = if data["after"].is_object() { &data["after"] } else { &data["before"] };
            let account = if promised.source == "account" { &event["subject"] } else { &state["accountId"] };
            account.as_str().unwrap_or("?").to_owned()
        }
        catalogue::Key::Object => event["subject"].as_str().unwrap_or("?").to_owned(),
    };
    if key != expected {
        faults.push(format!("{}: keeps order within {key} instead of {expected}", row.kind));
    }
    faults
}
