//! Invalid input, generated from the served document: for every operation with a body, every member missing, of every wrong type, too
//! long or malicious, and an unknown member. Each must return a 4xx problem that names the member, and write nothing.

use billwire_tests::{
    api::{Answer, Api},
    gateway::BOTH,
    peers,
};
use reqwest::Method;
use serde_json::{Map, Value, json};

use crate::plain;

/// Longer than the maximum length of any text.
const LONG: usize = 300_000;

struct Operation {
    id: String,
    method: Method,
    path: String,
    schema: Value,
    example: Value,
}

impl Operation {
    async fn call(&self, api: &Api, body: &Value) -> Answer {
        api.send(self.method.clone(), &self.path, Some(body), &[]).await
    }
}

/// Operations with a body that has members, with paths to existing objects.
fn operations(document: &Value, account: &str) -> Vec<Operation> {
    let mut found = Vec::new();
    let each = document["paths"]
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(path, methods)| methods.as_object().unwrap().iter().map(move |(method, operation)| (path, method, operation)));
    for (path, method, operation) in each {
        let body = &operation["requestBody"]["content"]["application/json"];
        let Some(name) = body["schema"]["$ref"].as_str() else { continue };
        let schema = document.pointer(name.trim_start_matches('#')).unwrap().clone();
        if schema["properties"].as_object().is_none_or(Map::is_empty) {
            continue;
        }
        let id = operation["operationId"].as_str().unwrap().to_owned();
        let method = method.to_uppercase().parse().unwrap();
        found.push(Operation { id, method, path: path.replace("{account}", account), schema, example: body["example"].clone() });
    }
    assert!(found.iter().filter(|operation| operation.method == Method::PATCH).count() >= 8, "the document has lost its operations");
    found
}

/// Values of other JSON types than the member's own.
fn wrong_types(good: &Value) -> Vec<Value> {
    let all = [json!(null), json!(true), json!(12.5), json!("text"), json!([]), json!({}), json!([[1]])];
    all.into_iter().filter(|v| std::mem::discriminant(v) != std::mem::discriminant(good)).collect()
}

fn malicious() -> Vec<Value> {
    vec![json!("a\r\nBcc: evil@example.com"), json!("a\u{0}b"), json!("\u{1b}[2J"), json!("x".repeat(LONG))]
}

/// Checks that the refusal is a problem document that names the member.
fn names(answer: Answer, member: &str, what: &str) {
    assert!((400..500).contains(&answer.status), "{what}: {} {}", answer.status, &answer.text[..answer.text.len().min(300)]);
    assert_eq!(answer.headers["content-type"], "application/problem+json", "{what}");
    assert!(answer.text.len() < 20_000, "{what}: the answer echoes too much ({} bytes)", answer.text.len());
    if answer.status == 413 {
        return;
    }
    // What only a rule can find bad, such as a filter that is no expression, is not reached where the path names no object.
    if answer.status == 404 && what.ends_with("malicious") {
        return;
    }
    let problem = answer.json();
    let pointed = problem["errors"].as_array().is_some_and(|errors| {
        errors.iter().any(|e| e["pointer"].as_str().is_some_and(|p| p == format!("/{member}") || p.starts_with(&format!("/{member}/"))))
    });
    assert!(pointed, "{what}: no error points at /{member}: {problem}");
}

async fn count(api: &Api) -> Vec<usize> {
    let mut counts = Vec::new();
    for list in ["accounts", "bill-cycles", "queues", "subscriptions", "webhook-endpoints", "smtp-accounts", "notification-templates"] {
        counts.push(api.get(&format!("/v1/{list}?limit=200")).await.expect(200)["items"].as_array().unwrap().len());
    }
    counts
}

#[tokio::test(flavor = "multi_thread")]
async fn every_bad_member_of_every_operation_is_named_and_nothing_is_written() {
    for database in BOTH {
        let (_setup, _gateway, api) = plain("bad-input", database).await;
        let cycle = api.bill_cycle(1).await;
        let account = api.account(&cycle).await;
        let before = (count(&api).await, api.get(&format!("/v1/accounts/{account}")).await.text);
        let document = api.get("/openapi.json").await.expect(200);
        let mut tried = 0;
        for operation in operations(&document, &account) {
            let required: Vec<&str> =
                operation.schema["required"].as_array().map_or(vec![], |r| r.iter().filter_map(Value::as_str).collect());
            for (member, described) in operation.schema["properties"].as_object().unwrap() {
                let takes_null = described["nullable"] == true;
                let good = operation.example.get(member).cloned().unwrap_or_else(|| json!("text"));
                let mut bad: Vec<(String, Value)> = Vec::new();
                let with = |value: &Value| {
                    let mut body = operation.example.clone();
                    body[member] = value.clone();
                    body
                };
                if required.contains(&member.as_str()) {
                    let mut body = operation.example.clone();
                    body.as_object_mut().unwrap().remove(member);
                    bad.push(("missing".into(), body));
                }
                if operation.example.get(member).is_some() {
                    bad.extend(wrong_types(&good).iter().filter(|v| !(takes_null && v.is_null())).map(|v| (format!("{v}"), with(v))));
                    if good.is_string() && !["text", "html", "description"].contains(&member.as_str()) {
                        bad.extend(malicious().iter().map(|v| ("malicious".into(), with(v))));
                    }
                }
                for (what, body) in bad {
                    tried += 1;
                    let what = format!("{} {member}: {what}", operation.id);
                    names(operation.call(&api, &body).await, member, &what);
                }
            }
            let mut body = operation.example.clone();
            body["nonsense"] = json!(1);
            names(operation.call(&api, &body).await, "nonsense", &format!("{} unknown member", operation.id));
        }
        assert!(tried > 200, "only {tried} bad bodies were tried");
        assert_eq!(before, (count(&api).await, api.get(&format!("/v1/accounts/{account}")).await.text), "something was written");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_served_documents_pass_a_third_party_validator() {
    let (setup, _gateway, api) = plain("documents", BOTH[0]).await;
    for name in ["openapi.json", "openapi-3.1.json"] {
        let file = setup.folder.0.join(name);
        std::fs::write(&file, api.get(&format!("/{name}")).await.text).unwrap();
        assert_eq!(peers::run("validate_openapi.py", &[file.to_str().unwrap()])["ok"], true);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_json_or_too_large_or_of_another_type_is_refused_as_such() {
    let (_setup, _gateway, api) = plain("no-json", BOTH[0]).await;
    let post = |body: String, kind: &'static str| {
        let request = api.client.post(format!("{}/v1/accounts", api.base)).bearer_auth(&api.key).header("content-type", kind).body(body);
        async move { request.send().await.unwrap().status().as_u16() }
    };
    assert_eq!(post("{".into(), "application/json").await, 400);
    assert_eq!(post("[".repeat(100_000), "application/json").await, 400);
    assert_eq!(post("{}".into(), "text/plain").await, 415);
    assert_eq!(post(format!("\"{}\"", "x".repeat(2 << 20)), "application/json").await, 413);
    let anonymous = api.client.get(format!("{}/v1/accounts", api.base)).send().await.unwrap();
    assert_eq!(anonymous.status().as_u16(), 401);
}
