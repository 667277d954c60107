//! The published document: committed as generated, complete and consistent with the registry.

use std::{collections::BTreeSet, path::PathBuf};

use billwire_schemas::refusal::Code;

use billwire_api::{Operation, asyncapi, openapi, openapi_31, operations as registered};
use billwire_app::PUBLIC_URL;
use serde_json::Value;

/// Every operation: id, method, path and definition.
pub fn operations(document: &Value) -> Vec<(String, String, String, Value)> {
    let mut found = Vec::new();
    for (path, methods) in document["paths"].as_object().expect("paths") {
        for (method, operation) in methods.as_object().expect("methods") {
            found.push((
                operation["operationId"].as_str().expect("an id").to_owned(),
                method.to_uppercase(),
                path.clone(),
                operation.clone(),
            ));
        }
    }
    found
}

fn committed(name: &str, generated: &Value) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../openapi").join(name);
    let text = serde_json::to_string_pretty(generated).expect("JSON") + "\n";
    if std::env::var_os("UPDATE").is_some() {
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(&path, text).expect("written");
    } else {
        let old = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(old == text, "{name} is stale: run UPDATE=1 cargo test -p billwire-api");
    }
}

#[test]
fn the_documents_are_committed_as_they_are_generated() {
    committed("openapi.json", &openapi());
    committed("openapi-3.1.json", &openapi_31());
    committed("asyncapi.json", &asyncapi(&openapi(), PUBLIC_URL));
}

#[test]
fn every_operation_has_an_entry_in_the_table_and_the_table_no_other() {
    let documented: BTreeSet<String> = operations(&openapi()).into_iter().map(|(id, ..)| id).collect();
    let known: BTreeSet<String> = registered().map(|operation| operation.id.to_owned()).collect();
    assert_eq!(documented, known);
}

#[test]
fn every_code_is_given_by_an_operation() {
    let mut used: BTreeSet<Code> = registered().flat_map(Operation::codes).collect();
    // Codes of requests that match no operation.
    used.extend([Code::RouteNotFound, Code::MethodNotAllowed, Code::BadRequest]);
    for known in Code::ALL {
        assert!(used.contains(known), "{known} is given by no operation");
    }
}

#[test]
fn each_changing_operation_answers_with_the_types_of_what_it_changes() {
    let document = openapi();
    let resolve = |schema: &Value| document.pointer(schema["$ref"].as_str().expect("a reference").trim_start_matches('#')).cloned();
    for (id, _, _, operation) in operations(&document) {
        let Some(makes) = registered().find(|known| known.id == id).and_then(|known| known.makes) else { continue };
        let (_, success) =
            operation["responses"].as_object().expect("responses").iter().find(|(status, _)| status.starts_with('2')).expect("2xx");
        let transaction = resolve(&success["content"]["application/json"]["schema"]).expect("a schema");
        let entity = resolve(&transaction["properties"]["entities"]["items"]).unwrap_or_else(|| panic!("{id} has untyped entities"));
        let changes: Vec<Value> = match entity["oneOf"].as_array() {
            Some(several) => several.iter().filter_map(resolve).collect(),
            None => vec![entity],
        };
        let kinds: Vec<&str> = changes.iter().filter_map(|change| change["properties"]["type"]["enum"][0].as_str()).collect();
        assert_eq!(kinds, makes.kinds().collect::<Vec<_>>(), "{id}");
        for change in &changes {
            let state = resolve(&change["properties"]["after"]["allOf"][0]).expect("a state");
            assert!(state["properties"]["id"].is_object(), "{id}: {state}");
        }
    }
}

#[test]
fn each_operation_is_told_whole() {
    for (id, method, _, operation) in operations(&openapi()) {
        for member in ["summary", "description"] {
            assert!(operation[member].as_str().is_some_and(|text| !text.is_empty()), "{id} has no {member}");
        }
        assert_eq!(operation["tags"].as_array().map(Vec::len), Some(1), "{id}");
        assert_eq!(operation["security"][0]["bearer"], serde_json::json!([]), "{id}");
        let responses = operation["responses"].as_object().expect("responses");
        assert!(["400", "401", "403", "500", "503"].iter().all(|status| responses.contains_key(*status)), "{id}");
        for (status, response) in responses {
            assert!(
                response.get("$ref").is_some() || response["description"].as_str().is_some_and(|text| !text.is_empty()),
                "{id} {status}"
            );
        }
        // These operations change nothing, or are idempotent.
        let plain = ["setTestClock", "testWebhookEndpoint", "verifySmtpAccount", "sendTestEmail", "previewNotificationTemplate"];
        if !plain.contains(&id.as_str()) && matches!(method.as_str(), "POST" | "PUT" | "PATCH" | "DELETE") {
            let parameters = operation["parameters"].to_string();
            assert!(parameters.contains("Idempotency-Key"), "{id}");
        }
        let (success, _) = responses.iter().find(|(status, _)| status.starts_with('2')).expect("a success");
        let content = operation["responses"][success]["content"].as_object().expect("content");
        assert!(content.values().all(|media| media.get("example").is_some()) && content.len() == 1, "{id} has no example");
    }
}

