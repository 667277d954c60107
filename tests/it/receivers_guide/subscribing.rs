//! Subscribers: a restart of theirs, and one of the nats-server.

use std::collections::BTreeMap;

use async_nats::jetstream;
use billwire_tests::{
    eventually,
    gateway::{Setup, nats_client, signal},
};
use serde_json::{Value, json};

use super::{Program, Story, command, events, text};

/// A subscriber takes each event once and in order, goes on where it was after a restart, and by itself after one of the nats-server.
pub async fn subscribes(setup: &Setup, language: &str) {
    let api = setup.api();
    let known = events(&api).await;
    let id = api.create("/v1/stream-subscriptions", json!({ "name": "guide" })).await;
    let path = format!("/v1/stream-subscriptions/{id}");
    let shown = api.get(&path).await.expect(200);
    let key = api.post("/v1/api-keys", json!({ "name": "reader", "scopes": ["stream:read"] })).await.expect(201);
    let (connection, key) = (&shown["connection"], text(&key["entities"][0]["after"], "key"));
    let arguments = [text(connection, "url"), key, text(connection, "inboxPrefix"), text(&shown, "consumer")];
    let command = command(setup, language, "subscriber");
    let since = async |known: &BTreeMap<String, Value>| {
        let mut fresh = events(&api).await;
        fresh.retain(|id, _| !known.contains_key(id));
        fresh
    };

    let mut subscriber = Program::start(setup, &command, &arguments);
    let mut story = Story::begin(&api).await;
    story.go_on().await;
    subscriber.has_taken(&since(&known).await).await;
    acknowledged(setup, text(&shown, "consumer")).await;
    drop(subscriber);
    let known = events(&api).await;
    story.go_on().await;
    let mut subscriber = Program::start(setup, &command, &arguments);
    subscriber.has_taken(&since(&known).await).await;

    signal(&setup.nats_pid().expect("running"), "-9");
    story.go_on().await;
    let fresh = since(&known).await;
    eventually("the events since the nats-server was killed", async || {
        let ids = subscriber.ids();
        fresh.keys().all(|id| ids.contains(id.as_str())).then_some(())
    })
    .await;
    // Everything once more, which this process has not seen all of.
    api.post(&format!("{path}/reset"), json!({ "start": { "type": "everything" } })).await.expect(200);
    let all = events(&api).await;
    eventually("all events", async || (subscriber.ids().len() >= all.len()).then_some(())).await;
    acknowledged(setup, text(&shown, "consumer")).await;
    assert_eq!(subscriber.lines().len(), subscriber.ids().len(), "each once");
    assert!(subscriber.ids().iter().all(|id| all.contains_key(*id)));
}

/// Waits until everything is read and acknowledged.
async fn acknowledged(setup: &Setup, consumer: &str) {
    let stream = jetstream::new(nats_client(&setup.nats_address()).await).get_stream("BILLING").await.expect("the stream");
    eventually("the acknowledgements", async || {
        let info = stream.consumer_info(consumer).await.ok()?;
        (info.num_pending == 0 && info.num_ack_pending == 0).then_some(())
    })
    .await;
}
