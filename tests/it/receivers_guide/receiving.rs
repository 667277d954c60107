//! Receivers: repeats, a rotation, a lost answer, forgeries.

use std::collections::BTreeMap;

use billwire_tests::{api::Api, eventually, gateway::Setup, receiver::HOST};
use billwire_webhook::{Secret, request::signature};
use chrono::{TimeDelta, Utc};
use serde_json::{Value, json};
use tokio::net::TcpStream;

use super::{Program, Story, command, events, front::Front, text};

const FIRST: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const SECOND: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
const UNKNOWN: &str = "whsec_plJ3nmyCDGBKInavdOK15jsl7OXbOVs2";
/// The first key pair of RFC 8032, section 7.1.
const PRIVATE: &str = "whsk_nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2DXWpgBgrEKt9VL/tPJZAc6DuFy89qmIyWvAhpo9wdRGg==";
const PUBLIC: &str = "whpk_11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";

/// A receiver takes each event once and in order, while the secret is rotated, an answer is lost and all events are replayed.
pub async fn receives(setup: &Setup, language: &str, port: u16, front: &Front) {
    let api = setup.api();
    let command = command(setup, language, "receiver");
    let mut receiver = Program::start(setup, &command, &[&port.to_string(), &[FIRST, PUBLIC, SECOND].join(",")]);
    eventually("the receiver to listen", async || TcpStream::connect(("127.0.0.1", port)).await.ok().map(drop)).await;
    let endpoint = json!({ "name": "e", "url": format!("https://{HOST}/hooks"), "secret": FIRST });
    let endpoint = api.create("/v1/webhook-endpoints", endpoint).await;
    let queue = api.create("/v1/queues", json!({ "name": "q", "mode": "in_order", "eventTypes": ["account.*", "bill_cycle.*"] })).await;
    let action = json!({ "type": "webhook", "webhookEndpointId": endpoint });
    let subscription = api.create("/v1/subscriptions", json!({ "name": "s", "queueId": queue, "action": action })).await;
    let rotate = async |secret: &str, overlap: u32| {
        let rotation = json!({ "secret": secret, "overlapSeconds": overlap });
        api.post(&format!("/v1/webhook-endpoints/{endpoint}/rotate-secret"), rotation).await.expect(200);
    };

    let mut story = Story::begin(&api).await;
    story.go_on().await;
    receiver.has_taken(&events(&api).await).await;
    // Two signatures, of different kinds.
    rotate(PRIVATE, 3600).await;
    story.go_on().await;
    receiver.has_taken(&events(&api).await).await;
    rotate(SECOND, 0).await;
    front.lose_the_next_answer();
    story.go_on().await;
    let all = events(&api).await;
    receiver.has_taken(&all).await;
    assert!(front.has_lost_an_answer());

    let from = (Utc::now() - TimeDelta::hours(1)).to_rfc3339();
    let replay = api.post("/v1/replays", json!({ "subscriptionId": subscription, "from": from })).await.expect(202);
    let path = format!("/v1/replays/{}", text(&replay, "id"));
    let replay = eventually("the replay to end", async || {
        let replay = api.get(&path).await.expect(200);
        (replay["state"] == "completed").then_some(replay)
    })
    .await;
    assert_eq!(replay["delivered"], json!(all.len()), "the receiver has answered 2xx to each");
    receiver.has_taken(&all).await;
    refuses_forgeries(&api, &mut receiver, port, &all).await;
}

/// A receiver refuses what none of its secrets has signed just so and just now, and knows what is late.
async fn refuses_forgeries(api: &Api, receiver: &mut Program, port: u16, events: &BTreeMap<String, Value>) {
    let url = format!("http://127.0.0.1:{port}/hooks");
    let call = async |id: &str, time: i64, signature: &str, body: &str| {
        let request = api.client.post(&url).header("webhook-id", id).header("webhook-timestamp", time.to_string());
        request.header("webhook-signature", signature).body(body.to_owned()).send().await.expect("an answer").status().as_u16()
    };
    let sign = |secrets: &[&str], id: &str, time: i64, body: &str| {
        let secrets: Vec<Secret> = secrets.iter().map(|secret| Secret::parse(secret, None).expect("a secret")).collect();
        signature(&secrets, id, time, body.as_bytes())
    };
    let latest = events.values().max_by_key(|event| text(event, "sequence").to_owned()).expect("an event");
    let made = |sequence: &str| {
        let id = uuid::Uuid::now_v7().to_string();
        let mut event = latest.clone();
        event["id"] = json!(id);
        event["sequence"] = json!(sequence);
        (id, event.to_string())
    };
    let (now, sequence) = (Utc::now().timestamp(), text(latest, "sequence"));
    let (id, body) = made(sequence);
    let right = sign(&[FIRST], &id, now, &body);
    let (other, changed) = (uuid::Uuid::now_v7().to_string(), body.replace("active", "deleted"));
    assert_ne!(changed, body);
    let (past, future) = (now - 360, now + 360);
    let forgeries = [
        ("signed by another", &id, now, sign(&[UNKNOWN], &id, now, &body), &body),
        ("another body", &id, now, right.clone(), &changed),
        ("another id", &other, now, right.clone(), &body),
        ("another time", &id, now - 1, right.clone(), &body),
        ("too old", &id, past, sign(&[FIRST], &id, past, &body), &body),
        ("too new", &id, future, sign(&[FIRST], &id, future, &body), &body),
        ("another version", &id, now, right.replace("v1,", "v9,"), &body),
        ("an empty signature", &id, now, "v1,".to_owned(), &body),
        ("no signature", &id, now, "-".to_owned(), &body),
        ("another pair's", &id, now, format!("v1a,{}==", "A".repeat(86)), &body),
    ];
    for (what, id, time, signature, body) in forgeries {
        assert_eq!(call(id, time, &signature, body).await, 400, "{what}");
    }
    assert_eq!(receiver.lines().len(), events.len(), "nothing of the forgeries");

    let first = format!("{:020}", 1);
    let genuine =
        [(vec![UNKNOWN, FIRST], sequence, false), (vec![PRIVATE, UNKNOWN], sequence, false), (vec![SECOND], first.as_str(), true)];
    for (count, (secrets, sequence, late)) in genuine.into_iter().enumerate() {
        let (id, body) = made(sequence);
        for _ in 0..2 {
            assert_eq!(call(&id, now, &sign(&secrets, &id, now, &body), &body).await, 204);
        }
        let wanted = events.len() + count + 1;
        eventually("its line", async || (receiver.lines().len() >= wanted).then_some(())).await;
        let lines = receiver.lines();
        assert_eq!((lines.len(), text(&lines[wanted - 1], "id"), &lines[wanted - 1]["late"]), (wanted, id.as_str(), &json!(late)));
    }
}
