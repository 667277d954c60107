//! Stream subscriptions: what they read, from where, how many there may be, and what is told of them.

use std::sync::{Arc, atomic::Ordering};

use billwire_app::{App, KnownCatalogues, domain::delivery::stream_subscription::Start};
use billwire_schemas::clock::{Clock, ShiftedClock, SystemClock};
use chrono::TimeDelta;
use serde_json::{Value, json};

use crate::rig::{Rig, STREAM_SUBSCRIPTIONS, STREAM_URL};

const PATH: &str = "/v1/stream-subscriptions";

async fn made(rig: &Rig, body: Value) -> String {
    rig.create(PATH, body).await
}

#[tokio::test]
async fn one_is_made_once_its_consumer_is_there_and_tells_how_to_read_it() {
    for rig in Rig::everywhere().await {
        let id = made(&rig, json!({ "name": "warehouse", "eventTypes": ["invoice.*", "account.created"] })).await;
        let wanted = rig.consumers.provided.lock().expect("whole").last().cloned().expect("a consumer");
        assert_eq!(wanted.subjects, ["billing.default.account.created.>", "billing.default.invoice.>"]);
        assert_eq!((wanted.start, wanted.progress.settled.map(|place| place.sequence)), (Start::Now, Some(7)));
        let shown = rig.get(&format!("{PATH}/{id}")).await.expect(200);
        assert_eq!(shown["consumer"], wanted.name);
        assert_eq!(shown["connection"]["url"], STREAM_URL);
        assert_eq!(shown["connection"]["inboxPrefix"], format!("_INBOX_{}", wanted.name));
        assert_eq!((&shown["progress"]["pending"], &shown["progress"]["outstanding"]), (&json!(12), &json!(3)));
        let listed = rig.get(PATH).await.expect(200);
        assert_eq!(listed["items"], json!([shown]));
        rig.delete(&format!("{PATH}/{id}")).await.expect(200);
        rig.get(&format!("{PATH}/{id}")).await.refused(404, "stream_subscription_not_found");
        assert_eq!(rig.app.wanted_consumers(&mut KnownCatalogues::default()).await.expect("none").len(), 0);
    }
}

#[tokio::test]
async fn names_of_consumers_cannot_be_guessed_from_others() {
    let rig = Rig::new().await;
    for name in ["a", "b"] {
        made(&rig, json!({ "name": name })).await;
    }
    let names: Vec<String> = rig.consumers.provided.lock().expect("whole").iter().map(|wanted| wanted.name.clone()).collect();
    let (one, other) = (&names[0]["stream-".len()..], &names[1]["stream-".len()..]);
    assert!(one.len() == 32 && other.len() == 32, "{names:?}");
    let same = one.bytes().zip(other.bytes()).filter(|(a, b)| a == b).count();
    assert!(same < 16, "{names:?}");
}

#[tokio::test]
async fn a_reset_begins_elsewhere_with_the_same_consumer() {
    for rig in Rig::everywhere().await {
        let id = made(&rig, json!({ "name": "s", "start": { "type": "everything" } })).await;
        let at = SystemClock.now() - TimeDelta::hours(1);
        let reset = format!("{PATH}/{id}/reset");
        let done = rig.post(&reset, json!({ "start": { "type": "time", "at": at } })).await.expect(200);
        assert_eq!(done["entities"][0]["after"]["resets"], 1);
        rig.post(&reset, json!({ "start": { "type": "now" } })).await.expect(200);
        let provided = rig.consumers.provided.lock().expect("whole").clone();
        let told: Vec<_> =
            provided.iter().map(|one| (one.progress.resets, one.progress.settled.as_ref().map(|place| place.sequence))).collect();
        assert_eq!(told, [(0, None), (1, None), (2, Some(7))]);
        assert!(provided.iter().all(|one| one.name == provided[0].name));
        let shown = rig.get(&format!("{PATH}/{id}")).await.expect(200);
        assert_eq!((&shown["start"], &shown["resets"]), (&json!({ "type": "now" }), &json!(2)));
        rig.post(&reset, json!({ "start": { "type": "time", "at": at + TimeDelta::days(1) } })).await.refused(422, "start_in_future");
        rig.post(&reset, json!({ "start": { "type": "time" } })).await.refused(400, "schema_violation");
        rig.post(&reset, json!({ "start": { "type": "now", "at": at } })).await.refused(400, "schema_violation");
    }
}

