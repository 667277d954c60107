//! P3 against an attacker with a NATS login: forged messages on the stream reach neither webhook nor warehouse, and do not hold back
//! genuine ones.

use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

use async_nats::{
    HeaderMap,
    jetstream::{self, message::StreamMessage, stream::Stream},
};
use billwire_tests::{
    api::Api,
    eventually,
    gateway::{BOTH, Database, Setup, nats_client},
    peers,
    receiver::Receiver,
    reserved_port,
    story::subscribe,
};
use serde_json::{Value, json};

const ID: &str = "Nats-Msg-Id";
const SEAL: &str = "Billwire-Seal";
const SEQUENCE: &str = "Billwire-Sequence";
const POSITION: &str = "Billwire-Position";

/// The stream, as an attacker with a login sees it.
struct Intruder {
    jetstream: jetstream::Context,
    stream: Stream,
}

impl Intruder {
    async fn at(url: &str) -> Self {
        let jetstream = jetstream::new(nats_client(url).await);
        let stream = jetstream.get_stream("BILLING").await.expect("the stream");
        Self { jetstream, stream }
    }

    async fn publish(&self, subject: &str, headers: HeaderMap, body: impl Into<String>) {
        let body: String = body.into();
        let ack = self.jetstream.publish_with_headers(subject.to_owned(), headers, body.into()).await.expect("sent").await.expect("stored");
        assert!(!ack.duplicate, "the forgery is on the stream");
    }

