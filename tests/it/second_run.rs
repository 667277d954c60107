//! `billwire dev` again in the same folder: after a regular end, after a kill in the middle of the story, and on a set-up of another
//! version. Each run plays the same story, counts only its own events, and leaves pending events of an earlier run to be delivered.

use std::{
    io::{BufRead, BufReader},
    process::Stdio,
};

use billwire_tests::{
    api::Api,
    eventually,
    gateway::{Database, Setup},
    peers,
};
use serde_json::{Value, json};

/// Plays the story to its end; returns the rows of its table (event and places of arrival), sorted and without times.
pub(crate) fn play(setup: &Setup, when: &str) -> Vec<String> {
    let output = setup.command(&["dev", "--once"]).output().expect("a run");
    let (told, log) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{when}: {}\n{told}\n{log}", output.status);
    let table = told.lines().skip_while(|line| !line.starts_with("What arrived")).skip(2);
    let mut rows: Vec<String> = table
        .take_while(|line| !line.is_empty())
        .map(|line| {
            let signs: String = line.chars().filter(|sign| "✓✗–".contains(*sign)).collect();
            format!("{} {signs}", line.split_whitespace().next().expect("an event"))
        })
        .collect();
    assert!(rows.len() > 40, "{when}: {told}");
    rows.sort();
    rows
}

/// Plays the story and kills it at the step that prints `step`.
fn kill_at(setup: &Setup, step: &str) {
    let mut child = setup.command(&["dev", "--once"]).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("a run");
    let lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    let reached = lines.map_while(Result::ok).any(|line| line.contains(step));
    child.kill().expect("killed");
    child.wait().expect("its end");
    assert!(reached, "the story ended before {step}");
}

async fn named(api: &Api, list: &str, name: &str) -> Value {
    let page = api.get(&format!("/v1/{list}?limit=200")).await.expect(200);
    page["items"].as_array().expect("items").iter().find(|item| item["name"] == name).unwrap_or_else(|| panic!("no {name}")).clone()
}

/// Changes everything the set-up created, as an older version or a person could have, and leaves an undelivered event for the webhook
/// subscription. Returns the ids of both subscriptions and of the event.
async fn alter(api: &Api) -> (Vec<Value>, String) {
    let id = |object: &Value| object["id"].as_str().expect("an id").to_owned();
    let (webhooks, mails) = (named(api, "subscriptions", "dev webhooks").await, named(api, "subscriptions", "dev mails").await);
    let queue = named(api, "queues", "everything").await;
    let (endpoint, smtp) = (named(api, "webhook-endpoints", "dev receiver").await, named(api, "smtp-accounts", "dev mailbox").await);
    let template = named(api, "notification-templates", "dev bill cycle news").await;
    let kinds: Vec<&Value> = mails["eventTypes"].as_array().expect("event types").iter().collect();
    let fewer = json!({ "eventTypes": kinds[1..], "action": { "type": "email", "notificationTemplateId": template["id"],
                        "smtpAccountId": smtp["id"], "to": ["old@acme.example"] } });
    api.patch(&format!("/v1/subscriptions/{}", id(&mails)), fewer).await.expect(200);
    api.patch(&format!("/v1/notification-templates/{}", id(&template)), json!({ "eventTypes": kinds[1..], "text": "old" }))
        .await
        .expect(200);
    let mut registered = vec![json!("account.created")];
    registered.extend(kinds[1..].iter().map(|kind| (*kind).clone()));
    api.patch(&format!("/v1/queues/{}", id(&queue)), json!({ "eventTypes": registered })).await.expect(200);
    api.patch(&format!("/v1/webhook-endpoints/{}", id(&endpoint)), json!({ "path": "/old" })).await.expect(200);
    api.patch(&format!("/v1/smtp-accounts/{}", id(&smtp)), json!({ "port": 9, "fromName": "Old" })).await.expect(200);
    api.patch("/v1/bill-cycles/MONTHLY-1", json!({ "name": "Old" })).await.expect(200);

    let account = json!({ "name": "Owed", "currency": "EUR", "billCycle": "MONTHLY-1" });
    let event = id(&api.post("/v1/accounts", account).await.expect(201)["events"][0]);
    // The receiver is part of `dev`, so it is not running now.
    eventually("a failed try", async || {
        let owed = api.get(&format!("/v1/deliveries?eventId={event}")).await.expect(200);
        (owed["items"][0]["state"] == "waiting").then_some(())
    })
    .await;
    api.post(&format!("/v1/queues/{}/pause", id(&queue)), json!({})).await.expect(200);
    api.post(&format!("/v1/subscriptions/{}/disable", id(&mails)), json!({})).await.expect(200);
    (vec![webhooks["id"].clone(), mails["id"].clone()], event)
}

/// A third party that knows only the AsyncAPI document and the schemas that events name finds nothing in the story that does not fit.
async fn fits_what_is_published(setup: &Setup) {
    let gateway = setup.start().await.leaving("the receiver is part of `dev`, which does not run");
    let api = setup.api();
    api.put("/v1/stream-settings", json!({ "businessTransactions": true })).await.expect(200);
    api.bill_cycle(7).await;
    let checked = peers::run("check_messages.py", &[&api.base, &setup.key]);
    assert_eq!(checked["faults"], json!([]), "{checked}");
    assert_eq!(checked["altered"], 2, "a message that does not fit is found by both");
    assert!(checked["types"].as_array().is_some_and(|types| types.contains(&json!("business_transaction.createBillCycle"))), "{checked}");
    assert!(checked["messages"].as_u64() > Some(50) && checked["types"].as_array().map(Vec::len) > Some(40), "{checked}");
    assert!(gateway.stop().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn each_run_in_the_same_folder_tells_the_same_story_whatever_the_one_before_left() {
    let setup = Setup::new("second-run", Database::Sqlite);
    let first = play(&setup, "the first run");
    fits_what_is_published(&setup).await;
    assert_eq!(play(&setup, "the second run"), first);
    kill_at(&setup, "startBillRun");
    assert_eq!(play(&setup, "the run after a kill"), first);

    let gateway = setup.start().await.leaving("an event that the next run of `dev` has to deliver");
    let (subscriptions, event) = alter(&setup.api()).await;
    assert!(gateway.stop().await.success());
    // The secret is lost, so a new one is created and set on the endpoint.
    std::fs::remove_file(setup.data_dir().join("dev/webhook.secret")).expect("the secret");
    let delivered = async || {
        let gateway = setup.start().await.leaving("the receiver is part of `dev`, which does not run");
        let api = setup.api();
        let still = [named(&api, "subscriptions", "dev webhooks").await, named(&api, "subscriptions", "dev mails").await];
        assert_eq!(still.map(|one| one["id"].clone()), subscriptions[..], "made again instead of updated");
        let owed = api.get(&format!("/v1/deliveries?eventId={event}")).await.expect(200)["items"][0]["state"].clone();
        assert!(owed == "succeeded" || owed == "waiting", "what an earlier run owed is {owed}");
        assert!(gateway.stop().await.success());
        owed == "succeeded"
    };
    assert_eq!(play(&setup, "the run over an altered set-up"), first);
    // It may arrive too late for a run that ends with its own story.
    for _ in 0..5 {
        if delivered().await {
            return;
        }
        assert_eq!(play(&setup, "one more run"), first);
    }
    panic!("what an earlier run owed was never delivered");
}