#[test]
fn every_parameter_and_member_is_described() {
    let document = openapi();
    for (id, _, _, operation) in operations(&document) {
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            assert!(parameter["description"].as_str().is_some_and(|text| !text.is_empty()), "{id}: {parameter}");
            // Swagger UI sends the example of an optional one too, so few of those have one.
            assert!(parameter["required"] != true || parameter.get("example").is_some(), "{id}: {parameter}");
        }
    }
    for (name, schema) in document["components"]["schemas"].as_object().expect("schemas") {
        for (member, told) in schema["properties"].as_object().into_iter().flatten() {
            let by_its_type = told.get("$ref").is_some() || told.get("allOf").is_some();
            assert!(by_its_type || told["description"].as_str().is_some_and(|text| !text.is_empty()), "{name}: {member}");
        }
    }
}

#[test]
fn nothing_of_another_version_or_of_poems_habits_is_left() {
    let text = openapi().to_string();
    for trace in ["charset=utf-8", "naive-date", "\"explode\"", "uint32", "\"webhooks\"", "\"deprecated\"", ".0,\"", ".0}"] {
        assert!(!text.contains(trace), "{trace}");
    }
    for document in [openapi(), openapi_31(), asyncapi(&openapi(), PUBLIC_URL)] {
        assert!(!document.to_string().contains(":null"), "a member has no value");
    }
    for (name, schema) in openapi()["components"]["schemas"].as_object().expect("schemas") {
        let nullable = schema.to_string().contains("\"nullable\"");
        let of_patch = name.ends_with("Update") || name == "BillCycleRenaming";
        assert!(!nullable || of_patch, "{name} has a member that null unsets");
    }
    assert!(!openapi_31().to_string().contains("\"nullable\""), "3.1 has the type null instead");
    assert_eq!(openapi()["openapi"], "3.0.3");
    assert_eq!(openapi_31()["openapi"], "3.1.0");
    assert_eq!(openapi_31()["webhooks"].as_object().map(serde_json::Map::len), Some(billwire_schemas::events::catalogue::all().count()));
}

/// Request schemas whose names do not end with `Input`.
const REQUESTS: &[&str] = &[
    "AccountCancellation",
    "AccountUpdate",
    "ApiKeyRotation",
    "BillCycleRenaming",
    "BillCycleUpdate",
    "BillingSettingsUpdate",
    "ChargeReversal",
    "BucketUpdate",
    "ContactUpdate",
    "ContractUpdate",
    "DeadLetterChoice",
    "EndpointTest",
    "IdentityProviderUpdate",
    "InvoiceUpdate",
    "NoMembers",
    "NotificationTemplateUpdate",
    "PackageSubscriptionCancellation",
    "PackageSubscriptionStatusChange",
    "PackageSubscriptionUpdate",
    "PackageUpdate",
    "PayerUpdate",
    "PaymentAllocation",
    "PaymentCancellation",
    "PaymentDeallocation",
    "QueueUpdate",
    "ReplacingCharge",
    "ReplayOrder",
    "RetentionSettingsUpdate",
    "RoleUpdate",
    "SecretRotation",
    "TenantSuspension",
    "TenantUpdate",
    "ServiceTransition",
    "ServiceUpdate",
    "SetAsideEventChoice",
    "SmtpAccountUpdate",
    "StatusChange",
    "StreamSettingsUpdate",
    "StreamSubscriptionReset",
    "SubscriptionUpdate",
    "SystemUserUpdate",
    "TemplatePreviewing",
    "TestClockSetting",
    "TestEmail",
    "UsageIdentifierName",
    "UsageIdentifierUpdate",
    "WebhookEndpointDisabling",
    "WebhookEndpointUpdate",
];

#[test]
fn request_objects_are_closed_and_answers_open() {
    let document = openapi();
    let schemas = document["components"]["schemas"].as_object().expect("schemas");
    for (name, schema) in schemas {
        let closed = schema.get("additionalProperties") == Some(&Value::Bool(false));
        let request = name.ends_with("Input") || REQUESTS.contains(&name.as_str());
        assert_eq!(closed, request, "{name}");
    }
}

#[test]
fn every_text_of_a_request_has_a_longest_length() {
    fn walk(place: &str, schema: &Value) {
        let bounded = schema.get("enum").is_some() || schema["format"] == "date-time";
        if schema["type"] == "string" && !bounded {
            assert!(schema.get("maxLength").is_some(), "{place}");
        }
        if schema["type"] == "array" {
            assert!(schema.get("maxItems").is_some(), "{place}");
            walk(place, &schema["items"]);
        }
        for (name, below) in schema["properties"].as_object().into_iter().flatten() {
            walk(&format!("{place}.{name}"), below);
        }
    }
    let document = openapi();
    for (name, schema) in document["components"]["schemas"].as_object().expect("schemas") {
        if schema.get("additionalProperties") == Some(&Value::Bool(false)) {
            walk(name, schema);
        }
    }
}

/// What generators trip on: a schema `NewX` beside `X` has the name of X's constructor in Go, and a set of an enum does not compile in Java.
#[test]
fn no_schema_has_a_name_or_a_form_that_a_generator_trips_on() {
    let document = openapi();
    let schemas = document["components"]["schemas"].as_object().expect("schemas");
    for (name, schema) in schemas {
        let made = name.strip_prefix("New").filter(|of| schemas.contains_key(*of));
        assert_eq!(made, None, "{name} is a constructor in Go");
        for (member, of) in schema["properties"].as_object().into_iter().flatten() {
            let set_of_enum = of["uniqueItems"] == true && of["items"].get("enum").is_some();
            assert!(!set_of_enum, "{name}.{member} is a set of an enum");
        }
    }
}
