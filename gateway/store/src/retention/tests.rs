//! What is purged, and each reason for which something stays.

use std::path::PathBuf;

use billwire_schemas::{
    clock::{Clock, SystemClock},
    delivery::{AttemptRecord, Delivery, DeliveryState, Published},
    ids::{DeliveryId, EventId, OrderingKey, QueueId, ReplayId, Slot, SubscriptionId, TransactionId, fresh},
};
use chrono::TimeDelta;
use sea_orm::{EntityTrait, IntoActiveModel};
use serde_json::json;

use super::*;
use crate::{
    delivery::held_queues::HeldQueue,
    entity::{attempt, business_transaction, delivery, event, idempotency, recipient},
    published::UNSETTLED,
    transaction::tests::store,
};

/// A store with events that are a hundred days old, and what belongs to them.
struct Old {
    store: Store,
    folder: PathBuf,
    lease: Lease,
    tenant: TenantId,
    queue: QueueId,
    at: Timestamp,
    now: Timestamp,
}

/// An event with its business transaction and its delivery.
struct One {
    event: EventId,
    transaction: TransactionId,
    delivery: DeliveryId,
    position: i64,
}

impl Drop for Old {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

impl Old {
    async fn new() -> Self {
        let (store, folder) = store().await;
        let lease = store.acquire_lease("retention", "me", Duration::from_secs(600)).await.expect("asked").expect("free");
        let now = SystemClock.now();
        let (tenant, queue) = (TenantId::default_tenant(), QueueId(fresh()));
        Self { store, folder, lease, tenant, queue, at: now - TimeDelta::days(100), now }
    }

    /// The `nth` event, with a delivery that has succeeded at the second attempt.
    async fn event(&self, nth: i64) -> One {
        let at = self.at + TimeDelta::seconds(nth);
        let id = uuid::Builder::from_unix_timestamp_millis(
            u64::try_from(at.timestamp_millis()).expect("late"),
            fresh().as_bytes()[6..].try_into().expect("ten"),
        );
        let (event, transaction, subscription) = (EventId(id.into_uuid()), TransactionId(fresh()), SubscriptionId(fresh()));
        let key: OrderingKey = format!("key-{nth}").parse().expect("a key");
        let (tenant, text) = (self.tenant.to_string(), || "x".to_owned());
        let at = micros(at);
        let row = business_transaction::Model {
            id: transaction.0,
            tenant: tenant.clone(),
            operation: text(),
            account_id: None,
            occurred_at: at,
            object_id: None,
            body: text(),
        };
        business_transaction::Entity::insert(row.into_active_model()).exec(&self.store.0.write).await.expect("a row");
        let row = event::ActiveModel {
            position: sea_orm::ActiveValue::NotSet,
            ..event::Model {
                position: 0,
                id: event.0,
                tenant,
                ordering_key: key.to_string(),
                sequence: 1,
                kind: text(),
                object_id: text(),
                transaction_id: transaction.0,
                occurred_at: at,
                recorded_at: at,
                body: text(),
                private: None,
            }
            .into_active_model()
        };
        let position = event::Entity::insert(row).exec(&self.store.0.write).await.expect("a row").last_insert_id;
        let one = One { event, transaction, delivery: DeliveryId::of(event, subscription), position };
        self.deliver(&one, key, subscription, moment(at)).await;
        one
    }

    async fn deliver(&self, one: &One, key: OrderingKey, subscription: SubscriptionId, at: Timestamp) {
        let attempt = |number, status, detail: &str| {
            let exchange =
                json!({ "url": "https://r.test/", "sent": [], "received": { "headers": [], "body": detail, "cut": false } }).to_string();
            let record =
                crate::delivery::deliveries::attempt_record(number, micros(at), 5, Some(status), detail.to_owned(), Some(&exchange));
            record.expect("an exchange")
        };
        let mut made = Delivery {
            id: one.delivery,
            tenant: self.tenant.clone(),
            event: one.event,
            event_type: "custom.noted".to_owned(),
            queue: self.queue,
            slot: Slot::of(&self.tenant, &key),
            subscription,
            replay: None,
            key,
            sequence: 1,
            position: one.position,
            state: DeliveryState::Waiting,
            attempts: 1,
            forgiven: 0,
            next_attempt_at: Some(at),
            last: Some(attempt(1, 500, "out of order")),
            created_at: at,
        };
        self.store.record_deliveries(&[&made], &[], at).await.expect("recorded");
        made.state = DeliveryState::Succeeded;
        made.last = Some(attempt(2, 200, "thanks"));
        made.attempts = 2;
        self.store.record_deliveries(&[], &[&made], at).await.expect("recorded");
    }

