//! What was kept long enough is purged by a running gateway, and what is still owed is not.

use std::collections::BTreeSet;

use billwire_tests::{
    api::Api,
    eventually,
    gateway::{BOTH, Database, Gateway, Setup},
    history::execute,
    receiver::{Answer, Receiver},
};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

/// The relay forgets where settled events are on the stream, as it does an hour after their publication.
async fn hour_passes(setup: &Setup) {
    execute(setup, "UPDATE published SET at = 0").await;
}

async fn set_clock(api: &Api, now: DateTime<Utc>) {
    api.post("/v1/test-clock", json!({ "now": now.to_rfc3339() })).await.expect(200);
}

async fn world(name: &str, database: Database) -> (Setup, Gateway, Api, Receiver) {
    let mut setup = Setup::new(name, database);
    setup.set("BILLWIRE_WEBHOOK_RETRY_PLAN", "0s,50ms");
    let receiver = Receiver::start().await;
    receiver.known_to(&mut setup);
    let gateway = setup.start().await;
    let api = setup.api();
    (setup, gateway, api, receiver)
}

/// A queue with a subscription for one event type; gives the ids of both.
async fn subscribe(api: &Api, receiver: &Receiver, name: &str, kind: &str) -> (String, String) {
    let endpoint = api.create("/v1/webhook-endpoints", json!({ "name": name, "url": receiver.url() })).await;
    let queue = api.create("/v1/queues", json!({ "name": name, "mode": "out_of_order", "eventTypes": [kind] })).await;
    let action = json!({ "type": "webhook", "webhookEndpointId": endpoint });
    let subscription = api.create("/v1/subscriptions", json!({ "name": name, "queueId": queue, "action": action })).await;
    (queue, subscription)
}

async fn items(api: &Api, path: &str) -> Vec<Value> {
    api.get(path).await.expect(200)["items"].as_array().expect("items").clone()
}

fn ids(items: &[Value]) -> BTreeSet<String> {
    items.iter().map(|item| item["id"].as_str().expect("an id").to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_old_goes_and_what_is_owed_stays_until_it_is_not() {
    for database in BOTH {
        let (setup, gateway, api, receiver) = world("retention", database).await;
        let cycle = api.bill_cycle(1).await;
        let (_, subscription) = subscribe(&api, &receiver, "all", "account.created").await;
        let account = api.account(&cycle).await;
        api.account(&cycle).await;
        eventually("both webhooks", async || (receiver.count() == 2).then_some(())).await;
        // A receiver that fails: dead letters. A queue that is paused: it takes in nothing.
        let (_, failing) = subscribe(&api, &receiver, "failing", "account.updated").await;
        let (paused, _) = subscribe(&api, &receiver, "paused", "account.status_changed").await;
        api.post(&format!("/v1/queues/{paused}/pause"), json!({})).await.expect(200);
        receiver.always(Some(Answer::Status(500)));
        api.patch(&format!("/v1/accounts/{account}"), json!({ "name": "n" })).await.expect(200);
        let dead = eventually("the dead letter", async || {
            items(&api, &format!("/v1/dead-letters?subscriptionId={failing}")).await.into_iter().next()
        })
        .await;
        receiver.always(None);
        api.post(&format!("/v1/accounts/{account}/status"), json!({ "status": "suspended" })).await.expect(200);
        let held =
            eventually("the change of status", async || items(&api, "/v1/events?type=account.status_changed").await.into_iter().next())
                .await;
        let old = items(&api, "/v1/events?type=account.created").await;
        let delivered = items(&api, &format!("/v1/deliveries?subscriptionId={subscription}")).await;
        eventually("all to be published", async || {
            let explained = api.get(&format!("/v1/events/{}/explanation", held["id"].as_str()?)).await.expect(200);
            (explained["onStream"] == true).then_some(())
        })
        .await;

        hour_passes(&setup).await;
        set_clock(&api, Utc::now() + TimeDelta::days(500)).await;
        let gone = async |path: String| {
            eventually(&format!("{path} to be purged"), async || {
                let answer = api.get(&path).await;
                (answer.status == 410).then(|| answer.refused(410, "purged"))
            })
            .await
        };
        for event in &old {
            gone(format!("/v1/events/{}", event["id"].as_str().expect("an id"))).await;
            gone(format!("/v1/business-transactions/{}", event["transactionid"].as_str().expect("an id"))).await;
        }
        for delivery in &delivered {
            gone(format!("/v1/deliveries/{}", delivery["id"].as_str().expect("an id"))).await;
        }
        // The dead letter's event, and that of the paused queue, with all that have later positions than it.
        let left = ids(&items(&api, "/v1/events?limit=200").await);
        for (id, why) in [(&dead["eventId"], "a dead letter"), (&held["id"], "a queue is behind by it")] {
            let id = id.as_str().expect("an id");
            assert!(left.contains(id), "{why}");
            let event = api.get(&format!("/v1/events/{id}")).await.expect(200);
            api.get(&format!("/v1/business-transactions/{}", event["transactionid"].as_str().expect("an id"))).await.expect(200);
        }
        let replay = json!({ "subscriptionId": subscription, "from": "2020-01-01T00:00:00Z" });
        api.post("/v1/replays", replay).await.refused(410, "purged");

        // Both are delivered now, and are old at once: then they go.
        receiver.forget();
        let letter = json!({ "ids": [dead["id"]] });
        assert_eq!(api.post("/v1/dead-letters/redrive", letter).await.expect(202)["deliveries"], 1);
        api.post(&format!("/v1/queues/{paused}/resume"), json!({})).await.expect(200);
        eventually("what was owed", async || {
            let got: BTreeSet<String> = receiver.calls().iter().map(|call| call.header("webhook-id").to_owned()).collect();
            [&dead["eventId"], &held["id"]].iter().all(|id| id.as_str().is_some_and(|id| got.contains(id))).then_some(())
        })
        .await;
        set_clock(&api, Utc::now() + TimeDelta::days(1000)).await;
        gone(format!("/v1/events/{}", dead["eventId"].as_str().expect("an id"))).await;
        gone(format!("/v1/events/{}", held["id"].as_str().expect("an id"))).await;
        gone(format!("/v1/deliveries/{}", dead["id"].as_str().expect("an id"))).await;
        assert_eq!(api.get(&format!("/v1/accounts/{account}")).await.expect(200)["status"], "suspended", "objects stay");
        assert!(gateway.stop().await.success());
    }
}
