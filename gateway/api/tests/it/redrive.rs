//! Retry, redrive and discard of deliveries, on a manually filled delivery store.

use std::time::Duration;

use billwire_schemas::{
    clock::{Clock, SystemClock},
    delivery::{AttemptRecord, Delivery, DeliveryState, Report},
    ids::{DeliveryId, EventId, OrderingKey, QueueId, Slot, SubscriptionId, TenantId, fresh},
};
use billwire_store::{
    delivery::held_queues::HeldQueue,
    retention::{Kind, Range},
};
use serde_json::json;

use crate::rig::Rig;

pub fn delivery(state: DeliveryState, tenant: &str, due: bool) -> Delivery {
    let (event, subscription, now) = (EventId(fresh()), SubscriptionId(fresh()), SystemClock.now());
    let (tenant, key) = (tenant.parse().expect("a tenant"), OrderingKey::from(fresh()));
    Delivery {
        id: DeliveryId::of(event, subscription),
        slot: Slot::of(&tenant, &key),
        tenant,
        event,
        event_type: "account.created".into(),
        queue: QueueId(fresh()),
        subscription,
        replay: None,
        key,
        sequence: 1,
        position: 1,
        state,
        attempts: 3,
        forgiven: 0,
        next_attempt_at: due.then_some(now),
        last: Some(AttemptRecord { number: 3, at: now, latency: Duration::from_micros(1), report: Report::new(Some(503), "no") }),
        created_at: now,
    }
}

#[tokio::test]
async fn what_cannot_be_retried_says_why_and_foreign_dead_letters_stay_untouched() {
    for rig in Rig::everywhere().await {
        let all = [
            delivery(DeliveryState::Succeeded, "default", false),
            delivery(DeliveryState::Discarded, "default", false),
            delivery(DeliveryState::Waiting, "default", false),
            delivery(DeliveryState::Dead, "other", false),
            delivery(DeliveryState::Dead, "default", false),
            delivery(DeliveryState::Blocking, "default", false),
        ];
        rig.store.record_deliveries(&all.iter().collect::<Vec<_>>(), &[], SystemClock.now()).await.expect("recorded");
        let retry = async |index: usize| rig.post(&format!("/v1/deliveries/{}/retry", all[index].id), json!({})).await;
        retry(0).await.refused(409, "delivery_succeeded");
        retry(1).await.refused(409, "delivery_discarded");
        retry(2).await.refused(409, "delivery_behind_another");
        retry(3).await.refused(404, "delivery_not_found");
        rig.post("/v1/deliveries/none/retry", json!({})).await.refused(404, "delivery_not_found");
        let one = json!({ "subscriptionId": all[4].subscription });
        assert_eq!(rig.post("/v1/dead-letters/redrive", json!({ "eventType": "invoice.*" })).await.expect(202)["deliveries"], 0);
        assert_eq!(rig.get("/v1/dead-letters?eventType=account.*").await.expect(200)["items"].as_array().map(Vec::len), Some(2));
        let counted = json!({ "subscriptionId": all[4].subscription, "dryRun": true });
        for action in ["redrive", "discard", "redrive"] {
            let told = rig.post(&format!("/v1/dead-letters/{action}"), counted.clone()).await.expect(202);
            assert_eq!(told["deliveries"], 1, "{action}: counted, and nothing else");
        }
        assert_eq!(rig.post("/v1/dead-letters/redrive", one.clone()).await.expect(202)["deliveries"], 1);
        assert_eq!(rig.post("/v1/dead-letters/redrive", one).await.expect(202)["deliveries"], 0, "it waits now");
        assert_eq!(
            rig.post("/v1/dead-letters/discard", json!({})).await.expect(202)["deliveries"],
            1,
            "the other tenant's is not among them"
        );
        let left = rig.get("/v1/dead-letters").await.expect(200);
        assert_eq!(left, json!({ "items": [] }));
        let found = rig.get("/v1/deliveries?status=503&eventType=account.created&state=discarded").await.expect(200);
        assert_eq!(found["items"].as_array().map(Vec::len), Some(2));
        for (kind, count) in [("account.*", 5), ("*.created", 5), ("*", 5), ("account.create_", 0), ("invoice.*", 0), ("*.updated", 0)] {
            let found = rig.get(&format!("/v1/deliveries?eventType={kind}")).await.expect(200);
            assert_eq!(found["items"].as_array().map(Vec::len), Some(count), "{kind}");
        }
        assert_eq!(rig.get("/v1/deliveries?status=500").await.expect(200), json!({ "items": [] }));
        assert_eq!(rig.get(&format!("/v1/deliveries?orderingKey={}", all[0].key)).await.expect(200)["items"][0]["id"], json!(all[0].id));
    }
}

