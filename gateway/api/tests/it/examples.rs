//! Plays the document's examples on the sample tenant of `billwire dev`, with ids taken from earlier responses.

use std::collections::{BTreeMap, BTreeSet};

use billwire_api::openapi;
use serde_json::{Value, json};

use crate::{document::operations, rig::Rig};

/// The sample tenant's objects.
const SAMPLE: &str = include_str!("../../../dev/src/sample.json");

/// The operations in order, and those that are refused.
const ORDER: &str = include_str!("examples.order");

/// What is refused here, where no channel and no consumer runs.
const WITHOUT_CHANNELS: [(&str, u16, &str); 6] = [
    ("getDelivery", 404, "delivery_not_found"),
    ("retryDelivery", 404, "delivery_not_found"),
    ("sendTestEmail", 503, "unavailable"),
    ("tailEvents", 503, "unavailable"),
    ("testWebhookEndpoint", 503, "unavailable"),
    ("verifySmtpAccount", 503, "unavailable"),
];

/// The operations in order, each with the status and the code that it is refused with.
fn order() -> Vec<(&'static str, Option<(u16, &'static str)>)> {
    let lines = ORDER.lines().filter(|line| !line.starts_with('#'));
    let played = lines.map(|line| {
        let mut words = line.split_whitespace();
        let id = words.next().expect("an operation");
        let told =
            words.next().filter(|word| *word != "#").map(|status| (status.parse().expect("a status"), words.next().expect("a code")));
        let here = WITHOUT_CHANNELS.iter().find(|(operation, ..)| *operation == id).map(|(_, status, code)| (*status, *code));
        (id, here.or(told))
    });
    played.collect()
}

#[tokio::test]
async fn every_example_works_as_it_stands() {
    play(&Rig::new().await, async |_| {}).await;
}

/// A call of an example, with ids that exist.
pub(crate) struct Example<'a> {
    pub id: &'a str,
    pub method: &'a str,
    pub path: String,
    pub body: Option<Value>,
    /// The ids that exist.
    pub ids: Vec<String>,
    /// The paths of objects by their names, each with the object's id.
    pub named: Vec<(String, String)>,
}

/// What earlier calls made.
#[derive(Default)]
struct Made {
    /// The ids in the document's examples, each with the id that it stands for.
    stands_for: Vec<(String, String)>,
    /// The paths of objects by their names, each with the object's id.
    named: Vec<(String, String)>,
}

impl Made {
    fn real(&self, text: String) -> String {
        self.stands_for.iter().fold(text, |text, (example, id)| text.replace(example, id))
    }

    /// Makes the objects of the sample tenant.
    async fn sample(&mut self, rig: &Rig) {
        rig.post("/v1/test-clock", json!({ "now": "2027-01-04T09:30:00Z" })).await.expect(200);
        let objects: Vec<Value> = serde_json::from_str(&SAMPLE.replace("\"{mailbox port}\"", "25")).expect("the sample");
        for object in objects {
            let at = format!("/v1{}", object["at"].as_str().expect("a path"));
            let answer = rig.call("POST", at.rsplit_once('/').expect("a folder").0, &[], Some(&object["body"])).await;
            assert!(answer.status < 300, "{at}: {}", answer.text);
            let json = answer.json();
            let made = json.pointer("/entities/0/id").or_else(|| json.pointer("/items/0/transaction/entities/0/id"));
            self.named.push((at, made.and_then(Value::as_str).expect("an id").to_owned()));
        }
    }

    /// Keeps the ids of an answer to a creation, whose example is `example`.
    fn keep(&mut self, id: &str, template: &str, example: &Value, answer: &Value) {
        if id == "replayEvents" {
            let text = |of: &Value| of["id"].as_str().expect("an id").to_owned();
            self.stands_for.push((text(example), text(answer)));
        }
        if example["entities"][0]["action"] != "created" || id == "getBusinessTransaction" {
            return;
        }
        let made = answer["entities"][0]["id"].as_str().expect("an id").to_owned();
        let after = &answer["entities"][0]["after"];
        if let Some(name) = ["tenantId", "address", "name"].iter().find_map(|member| after[member].as_str()) {
            self.named.push((format!("{template}/{}", name.replace(' ', "%20")), made.clone()));
        }
        self.stands_for.push((example["entities"][0]["id"].as_str().expect("an id").to_owned(), made));
        if id == "createBillCycle" {
            for (shown, made) in [(&example["id"], &answer["id"]), (&example["events"][0]["id"], &answer["events"][0]["id"])] {
                self.stands_for.push((shown.as_str().expect("an id").to_owned(), made.as_str().expect("an id").to_owned()));
            }
        }
    }
}

/// Plays every example; `before` sees each before it is called.
pub(crate) async fn play(rig: &Rig, before: impl AsyncFn(&Example<'_>)) {
    let document = openapi();
    let all: BTreeMap<String, _> =
        operations(&document).into_iter().map(|(id, method, path, operation)| (id, (method, path, operation))).collect();
    let order = order();
    let played: BTreeSet<&str> = order.iter().map(|(id, _)| *id).collect();
    assert_eq!(played, all.keys().map(String::as_str).collect(), "every operation is played");

    let mut made = Made::default();
    made.sample(rig).await;
    let mut faults = Vec::new();
    for (id, refused) in order {
        let (method, template, operation) = &all[id];
        let mut path = template.clone();
        for parameter in operation["parameters"].as_array().into_iter().flatten().filter(|parameter| parameter["in"] == "path") {
            let (name, example) = (parameter["name"].as_str().expect("a name"), parameter["example"].as_str().expect("an example"));
            path = path.replace(&format!("{{{name}}}"), &example.replace(' ', "%20"));
        }
        let body: Option<Value> = operation
            .pointer("/requestBody/content/application~1json/example")
            .map(|example| serde_json::from_str(&made.real(example.to_string())).expect("JSON"));
        let ids = made.stands_for.iter().chain(&made.named).map(|(_, made)| made.clone()).collect();
        let example = Example { id, method, path: made.real(path), body, ids, named: made.named.clone() };
        before(&example).await;
        let answer = rig.call(method, &example.path, &[], example.body.as_ref()).await;
        if let Some((status, code)) = refused {
            answer.refused(status, code);
            continue;
        }
        let status =
            operation["responses"].as_object().expect("responses").keys().find(|status| status.starts_with('2')).expect("a success");
        if answer.status.to_string() != *status {
            faults.push(format!("{id}: {}", answer.text));
            continue;
        }
        let content = operation["responses"][status]["content"].as_object().and_then(|media| media.values().next()).expect("content");
        made.keep(id, template, &content["example"], &answer.json());
        same_members(id, "", &content["example"], &answer.json());
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// Checks that the response has every member of the example; entity states are not compared.
fn same_members(id: &str, place: &str, example: &Value, answered: &Value) {
    for (name, value) in example.as_object().into_iter().flatten() {
        assert!(answered.get(name).is_some() || id.starts_with("list"), "{id}: {place}/{name} is not answered");
        if name != "before" && name != "after" {
            same_members(id, &format!("{place}/{name}"), value, &answered[name]);
        }
    }
}