    async fn all(&mut self) -> Vec<StreamMessage> {
        let state = self.stream.info().await.expect("the stream's state").state.clone();
        let mut found = Vec::new();
        for sequence in state.first_sequence..=state.last_sequence {
            found.extend(self.stream.get_raw_message(sequence).await.ok());
        }
        found
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn header(message: &StreamMessage, name: &str) -> String {
    message.headers.get(name).map(|value| value.as_str().to_owned()).unwrap_or_default()
}

/// The headers of a message, with some replaced.
fn changed(of: &StreamMessage, changes: &[(&'static str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for name in [ID, SEAL, SEQUENCE, POSITION, "traceparent", "Content-Type"] {
        let value = changes.iter().find(|(changed, _)| *changed == name).map_or_else(|| header(of, name), |(_, value)| (*value).to_owned());
        if !value.is_empty() {
            headers.insert(name, value.as_str());
        }
    }
    headers
}

fn id_of(event: &Value) -> String {
    event["id"].as_str().expect("an id").to_owned()
}

async fn owed(api: &Api) -> BTreeSet<String> {
    api.get("/v1/events?limit=200").await.expect(200)["items"].as_array().expect("items").iter().map(id_of).collect()
}

/// Waits until all expected events have arrived at both, then checks that nothing else has, each once at the warehouse, and in order.
async fn check(setup: &Setup, api: &Api, receiver: &Receiver) {
    let owed = owed(api).await;
    eventually("the true events at the receiver", async || {
        let got: BTreeSet<String> = receiver.calls().iter().map(|call| id_of(&call.json())).collect();
        got.is_superset(&owed).then_some(())
    })
    .await;
    let mut sequences: HashMap<String, u64> = HashMap::new();
    for call in receiver.calls() {
        let event = call.json();
        assert!(owed.contains(&id_of(&event)), "invented: {event}");
        assert!(!event.to_string().contains("Mallory"), "forged: {event}");
        let last = sequences.entry(event["partitionkey"].as_str().unwrap().to_owned()).or_default();
        let sequence: u64 = event["sequence"].as_str().unwrap().parse().unwrap();
        assert!(sequence <= *last + 1, "{sequence} came after {last}");
        *last = sequence.max(*last);
    }
    let loaded = eventually("the true events in the warehouse", async || {
        tokio::time::sleep(Duration::from_millis(300)).await;
        let loaded = peers::warehouse(&setup.data_dir().join("warehouse"));
        (loaded["rows"].as_u64()? >= owed.len() as u64).then_some(loaded)
    })
    .await;
    let held: BTreeSet<String> = loaded["ids"].as_array().unwrap().iter().map(|id| id.as_str().unwrap().to_owned()).collect();
    assert_eq!((held, loaded["rows"].as_u64()), (owed.clone(), Some(owed.len() as u64)), "the warehouse has each true event once");
}

async fn status(api: &Api, account: &str, status: &str) -> Value {
    api.post(&format!("/v1/accounts/{account}/status"), json!({ "status": status })).await.expect(200)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_gateway_did_not_make_is_neither_delivered_nor_loaded_nor_shown() {
    for database in BOTH {
        let mut setup = Setup::new("forged", database);
        let receiver = Receiver::start().await;
        receiver.known_to(&mut setup);
        let gateway = setup.start().await;
        let api = setup.api();
        subscribe(&api, &receiver, "all", "in_order").await;
        let cycle = api.bill_cycle(1).await;
        let account = api.account(&cycle).await;
        check(&setup, &api, &receiver).await;
        let cursor = eventually("the stream's end", async || {
            let page = api.get("/v1/events/tail").await;
            (page.status == 200).then(|| page.json()["nextCursor"].as_str().expect("a cursor").to_owned())
        })
        .await;

        let mut intruder = Intruder::at(&setup.nats_address()).await;
        let truth = intruder.all().await.into_iter().rev().find(|m| m.subject.contains("account.created")).expect("the account's event");
        let (subject, body) = (truth.subject.to_string(), text(&truth.payload));
        let next = (header(&truth, SEQUENCE).parse::<i64>().unwrap() + 1).to_string();
        let after = (header(&truth, POSITION).parse::<i64>().unwrap() + 1).to_string();
        let far = i64::MAX.to_string();
        let copy = format!("{}.x", header(&truth, ID));
        let other = |n: u32| format!("01a20646-9088-7331-a3ce-9a6e76bbfa{n:02}");
        // Plausible messages with forged contents.
        let forged = |n: u32| body.replace(&header(&truth, ID), &other(n)).replace("Acme Telecom", "Mallory");
        let unsealed = changed(&truth, &[(ID, &other(1)), (SEQUENCE, &next), (POSITION, &after), (SEAL, "")]);
        intruder.publish(&subject, unsealed, forged(1)).await;
        // The same with the seal of another message, and with invalid seals.
        for (n, end, seal) in
            [(2, "", header(&truth, SEAL)), (3, "", "v1.00000000.AAAA".to_owned()), (4, "\u{1b}[31m", "Mallory".to_owned())]
        {
            let id = format!("{}{end}", other(n));
            let headers = changed(&truth, &[(ID, &id), (SEQUENCE, &next), (POSITION, &after), (SEAL, &seal)]);
            intruder.publish(&subject, headers, forged(n)).await;
        }
        // A genuine message with its seal, moved: to the next place of its key, to the end of the outbox, to another type and tenant.
        intruder.publish(&subject, changed(&truth, &[(ID, &copy), (SEQUENCE, &next)]), body.clone()).await;
        intruder.publish(&subject, changed(&truth, &[(ID, &format!("{copy}1")), (POSITION, &far)]), body.clone()).await;
        let cancelled = subject.replace("account.created", "account.cancelled");
        intruder.publish(&cancelled, changed(&truth, &[(ID, &format!("{copy}2"))]), body.clone()).await;
        let foreign = subject.replace("billing.default", "billing.other");
        intruder.publish(&foreign, changed(&truth, &[(ID, &format!("{copy}3"))]), body.clone()).await;
        // The genuine id and headers without a seal, with another body; and a message that is not an event.
        let unsealed = changed(&truth, &[(ID, &format!("{copy}4")), (SEAL, "")]);
        intruder.publish(&subject, unsealed, body.replace("Acme Telecom", "Mallory")).await;
        intruder.publish("billing.default.mallory", HeaderMap::new(), "Mallory").await;
        let forgeries = 10;

        let told = status(&api, &account, "suspended").await;
        check(&setup, &api, &receiver).await;
        let last = id_of(told["events"].as_array().unwrap().last().unwrap());
        let (mut cursor, mut shown) = (cursor, Vec::new());
        while !shown.contains(&last) {
            let page = api.get(&format!("/v1/events/tail?waitSeconds=5&cursor={cursor}")).await.expect(200);
            assert!(!page.to_string().contains("Mallory"), "shown: {page}");
            page["nextCursor"].as_str().expect("a cursor").clone_into(&mut cursor);
            shown.extend(page["items"].as_array().unwrap().iter().map(id_of));
        }
        let new: Vec<String> = told["events"].as_array().unwrap().iter().map(id_of).collect();
        assert_eq!(shown, new, "the true ones alone, in order");
        // Each forgery is counted: once by the warehouse, and once by the queue if it is of its tenant.
        eventually("the count in the log", async || {
            let log = std::fs::read_to_string(setup.folder.0.join("gateway.log")).unwrap();
            assert!(!log.contains("\u{1b}[31m"), "what a stranger wrote is not shown as it is");
            let lines = log.lines().filter(|line| line.contains("that the gateway did not make"));
            let total = lines.filter_map(|line| serde_json::from_str::<Value>(line).ok()?["total"].as_u64()).max();
            (total >= Some(2 * forgeries - 1)).then_some(())
        })
        .await;
        // The forgeries are not processed again.
        assert!(gateway.stop().await.success());
        let gateway = setup.start().await;
        status(&api, &account, "active").await;
        check(&setup, &api, &receiver).await;
        assert!(gateway.stop().await.success());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forged_message_with_the_id_of_a_true_event_keeps_neither_it_nor_others_from_the_stream() {
    let mut setup = Setup::new("taken-ids", Database::Sqlite);
    let receiver = Receiver::start().await;
    receiver.known_to(&mut setup);
    let gateway = setup.start().await;
    let api = setup.api();
    subscribe(&api, &receiver, "all", "in_order").await;
    let cycle = api.bill_cycle(1).await;
    let first = api.account(&cycle).await;
    check(&setup, &api, &receiver).await;
    assert!(gateway.stop().await.success());
    let server = setup.nats_server(reserved_port());
    let intruder = Intruder::at(&server.url).await;
    // Accepted while nothing publishes: the ids are known before the stream has the events. First a single event, then transactions with
    // several events that share a batch.
    let mut gateway = setup.start_with(&["serve", "--roles", "api"]).await.leaving("nothing publishes");
    for round in 0..2 {
        let told = if round == 0 {
            let body = json!({ "name": "Acme", "currency": "EUR", "billCycle": cycle });
            api.post("/v1/accounts", body).await.expect(201)
        } else {
            status(&api, &first, "suspended").await
        };
        let event = &told["events"][0];
        let (id, kind) = (id_of(event), event["type"].as_str().unwrap());
        let key = api.get(&format!("/v1/events/{id}")).await.expect(200)["partitionkey"].as_str().unwrap().to_owned();
        let mut headers = HeaderMap::new();
        for (name, value) in [(ID, id.as_str()), (SEQUENCE, "999999"), (POSITION, "999999")] {
            headers.insert(name, value);
        }
        let body = json!({ "id": id, "type": kind, "sequence": "999999", "partitionkey": key, "data": { "after": { "name": "Mallory" } } });
        intruder.publish(&format!("billing.default.{kind}.{key}"), headers, body.to_string()).await;
        if round == 1 {
            status(&api, &first, "active").await;
        }
        assert!(gateway.stop().await.success());
        gateway = setup.start().await;
        check(&setup, &api, &receiver).await;
        assert!(gateway.stop().await.success());
        gateway = setup.start_with(&["serve", "--roles", "api"]).await.leaving("nothing publishes");
    }
    assert!(gateway.stop().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_from_before_there_were_seals_and_from_before_the_master_key_was_changed_are_delivered() {
    for database in BOTH {
        let mut setup = Setup::new("unsealed", database);
        let receiver = Receiver::start().await;
        receiver.known_to(&mut setup);
        let gateway = setup.start_with(&["serve", "--roles", "api,relay"]).await;
        let api = setup.api();
        subscribe(&api, &receiver, "all", "in_order").await;
        let cycle = api.bill_cycle(1).await;
        let account = api.account(&cycle).await;
        status(&api, &account, "suspended").await;
        let count = owed(&api).await.len();
        let mut intruder = Intruder::at(&setup.nats_address()).await;
        let messages = eventually("the stream", async || Some(intruder.all().await).filter(|all| all.len() == count)).await;
        assert!(messages.iter().all(|message| !header(message, SEAL).is_empty()), "all are sealed");
        assert!(gateway.stop().await.success());

        // The same messages as the version before left them; the last keeps its seal. One of them also with another body, in front.
        let server = setup.nats_server(reserved_port());
        Intruder::at(&server.url).await.stream.purge().await.expect("purged");
        drop(server);
        // A server remembers ids until it starts anew.
        let server = setup.nats_server(reserved_port());
        let intruder = Intruder::at(&server.url).await;
        let of = &messages[0];
        let headers = changed(of, &[(ID, &format!("{}.x", header(of, ID))), (SEAL, "")]);
        intruder.publish(&of.subject, headers, text(&of.payload).replace("Monthly", "Mallory")).await;
        for (n, message) in messages.iter().enumerate() {
            let changes: &[(&str, &str)] = if n + 1 == count { &[] } else { &[(SEAL, "")] };
            intruder.publish(&message.subject, changed(message, changes), text(&message.payload)).await;
        }
        setup.set("BILLWIRE_MASTER_KEY", "EjRWeJq83vESNFZ4mrze8RI0VniavN7xEjRWeJq83vE=,q83vEjRWeJq83vEjRWeJq83vEjRWeJq83vEjRWeJq80=");
        let gateway = setup.start().await;
        check(&setup, &api, &receiver).await;
        assert!(gateway.stop().await.success());
    }
}
