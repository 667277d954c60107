//! Retention settings, and what is answered for what was purged.

use std::time::Duration;

use billwire_schemas::{
    clock::{Clock, SystemClock},
    delivery::{Delivery, DeliveryState, Published, Reader, Settled},
    ids::{DeliveryId, Slot, TenantId, fresh},
};
use billwire_store::{
    Unpublished,
    retention::{Kind, Range},
};
use chrono::TimeDelta;
use serde_json::json;

use crate::{redrive::delivery, rig::Rig};

const SETTINGS: &str = "/v1/retention-settings";

#[tokio::test]
async fn a_tenant_shortens_its_retention_within_the_limits_of_the_installation() {
    for rig in Rig::everywhere().await {
        let found = rig.get(SETTINGS).await;
        assert_eq!(found.header("etag"), "\"0\"");
        let found = found.expect(200);
        assert_eq!((&found["longest"]["eventsDays"], &found["shortest"]["eventsDays"]), (&json!(400), &json!(31)));
        assert!(found.get("eventsDays").is_none() && found.get("id").is_none(), "{found}");

        let made = rig.put(SETTINGS, json!({ "eventsDays": 40, "answersDays": 7 })).await.expect(200);
        assert_eq!((&made["entities"][0]["action"], &made["entities"][0]["after"]["answersDays"]), (&json!("created"), &json!(7)));
        let tenant = TenantId::default_tenant();
        let applies = rig.app.retentions(std::slice::from_ref(&tenant)).await.expect("read")[&tenant];
        assert_eq!((applies.events_days, applies.answers_days, applies.deliveries_days), (Some(40), Some(7), Some(90)));
        for (body, pointer) in [
            (json!({ "eventsDays": 30 }), "/eventsDays"),
            (json!({ "businessTransactionsDays": 401 }), "/businessTransactionsDays"),
            (json!({ "deliveriesDays": 91 }), "/deliveriesDays"),
            (json!({ "attemptsDays": 31 }), "/attemptsDays"),
            (json!({ "answersDays": 31 }), "/answersDays"),
            (json!({ "idempotencyHours": 23 }), "/idempotencyHours"),
        ] {
            let refused = rig.put(SETTINGS, body).await.refused(422, "retention_out_of_range");
            assert_eq!(refused["errors"][0]["pointer"], pointer);
        }
        rig.call("PUT", SETTINGS, &[("if-match", "\"0\"")], Some(&json!({}))).await.refused(412, "stale_version");
        rig.call("PUT", SETTINGS, &[("if-match", "\"1\"")], Some(&json!({}))).await.expect(200);
        let found = rig.get(SETTINGS).await.expect(200);
        assert_eq!((&found["version"], found.get("eventsDays")), (&json!(2), None));
    }
}

/// Publishes and settles everything that waits.
async fn settle(rig: &Rig) -> Vec<Unpublished> {
    let relay = rig.store.acquire_lease("relay", "me", Duration::from_secs(60)).await.expect("asked").expect("free");
    let events = rig.store.unpublished(1_000).await.expect("read");
    let place = |(event, sequence): (&Unpublished, u64)| Published {
        sequence,
        position: event.position,
        slot: Slot::of(&event.tenant, &event.key),
    };
    let published: Vec<Published> = events.iter().zip(1..).map(place).collect();
    assert!(rig.store.mark_published(&relay, &published, published.len() as u64).await.expect("marked"));
    for slot in Slot::all() {
        let settled = Settled { sequence: published.len() as u64, generation: 0 };
        assert!(rig.store.save_settled(Reader::Slot(slot), settled).await.expect("saved"));
    }
    rig.store.forget_published(SystemClock.now() + TimeDelta::hours(1), 1_000).await.expect("forgotten");
    events
}