#[tokio::test]
async fn a_replay_is_ordered_listed_and_cancelled_and_each_refusal_has_its_code() {
    for rig in Rig::everywhere().await {
        let queue = rig.queue("q", &["account.created"]).await;
        let endpoint = rig.endpoint("e").await;
        let action = json!({ "type": "webhook", "webhookEndpointId": endpoint });
        let subscription = rig.create("/v1/subscriptions", json!({ "name": "s", "queueId": queue, "action": action })).await;
        let cycle = rig.cycle(1).await;
        rig.account(&cycle).await;
        let order = |more: serde_json::Value| {
            let mut body = json!({ "subscriptionId": subscription, "from": "2020-01-01T00:00:00Z" });
            if let (Some(body), Some(more)) = (body.as_object_mut(), more.as_object()) {
                body.extend(more.clone());
            }
            rig.post("/v1/replays", body)
        };
        order(json!({ "subscriptionId": queue })).await.refused(422, "subscription_unknown");
        order(json!({ "eventTypes": ["account.creatd"] })).await.refused(422, "event_type_unknown");
        order(json!({ "to": "2019-01-01T00:00:00Z" })).await.refused(422, "window_empty");
        let replay = order(json!({ "dryRun": true })).await.expect(202);
        assert_eq!((&replay["state"], &replay["dryRun"], &replay["matched"]), (&json!("collecting"), &json!(true), &json!(0)));
        let path = format!("/v1/replays/{}", replay["id"].as_str().expect("an id"));
        assert_eq!(rig.get(&path).await.expect(200)["subscriptionId"], subscription.as_str());
        assert_eq!(rig.get("/v1/replays").await.expect(200)["items"][0]["id"], replay["id"]);
        assert_eq!(rig.post(&format!("{path}/cancel"), json!({})).await.expect(202)["state"], "cancelled");
        rig.post(&format!("{path}/cancel"), json!({})).await.refused(409, "replay_cancelled");
        rig.get("/v1/replays/none").await.refused(404, "replay_not_found");
    }
}

#[tokio::test]
async fn failed_tries_are_forgotten_by_age_and_deliveries_stay() {
    for rig in Rig::everywhere().await {
        let one = delivery(DeliveryState::Dead, "default", false);
        rig.store.record_deliveries(&[&one], &[], SystemClock.now()).await.expect("recorded");
        let attempts = async || rig.get(&format!("/v1/deliveries/{}", one.id)).await.expect(200)["attempts"].as_array().map(Vec::len);
        let soon = SystemClock.now() + chrono::TimeDelta::seconds(1);
        let lease = rig.store.acquire_lease("retention", "me", Duration::from_secs(60)).await.expect("asked").expect("free");
        let purged = async |until| {
            let range = Range { tenant: &one.tenant, until, after: None, limit: 16 };
            rig.store.purge(&lease, Kind::Attempts, &range).await.expect("purged").expect("the lease holds").deleted
        };
        assert_eq!(purged(one.created_at - chrono::TimeDelta::days(1)).await, 0);
        assert_eq!(purged(soon).await, 1);
        assert_eq!(attempts().await, Some(1), "the latest try stands in the delivery itself");
    }
}

fn slot() -> Slot {
    Slot::all().next().expect("a slot")
}

/// Repairs all lanes of a slot; returns the number of steps.
async fn mend(rig: &Rig, slot: Slot, in_order: bool) -> usize {
    let (mut from, mut steps) = (None, 0);
    loop {
        steps += 1;
        assert!(steps < 100, "no end of it");
        from = rig.store.repair_lanes(slot, |_| in_order, from, SystemClock.now()).await.expect("mended");
        if from.is_none() {
            return steps;
        }
    }
}

