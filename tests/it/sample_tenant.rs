//! The sample tenant of `billwire dev`: each example of the document that the gateway serves works on it as it stands, and the story is played
//! again on what that leaves.

use billwire_tests::{
    api::Api,
    eventually,
    gateway::{Database, Setup},
};
use reqwest::Method;
use serde_json::Value;

use crate::second_run::play;

/// The operations in order, and those that are refused with their reasons.
const ORDER: &str = include_str!("../../gateway/api/tests/it/examples.order");

/// Parameters that only ids made by the gateway fit, and where the latest one is found.
const MADE: [(&str, &str); 6] = [
    ("{adjustment}", "/v1/adjustments?limit=1"),
    ("{businessTransaction}", "/v1/business-transactions?limit=1"),
    ("{delivery}", "/v1/deliveries?limit=1&state=succeeded"),
    ("{event}", "/v1/events?limit=1"),
    ("{invoice}", "/v1/invoices?limit=1&account=CRM-4698"),
    ("{replay}", "/v1/replays?limit=1"),
];

/// Each operation of the document: its id, method, path and what it takes.
fn operations(document: &Value) -> impl Iterator<Item = (&str, Method, &str, &Value)> {
    let paths = document["paths"].as_object().into_iter().flatten();
    paths.flat_map(|(path, methods)| {
        methods.as_object().into_iter().flatten().map(|(method, operation)| {
            let method = method.to_uppercase().parse().expect("a method");
            (operation["operationId"].as_str().expect("an id"), method, path.as_str(), operation)
        })
    })
}

/// The path of an example, and whether it is as it stands in the document.
async fn path(api: &Api, template: &str, operation: &Value) -> (String, bool) {
    let (mut path, mut as_it_stands) = (template.to_owned(), true);
    for parameter in operation["parameters"].as_array().into_iter().flatten().filter(|parameter| parameter["in"] == "path") {
        let place = format!("{{{}}}", parameter["name"].as_str().expect("a name"));
        let mut value = parameter["example"].as_str().expect("an example").replace(' ', "%20");
        if let Some((_, list)) = MADE.iter().find(|(of, _)| *of == place) {
            let latest = api.get(list).await.expect(200)["items"][0]["id"].clone();
            latest.as_str().unwrap_or_else(|| panic!("nothing in {list}")).clone_into(&mut value);
            as_it_stands = false;
        }
        path = path.replace(&place, &value);
    }
    (path, as_it_stands)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_example_works_on_the_sample_tenant_and_the_story_after_them() {
    let setup = Setup::new("sample-tenant", Database::Sqlite);
    let gateway = setup.start_with(&["dev"]).await.leaving("the story's deliveries are the story's own matter");
    let api = setup.api();
    eventually("the last object of the sample", async || (api.get("/v1/stream-subscriptions/warehouse").await.status == 200).then_some(()))
        .await;
    let document = api.get("/openapi.json").await.expect(200);
    let (mut as_they_stand, mut with_ids, mut refused) = (0, 0, 0);
    for line in ORDER.lines().filter(|line| !line.starts_with('#')) {
        let (told, why) = line.split_once('#').unwrap_or((line, ""));
        let words: Vec<&str> = told.split_whitespace().collect();
        let (_, method, template, operation) = operations(&document).find(|(id, ..)| *id == words[0]).expect("an operation");
        let (path, as_it_stands) = path(&api, template, operation).await;
        if words[0] == "tailEvents" {
            // It never ends.
            let tail = reqwest::Client::new().get(format!("{}{path}", api.base)).bearer_auth(&setup.key).send().await;
            assert_eq!(tail.expect("an answer").status(), 200);
            as_they_stand += 1;
            continue;
        }
        let body = operation.pointer("/requestBody/content/application~1json/example");
        let answer = api.send(method, &path, body, &[]).await;
        if let [_, status, code] = words[..] {
            assert!(!why.is_empty(), "{line}: a refusal has a reason");
            answer.refused(status.parse().expect("a status"), code);
            refused += 1;
            continue;
        }
        assert!((200..300).contains(&answer.status), "{line}: {path}: {} {}", answer.status, answer.text);
        if as_it_stands {
            as_they_stand += 1;
        } else {
            with_ids += 1;
        }
    }
    println!("{as_they_stand} calls as they stand, {with_ids} with an id that the gateway made, {refused} refused for a reason");
    assert!(gateway.stop().await.success());
    play(&setup, "the story after the examples");
}