    async fn purge(&self, kind: Kind, days: i64) -> u64 {
        let (mut after, mut deleted) = (None, 0);
        loop {
            let range = Range { tenant: &self.tenant, until: self.now - TimeDelta::days(days), after, limit: 4 };
            let step = self.store.purge(&self.lease, kind, &range).await.expect("purged").expect("the lease holds");
            deleted += step.deleted;
            after = step.next;
            if after.is_none() {
                return deleted;
            }
        }
    }

    async fn execute(&self, sql: &str, values: Vec<Value>) {
        self.store.0.write.execute_raw(self.store.statement(sql, values)).await.expect(sql);
    }

    async fn has_event(&self, one: &One) -> bool {
        event::Entity::find_by_id(one.position).one(&self.store.0.write).await.expect("read").is_some()
    }

    async fn has_delivery(&self, one: &One) -> bool {
        delivery::Entity::find_by_id(one.delivery.0).one(&self.store.0.write).await.expect("read").is_some()
    }
}

#[tokio::test]
async fn what_is_old_goes_with_what_belongs_to_it_and_what_is_young_stays() {
    let old = Old::new().await;
    let mut all = Vec::new();
    for nth in 0..10 {
        all.push(old.event(nth).await);
    }
    let young = old.event(50 * 86_400).await;
    let ids: Vec<EventId> = all.iter().map(|one| one.event).collect();
    let (batch, _) = old.store.assign_to_warehouse(&ids, old.at).await.expect("assigned").expect("new");
    old.store.mark_batch_written(batch).await.expect("written");

    assert_eq!(old.purge(Kind::BusinessTransactions, 90).await, 0, "their events are there");
    assert_eq!(old.purge(Kind::Deliveries, 90).await, 10);
    let count = async |table: &str| -> i64 {
        let sql = old.store.statement(&format!("SELECT COUNT(*) AS n FROM {table}"), []);
        old.store.0.write.query_one_raw(sql).await.expect("read").expect("a row").try_get("", "n").expect("a number")
    };
    assert_eq!((count("delivery").await, count("attempt").await), (1, 1));
    assert_eq!(old.purge(Kind::Events, 90).await, 10);
    assert_eq!((count("event").await, count("warehouse_event").await, count("warehouse_batch").await), (1, 0, 1));
    assert_eq!(old.store.purge_batches(0, 10).await.expect("purged"), None);
    assert_eq!(count("warehouse_batch").await, 0);
    assert_eq!(old.purge(Kind::BusinessTransactions, 90).await, 10);
    assert!(old.has_event(&young).await && old.has_delivery(&young).await);

    for (kind, gone, there) in [
        (Kind::Events, all[9].event.0, young.event.0),
        (Kind::Deliveries, all[3].delivery.0, young.delivery.0),
        (Kind::BusinessTransactions, all[0].transaction.0, fresh()),
    ] {
        assert!(old.store.is_purged(&old.tenant, kind, gone).await.expect("read"), "{kind:?}");
        assert!(!old.store.is_purged(&old.tenant, kind, there).await.expect("read"), "{kind:?}");
        assert!(!old.store.is_purged(&"other".parse().expect("a tenant"), kind, gone).await.expect("read"), "{kind:?}");
    }
    let horizon = old.store.purge_horizon(&old.tenant, Kind::Events).await.expect("read").expect("purged");
    assert_eq!(horizon.before, old.at + TimeDelta::seconds(9) + TimeDelta::microseconds(1));
    assert!(old.store.purge_progress().await.expect("read").iter().all(|one| one.lag.is_zero()));
    assert_eq!(old.store.tenants_to_purge().await.expect("read"), std::slice::from_ref(&old.tenant));
}

#[tokio::test]
async fn an_event_that_is_owed_stays_until_it_is_not() {
    let old = Old::new().await;
    let mut held = Vec::new();
    for nth in 0..8 {
        held.push(old.event(nth).await);
    }
    let position = |nth: usize| held[nth].position;
    old.execute("INSERT INTO outbox (position) VALUES ($1)", vec![position(0).into()]).await;
    let relay = old.store.acquire_lease("relay", "me", Duration::from_secs(600)).await.expect("asked").expect("free");
    let slot = Slot::all().next().expect("a slot");
    let published = [Published { sequence: 1, position: position(1), slot }];
    assert!(old.store.mark_published(&relay, &published, 1).await.expect("marked"));
    old.execute(
        "INSERT INTO set_aside_event (position, tenant, ordering_key, size, set_aside_at, redrive) VALUES ($1, 'default', 'k', 1, 1, FALSE)",
        vec![position(2).into()],
    )
    .await;
    for (nth, state) in [(3, "waiting"), (4, "dead"), (5, "blocking")] {
        old.execute("UPDATE delivery SET state = $1 WHERE id = $2", vec![state.into(), held[nth].delivery.0.into()]).await;
    }
    let (batch, _) = old.store.assign_to_warehouse(&[held[6].event], old.at).await.expect("assigned").expect("new");
    assert_eq!(old.purge(Kind::Events, 90).await, 1, "only the last is owed to nobody");
    for one in &held[..7] {
        assert!(old.has_event(one).await);
    }
    assert_eq!(old.purge(Kind::BusinessTransactions, 90).await, 1);

    for table in UNSETTLED {
        old.execute(&format!("DELETE FROM {table}"), Vec::new()).await;
    }
    old.execute("UPDATE delivery SET state = 'discarded'", Vec::new()).await;
    old.store.mark_batch_written(batch).await.expect("written");
    assert_eq!(old.purge(Kind::Events, 90).await, 7);
}

#[tokio::test]
async fn events_that_a_held_queue_or_a_replay_needs_stay() {
    let old = Old::new().await;
    let mut all = Vec::new();
    for nth in 0..6 {
        all.push(old.event(nth).await);
    }
    let held = HeldQueue { queue: old.queue, tenant: old.tenant.clone(), position: all[4].position };
    old.store.hold_queues(&[held]).await.expect("held");
    let from = micros(old.at + TimeDelta::seconds(2));
    let replay = ReplayId(fresh());
    old.execute(
        "INSERT INTO replay (id, tenant, subscription_id, from_at, to_at, event_types, dry_run, state, cursor, last_position, looked_at, matched, \
         created_at) VALUES ($1, 'default', $1, $2, $2, '[]', FALSE, 'collecting', 0, 0, 0, 0, 0)",
        vec![replay.0.into(), from.into()],
    )
    .await;
    assert_eq!(old.purge(Kind::Deliveries, 90).await, 4, "without the deliveries, what the queue takes in again would be delivered twice");
    assert_eq!(old.purge(Kind::Events, 90).await, 2);
    assert!(!old.has_event(&all[1]).await && old.has_event(&all[2]).await);
    old.execute("UPDATE replay SET state = 'collected'", Vec::new()).await;
    assert_eq!(old.purge(Kind::Events, 90).await, 2);
    assert!(!old.has_event(&all[3]).await && old.has_event(&all[4]).await);
    old.store.forget_held_queue(old.queue).await.expect("forgotten");
    assert_eq!(old.purge(Kind::Events, 90).await, 2);
    assert_eq!(old.purge(Kind::Deliveries, 90).await, 2);
}

#[tokio::test]
async fn a_delivery_that_is_not_finished_or_may_be_taken_in_again_stays() {
    let old = Old::new().await;
    let mut all = Vec::new();
    for nth in 0..6 {
        all.push(old.event(nth).await);
    }
    for (nth, state) in [(0, "waiting"), (1, "dead"), (2, "blocking")] {
        old.execute("UPDATE delivery SET state = $1 WHERE id = $2", vec![state.into(), all[nth].delivery.0.into()]).await;
    }
    old.execute("INSERT INTO outbox (position) VALUES ($1)", vec![all[3].position.into()]).await;
    let lately = micros(old.now - TimeDelta::days(1));
    old.execute("UPDATE delivery SET updated_at = $1 WHERE id = $2", vec![lately.into(), all[4].delivery.0.into()]).await;
    assert_eq!(old.purge(Kind::Deliveries, 90).await, 1);
    assert!(!old.has_delivery(&all[5]).await);
    for one in &all[..5] {
        assert!(old.has_delivery(one).await);
    }
}

#[tokio::test]
async fn a_replay_stays_until_it_has_ended_and_its_counts_need_no_delivery() {
    let old = Old::new().await;
    let (replay, one) = (ReplayId(fresh()), old.event(0).await);
    old.execute(
        "INSERT INTO replay (id, tenant, subscription_id, from_at, to_at, event_types, dry_run, state, cursor, last_position, looked_at, matched, \
         created_at) VALUES ($1, 'default', $1, 0, 0, '[]', FALSE, 'collecting', 0, 0, 0, 0, $2)",
        vec![replay.0.into(), micros(old.at).into()],
    )
    .await;
    let lane = "UPDATE delivery SET lane_id = $1, state = 'discarded', updated_at = $2 WHERE id = $3";
    old.execute(lane, vec![replay.0.into(), micros(old.now).into(), one.delivery.0.into()]).await;
    assert_eq!(old.purge(Kind::Replays, 90).await, 0, "it is collecting");
    old.execute("UPDATE replay SET state = 'collected'", Vec::new()).await;
    assert_eq!(old.purge(Kind::Replays, 90).await, 0, "it counts a discarded delivery");
    for state in ["waiting", "dead"] {
        old.execute("UPDATE delivery SET state = $1", vec![state.into()]).await;
        assert_eq!(old.purge(Kind::Replays, 90).await, 0, "{state}");
    }
    old.execute("UPDATE delivery SET state = 'succeeded'", Vec::new()).await;
    assert_eq!(old.purge(Kind::Replays, 90).await, 1);
    assert!(old.store.is_purged(&old.tenant, Kind::Replays, replay.0).await.expect("read"));
}

#[tokio::test]
async fn texts_of_answers_attempts_and_replies_go_earlier() {
    let old = Old::new().await;
    let (one, waits) = (old.event(0).await, old.event(1).await);
    old.execute("UPDATE delivery SET state = 'waiting' WHERE id = $1", vec![waits.delivery.0.into()]).await;
    let recipient = recipient::Model {
        delivery_id: one.delivery.0,
        address: "a@example.com".into(),
        state: "sent".into(),
        status: None,
        detail: "ok".into(),
        at: 0,
    };
    recipient::Entity::insert(recipient.into_active_model()).exec(&old.store.0.write).await.expect("a row");
    let texts = async |one: &One| {
        let (found, attempts) = old.store.delivery(&old.tenant, one.delivery).await.expect("read").expect("there");
        let body = |attempt: &AttemptRecord| attempt.report.exchange.as_ref().and_then(|kept| Some(kept.received.as_ref()?.body.clone()));
        for attempt in &attempts {
            assert_eq!(body(attempt).unwrap_or_default(), attempt.report.detail, "what came back is kept as long");
        }
        let mut texts = vec![found.last.expect("an attempt").report.detail];
        texts.extend(attempts.into_iter().map(|attempt| attempt.report.detail));
        texts.extend(old.store.recipients(one.delivery).await.expect("read").into_iter().map(|(recipient, _)| recipient.detail));
        texts
    };
    assert_eq!(texts(&one).await, ["thanks", "out of order", "thanks", "ok"]);
    old.purge(Kind::Answers, 90).await;
    assert_eq!(texts(&one).await, ["", "", "", ""]);
    assert_eq!(texts(&waits).await, ["thanks", "out of order", "thanks"], "it is not finished");
    let reached = old.store.purge_reached(&old.tenant, Kind::Answers).await.expect("read");
    assert_eq!(reached, Some(old.now - TimeDelta::days(90)), "the next pass begins there");

    assert_eq!(old.purge(Kind::Attempts, 101).await, 0);
    assert_eq!(old.purge(Kind::Attempts, 90).await, 2);
    assert_eq!(attempt::Entity::find().all(&old.store.0.write).await.expect("read").len(), 0);

    for nth in 0..9 {
        let created_at = micros(if nth < 8 { old.at } else { old.now });
        let reply = idempotency::Model {
            tenant: old.tenant.to_string(),
            key: format!("k{nth}"),
            fingerprint: String::new(),
            status: 200,
            sealed: false,
            body: String::new(),
            created_at,
        };
        idempotency::Entity::insert(reply.into_active_model()).exec(&old.store.0.write).await.expect("a row");
    }
    assert_eq!(old.purge(Kind::Replies, 7).await, 8);
    assert_eq!(idempotency::Entity::find().all(&old.store.0.write).await.expect("read").len(), 1);
}

#[tokio::test]
async fn a_process_that_lost_its_lease_purges_nothing() {
    let old = Old::new().await;
    let one = old.event(0).await;
    old.store.release_lease(&old.lease).await.expect("released");
    old.store.acquire_lease("retention", "other", Duration::from_secs(60)).await.expect("asked").expect("free");
    for kind in [Kind::Events, Kind::Attempts] {
        let range = Range { tenant: &old.tenant, until: old.now, after: None, limit: 4 };
        assert_eq!(old.store.purge(&old.lease, kind, &range).await.expect("asked"), None);
    }
    assert!(old.has_event(&one).await);
}