#[tokio::test]
async fn what_was_purged_answers_410_and_what_never_was_404() {
    for rig in Rig::everywhere().await {
        let account = rig.account(&rig.cycle(1).await).await;
        let events = settle(&rig).await;
        let one = delivery(DeliveryState::Succeeded, "default", false);
        let (event, position) = (events[0].id, events[0].position);
        let one = Delivery { id: DeliveryId::of(event, one.subscription), event, position, ..one };
        rig.store.record_deliveries(&[&one], &[], SystemClock.now()).await.expect("recorded");
        let queue = rig.create("/v1/queues", json!({ "name": "q", "mode": "in_order", "eventTypes": ["account.*"] })).await;
        let endpoint = rig.create("/v1/webhook-endpoints", json!({ "name": "e", "url": "https://hooks.example.com/" })).await;
        let action = json!({ "type": "webhook", "webhookEndpointId": endpoint });
        let subscription = rig.create("/v1/subscriptions", json!({ "name": "s", "queueId": queue, "action": action })).await;
        let page = rig.get("/v1/events?limit=1").await.expect(200);
        let cursor = page["nextCursor"].as_str().expect("more").to_owned();

        let transaction = events[0].transaction;
        let paths = [
            (format!("/v1/events/{event}"), "event_not_found"),
            (format!("/v1/events/{event}/explanation"), "event_not_found"),
            (format!("/v1/business-transactions/{transaction}"), "business_transaction_not_found"),
            (format!("/v1/deliveries/{}", one.id), "delivery_not_found"),
        ];
        for (path, _) in &paths {
            rig.get(path).await.expect(200);
        }
        let never: Vec<(String, &str)> = paths.iter().map(|(path, code)| (replaced(path, &fresh().to_string()), *code)).collect();
        let tenant = TenantId::default_tenant();
        let lease = rig.store.acquire_lease("retention", "me", Duration::from_secs(60)).await.expect("asked").expect("free");
        let until = SystemClock.now() + TimeDelta::hours(1);
        for kind in Kind::ALL {
            let range = Range { tenant: &tenant, until, after: None, limit: 256 };
            rig.store.purge(&lease, kind, &range).await.expect("purged").expect("the lease holds");
        }
        for (path, code) in &paths {
            let refused = rig.get(path).await.refused(410, "purged");
            assert!(refused["detail"].as_str().expect("a text").contains("retention"), "{refused}");
            // An id that is not one of the gateway's, and one that is younger than all that was purged.
            rig.get(&replaced(path, "0b5c3e1a-9f0e-4c55-8a2e-0d5c3e1a9f0e")).await.refused(404, code);
        }
        for (path, code) in never {
            rig.get(&path).await.refused(404, code);
        }
        rig.post(&format!("/v1/deliveries/{}/retry", one.id), json!({})).await.refused(410, "purged");
        let template = rig.get("/v1/notification-templates/predefined").await.expect(200)["items"][0]["id"].clone();
        let preview = format!("/v1/notification-templates/{}/preview", template.as_str().expect("an id"));
        rig.post(&preview, json!({ "eventId": event.to_string() })).await.refused(410, "purged");

        let rest = rig.get(&format!("/v1/events?limit=1&cursor={cursor}")).await.expect(200);
        assert_eq!((&rest["items"], rest.get("nextCursor")), (&json!([]), None));
        assert_eq!(rig.get(&format!("/v1/accounts/{account}")).await.expect(200)["id"], account.as_str(), "objects stay");

        let replay = |from: &str| json!({ "subscriptionId": subscription, "from": from, "dryRun": true });
        let refused = rig.post("/v1/replays", replay("2020-01-01T00:00:00Z")).await.refused(410, "purged");
        let first = refused["detail"].as_str().and_then(|text| text.strip_prefix("Events before ")?.split(' ').next()).expect("a moment");
        rig.post("/v1/replays", replay(first)).await.expect(202);
    }
}

/// The path with another id.
fn replaced(path: &str, id: &str) -> String {
    let parts: Vec<&str> = path.split('/').collect();
    parts.iter().enumerate().map(|(at, part)| if at == 3 { id } else { part }).collect::<Vec<_>>().join("/")
}
