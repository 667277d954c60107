//! Retry, redrive and discard of deliveries, on a manually filled delivery store.

use std::time::Duration;

use billwire_schemas::{
    clock::{Clock, SystemClock},
    delivery::{AttemptRecord, Delivery, DeliveryState, PartitionId, Report},
    ids::{DeliveryId, EventId, OrderingKey, QueueId, SubscriptionId, fresh},
};
use serde_json::json;

use crate::rig::Rig;

fn delivery(state: DeliveryState, tenant: &str, due: bool) -> Delivery {
    let (event, subscription, now) = (EventId(fresh()), SubscriptionId(fresh()), SystemClock.now());
    Delivery {
        id: DeliveryId::of(event, subscription),
        tenant: tenant.parse().expect("a tenant"),
        event,
        event_type: "account.created".into(),
        queue: QueueId(fresh()),
        partition: 0,
        subscription,
        replay: None,
        key: fresh().into(),
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
        assert_eq!(rig.store.purge_attempts(one.created_at - chrono::TimeDelta::days(1), 10).await.expect("forgotten"), 0);
        assert_eq!(rig.store.purge_attempts(soon, 10).await.expect("forgotten"), 1);
        assert_eq!(attempts().await, Some(1), "the latest try stands in the delivery itself");
    }
}

/// Repairs all lanes of a partition; returns the number of steps.
async fn mend(rig: &Rig, queue: QueueId, in_order: bool) -> usize {
    let (mut from, mut steps) = (None, 0);
    loop {
        steps += 1;
        assert!(steps < 100, "no end of it");
        from = rig.store.repair_lanes(PartitionId { queue, number: 0 }, in_order, from, SystemClock.now()).await.expect("mended");
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
            let key: OrderingKey = fresh().into();
            for sequence in 1..=3 {
                let state = if sequence == 1 && lane % 7 == 0 { DeliveryState::Blocking } else { DeliveryState::Waiting };
                let due = sequence == 1 && lane % 3 == 0 && state == DeliveryState::Waiting;
                heads += usize::from(sequence == 1 && !due && state == DeliveryState::Waiting);
                let one = delivery(state, "default", due);
                // One subscription with very many lanes, others with few.
                let subscription = subscriptions[if lane < 1_200 { 1 } else { lane % 3 }];
                all.push(Delivery { queue, subscription, key: key.clone(), sequence, ..one });
            }
        }
        rig.store.record_deliveries(&all.iter().collect::<Vec<_>>(), &[], SystemClock.now()).await.expect("recorded");
        let due = async || {
            let rooms: Vec<_> = subscriptions.iter().map(|one| (one.0, 10_000)).collect();
            let soon = SystemClock.now() + chrono::TimeDelta::seconds(1);
            rig.store.due_deliveries(PartitionId { queue, number: 0 }, &rooms, soon, i64::MAX).await.expect("what is due")
        };
        let before = due().await.len();
        assert!(mend(&rig, queue, true).await > 2, "too many lanes for a step");
        let found = due().await;
        assert!(found.iter().all(|one| one.sequence == 1), "only heads");
        assert_eq!(found.len() - before, heads);
        mend(&rig, queue, false).await;
        let waiting = all.iter().filter(|one| one.state == DeliveryState::Waiting).count();
        assert_eq!(due().await.len(), waiting, "where order does not matter, everything");
        assert_eq!(mend(&rig, QueueId(fresh()), true).await, 1);
    }
}
