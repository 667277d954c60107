//! The published document: what poem-openapi generates, corrected (it writes 3.0.0, odd content types and formats, and leaves
//! responses to each handler) and completed from [`crate::registry`] and [`billwire_schemas::refusal::Code`].

mod examples;
mod responses;
mod webhooks;

use poem_openapi::{LicenseObject, OpenApiService};
use serde_json::{Map, Value, json};

use crate::{
    http::problem::ProblemView,
    openapi::{
        operation::Takes,
        schema::{close, components_of, references, tidy},
    },
    registry,
};

const DESCRIPTION: &str = "\
Billwire is the integration gateway of a billing platform. Each changing operation answers its **business transaction**: what \
was changed, and the events that tell of it. What was answered with 2xx is kept, and its events reach every matching \
subscription at least once and the warehouse exactly once.

**Repeating.** Send an `Idempotency-Key` with a changing operation and repeat it as often as you like: it is done once, and \
every repeat answers the first answer's bytes.

**Versions.** Single resources answer an `ETag`; send it back as `If-Match` and a change is refused with 412 when somebody \
else was faster.

**Problems** are `application/problem+json` (RFC 9457) with a stable `code`; `errors` names every violation found. Unknown \
members and parameters are refused.

**Growing.** States, types and codes in answers are open strings: new ones may come, and so may new members.";

/// OpenAPI 3.0.3, for generators.
pub fn openapi() -> Value {
    let service = OpenApiService::new(registry::NOUNS, "Billwire", env!("CARGO_PKG_VERSION"))
        .description(DESCRIPTION)
        .license(LicenseObject::new("Apache-2.0").url("https://www.apache.org/licenses/LICENSE-2.0"))
        .server("/");
    let mut document: Value = serde_json::from_str(&service.spec()).unwrap_or_default();
    document["openapi"] = "3.0.3".into();
    let mut schemas = components_of::<ProblemView>();
    if let Some(own) = document["components"]["schemas"].as_object_mut() {
        own.values_mut().for_each(tidy);
        schemas.append(own);
    }
    let mut roots = Vec::new();
    for (_, _, operation) in operations(&mut document) {
        references(&operation["requestBody"], &mut roots);
    }
    close(&mut schemas, roots);
    let mut shared = responses::Shared::default();
    for (_, _, operation) in operations(&mut document) {
        complete(operation, &mut schemas, &mut shared);
    }
    document["components"]["responses"] = shared.into_components();
    document["components"]["schemas"] = Value::Object(schemas);
    document
}

/// OpenAPI 3.1.0, with the outgoing webhooks. Nothing of the other document means anything else in 3.1: it uses neither
/// `nullable` nor boolean exclusive limits.
pub fn openapi_31() -> Value {
    let mut document = openapi();
    document["openapi"] = "3.1.0".into();
    document["webhooks"] = webhooks::all();
    if let Some(tags) = document["tags"].as_array_mut() {
        tags.push(json!({ "name": "Webhooks", "description": "What this server sends to receivers." }));
    }
    document
}

/// Every operation of a document with its path and method.
pub(crate) fn operations(document: &mut Value) -> Vec<(String, String, &mut Value)> {
    let mut found = Vec::new();
    for (path, methods) in document["paths"].as_object_mut().into_iter().flatten() {
        for (method, operation) in methods.as_object_mut().into_iter().flatten() {
            found.push((path.clone(), method.clone(), operation));
        }
    }
    found
}

fn complete(operation: &mut Value, schemas: &mut Map<String, Value>, shared: &mut responses::Shared) {
    let id = operation["operationId"].as_str().unwrap_or_default().to_owned();
    for parameter in operation.get_mut("parameters").and_then(Value::as_array_mut).into_iter().flatten() {
        tidy_parameter(parameter, schemas);
    }
    // Without an entry in the table it is answered 403, and a test fails.
    let Some(asks) = registry::operation(&id) else { return };
    add_headers(operation, asks.takes);
    let description = operation["description"].as_str().unwrap_or_default();
    operation["description"] = format!("{description}\n\nScope: `{}`.", asks.scope).into();
    examples::of_request(operation, schemas);
    examples::of_answers(operation, asks, schemas);
    responses::add(operation, asks, shared);
}

fn tidy_parameter(parameter: &mut Value, schemas: &Map<String, Value>) {
    if let Some(members) = parameter.as_object_mut() {
        members.remove("explode");
        members.remove("deprecated");
    }
    tidy(&mut parameter["schema"]);
    let name = parameter["name"].as_str().unwrap_or_default();
    if name == "limit" {
        parameter["schema"]["default"] = 50.into();
    } else if let Some(example) = reference_example(name, schemas) {
        parameter["example"] = example;
    }
}

/// How a parameter that is named after a noun may refer to that noun's example: by external id, by id, or by the name of an event type.
fn reference_example(parameter: &str, schemas: &Map<String, Value>) -> Option<Value> {
    let mut letters = parameter.chars();
    let noun: String = letters.next()?.to_uppercase().chain(letters).collect();
    let example = schemas.get(&noun)?.get("example")?;
    ["externalId", "id", "name"].iter().find_map(|member| example.get(member)).cloned()
}

/// The headers an operation takes by its entry in the table.
fn add_headers(operation: &mut Value, takes: Takes) {
    let headers = [
        (
            takes.idempotency_key,
            "Idempotency-Key",
            255,
            "Any text of visible ASCII that is new for a new request, such as a UUID. A repeat of the request under the same key \
             answers what was answered first; another request under it is refused.",
        ),
        (takes.if_match, "If-Match", 64, "The ETag the entity must still have, such as `\"3\"`."),
        (takes.if_none_match, "If-None-Match", 1024, "ETags known already; if the entity has one of them still, the answer is 304."),
    ];
    for (_, name, max, description) in headers.into_iter().filter(|(taken, ..)| *taken) {
        let schema = json!({ "type": "string", "minLength": 1, "maxLength": max });
        let header = json!({ "name": name, "in": "header", "description": description, "required": false, "schema": schema });
        match operation.get_mut("parameters").and_then(Value::as_array_mut) {
            Some(parameters) => parameters.push(header),
            None => operation["parameters"] = json!([header]),
        }
    }
}