#[tokio::test]
async fn what_a_consumer_cannot_do_is_refused() {
    for rig in Rig::everywhere().await {
        for (body, code) in [
            (json!({ "name": "s", "eventTypes": ["invoise.posted"] }), "event_type_unknown"),
            (json!({ "name": "s", "objects": [{ "object": "invoise", "events": ["created"] }] }), "event_object_unknown"),
            (json!({ "name": "s", "eventTypes": ["*.created", "*.updated", "*.deleted"] }), "too_many_filters"),
            (json!({ "name": "s", "start": { "type": "time", "at": SystemClock.now() + TimeDelta::days(1) } }), "start_in_future"),
        ] {
            let refused = rig.post(PATH, body).await.expect(422);
            assert_eq!(refused["errors"][0]["code"], code);
        }
        for number in 0..STREAM_SUBSCRIPTIONS {
            made(&rig, json!({ "name": format!("s{number}") })).await;
        }
        rig.post(PATH, json!({ "name": "s0" })).await.refused(409, "name_taken");
        rig.post(PATH, json!({ "name": "more" })).await.refused(409, "too_many_stream_subscriptions");
    }
}

#[tokio::test]
async fn nothing_is_changed_while_the_stream_is_out_of_reach() {
    for rig in Rig::everywhere().await {
        let id = made(&rig, json!({ "name": "s" })).await;
        rig.consumers.away.store(true, Ordering::Relaxed);
        rig.post(PATH, json!({ "name": "t" })).await.refused(503, "unavailable");
        rig.post(&format!("{PATH}/{id}/reset"), json!({ "start": { "type": "now" } })).await.refused(503, "unavailable");
        let listed = rig.get(PATH).await.expect(200);
        assert_eq!((listed["items"].as_array().map(Vec::len), &listed["items"][0]["resets"]), (Some(1), &json!(0)));
    }
}

#[tokio::test]
async fn an_installation_that_lets_no_subscribers_in_says_so() {
    let rig = Rig::new().await;
    let id = made(&rig, json!({ "name": "s" })).await;
    let shut = App::new(rig.store.clone(), Arc::new(ShiftedClock::default()), false);
    let service = poem::test::TestClient::new(billwire_api::service(shut, billwire_api::Options::default()));
    let bearer = format!("Bearer {}", rig.key);
    for (path, body) in [(PATH.to_owned(), json!({ "name": "t" })), (format!("{PATH}/{id}/reset"), json!({ "start": { "type": "now" } }))] {
        let response = service.post(path).header("authorization", &bearer).body_json(&body).send().await;
        response.assert_status(poem::http::StatusCode::CONFLICT);
        assert_eq!(response.json().await.value().object().get("code").string(), "stream_access_not_configured");
    }
    let shown = service.get(format!("{PATH}/{id}")).header("authorization", &bearer).send().await;
    shown.assert_status_is_ok();
    assert!(shown.json().await.value().object().get_opt("connection").is_none());
}

#[tokio::test]
async fn another_tenants_subscription_is_none() {
    for rig in Rig::everywhere().await {
        let id = made(&rig, json!({ "name": "s" })).await;
        let stranger = rig.key_of("stranger", &["*"]).await;
        let path = format!("{PATH}/{id}");
        rig.by(&stranger, "GET", &path, &json!({})).await.refused(404, "stream_subscription_not_found");
        rig.by(&stranger, "DELETE", &path, &json!(null)).await;
        let reset = json!({ "start": { "type": "now" } });
        rig.by(&stranger, "POST", &format!("{path}/reset"), &reset).await.refused(404, "stream_subscription_not_found");
        assert_eq!(rig.by(&stranger, "GET", PATH, &json!({})).await.expect(200)["items"], json!([]));
        rig.get(&path).await.expect(200);
    }
}