#[tokio::test]
async fn what_a_stop_left_without_a_time_gets_one_step_by_step_the_first_of_each_lane_alone_where_order_matters() {
    for rig in Rig::everywhere().await {
        let queue = QueueId(fresh());
        let subscriptions: Vec<SubscriptionId> = (0..3).map(|_| SubscriptionId(fresh())).collect();
        let (mut all, mut heads) = (Vec::new(), 0);
        for lane in 0..1_300_usize {
            // Every third lane has a waiting head, and every seventh a blocking one.
            let tenant = TenantId::default_tenant();
            let key = std::iter::repeat_with(|| OrderingKey::from(fresh())).find(|key| Slot::of(&tenant, key) == slot()).expect("a key");
            for sequence in 1..=3 {
                let state = if sequence == 1 && lane % 7 == 0 { DeliveryState::Blocking } else { DeliveryState::Waiting };
                let due = sequence == 1 && lane % 3 == 0 && state == DeliveryState::Waiting;
                heads += usize::from(sequence == 1 && !due && state == DeliveryState::Waiting);
                let one = delivery(state, "default", due);
                // One subscription with very many lanes, others with few.
                let subscription = subscriptions[if lane < 1_200 { 1 } else { lane % 3 }];
                all.push(Delivery { queue, subscription, slot: slot(), key: key.clone(), sequence, ..one });
            }
        }
        rig.store.record_deliveries(&all.iter().collect::<Vec<_>>(), &[], SystemClock.now()).await.expect("recorded");
        let due = async || {
            let rooms: Vec<_> = subscriptions.iter().map(|one| (one.0, 10_000, i64::MAX)).collect();
            let soon = SystemClock.now() + chrono::TimeDelta::seconds(1);
            rig.store.due_deliveries(slot(), &rooms, soon).await.expect("what is due")
        };
        let before = due().await.len();
        assert!(mend(&rig, slot(), true).await > 2, "too many lanes for a step");
        let found = due().await;
        assert!(found.iter().all(|one| one.sequence == 1), "only heads");
        assert_eq!(found.len() - before, heads);
        mend(&rig, slot(), false).await;
        let waiting = all.iter().filter(|one| one.state == DeliveryState::Waiting).count();
        assert_eq!(due().await.len(), waiting, "where order does not matter, everything");
        assert_eq!(mend(&rig, Slot::all().last().expect("a slot"), true).await, 1);
    }
}

#[tokio::test]
async fn a_held_queue_knows_from_where_it_is_behind_until_it_has_caught_up() {
    for rig in Rig::everywhere().await {
        let id = rig.queue("q", &["account.created"]).await;
        let queue = QueueId(id.parse().expect("an id"));
        let (store, now) = (&rig.store, SystemClock.now());
        let position = async || store.held_queues().await.expect("the held queues").first().map(|held| held.position);
        let hold_back = async |position: i64| store.hold_back([(queue, position)]).await.expect("recorded");
        assert!(!hold_back(5).await, "it is not held");
        rig.post(&format!("/v1/queues/{id}/pause"), json!({})).await.expect(200);
        assert_eq!(position().await, Some(i64::MAX), "it is not behind");
        for (event, lowest) in [(50, 50), (70, 50), (40, 40)] {
            assert!(hold_back(event).await);
            assert_eq!(position().await, Some(lowest));
        }
        let held = store.held_queues().await.expect("the held queues").remove(0);
        let advance = async |held: &HeldQueue, to| store.advance_held_queue(held, to, Vec::new(), true, now).await.expect("advanced");
        assert!(advance(&held, 100).await);
        assert!(hold_back(60).await, "an event that was committed late");
        let stale = HeldQueue { position: 100, ..held };
        let release = async |held: &HeldQueue| store.release_queue(held, |_| Vec::new(), true, now).await.expect("an answer");
        assert!(!advance(&stale, 200).await && !release(&stale).await, "it has fallen behind further");
        assert_eq!(position().await, Some(60));
        assert!(release(&HeldQueue { position: 60, ..stale }).await);
        assert_eq!((position().await, hold_back(5).await), (None, false));
    }
}
