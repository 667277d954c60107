//! The worker of held queues: one process at a time reads from SQL what resumed queues are behind, page by page, and then lets them take in
//! events from the stream again.

use std::{collections::HashSet, sync::Arc, time::Duration};

use billwire_bus::Bus;
use billwire_delivery::{
    lease::{self, Leases},
    routing::{Queue, TenantRouting},
    store::DeliveryStore,
};
use billwire_schemas::{
    clock::{Clock, ShiftedClock, Timestamp},
    delivery::Delivery,
    ids::{QueueId, TenantId},
};
use billwire_store::{
    ConfigurationKind as Kind, Store, Unpublished,
    delivery::held_queues::{HeldQueue, WINDOW},
};
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};

use crate::{
    adapters::{
        delivery_store::{SqlDeliveryStore, event_of, text},
        endpoint_alerts,
    },
    domain,
};

/// How often resumed queues are looked for without a change of configuration in this process.
const IDLE: Duration = Duration::from_millis(500);
/// Deliveries of one queue that may wait before it goes on slowly.
const WAITING_MAX: u64 = 5_000;
/// The wait before it goes on then.
const SLOWLY: Duration = Duration::from_millis(250);

/// Lets resumed queues catch up, until `stop` turns true.
pub async fn run(delivery_store: SqlDeliveryStore, clock: Arc<ShiftedClock>, ttl: Duration, stop: watch::Receiver<bool>) {
    let leases: Arc<dyn Leases> = Arc::new(delivery_store.clone());
    lease::run(&leases, "held-queues", ttl, stop, |_| catch_up(&delivery_store, &clock)).await;
}

async fn catch_up(delivery_store: &SqlDeliveryStore, clock: &ShiftedClock) -> Result<(), String> {
    let mut configured = delivery_store.store().configured();
    let mut begun = HashSet::new();
    loop {
        configured.mark_unchanged();
        if !step(delivery_store, &mut begun, clock.now()).await? {
            let _ = timeout(IDLE, configured.changed()).await;
        }
    }
}

/// Advances each held queue that is not paused; gives whether there is more to do at once. `begun` are the queues that have begun to catch up.
///
/// A queue begins where the slots have settled everything, even if it passed nothing by there: of an ordering key whose later events it
/// takes in from SQL, it must not get an earlier one over the stream afterwards. What it has had already is recognised.
async fn step(delivery_store: &SqlDeliveryStore, begun: &mut HashSet<QueueId>, now: Timestamp) -> Result<bool, String> {
    let (store, mut more) = (delivery_store.store(), false);
    let held = store.held_queues().await.map_err(text)?;
    begun.retain(|queue| held.iter().any(|one| one.queue == *queue));
    if held.is_empty() {
        return Ok(false);
    }
    let routing = delivery_store.routing().await?;
    for one in held {
        let of_tenant = routing.tenants.get(&one.tenant);
        match of_tenant.and_then(|tenant| Some((tenant, tenant.queue(one.queue)?))) {
            None => store.forget_held_queue(one.queue).await.map_err(text)?,
            Some((_, queue)) if queue.paused => {
                begun.remove(&one.queue);
            }
            Some((_, queue)) if queue.in_order && one.position < i64::MAX && !begun.contains(&one.queue) => {
                let position = one.position.min(store.first_unsettled().await.map_err(text)?.unwrap_or(i64::MAX));
                store.hold_queues(&[HeldQueue { position, ..one.clone() }]).await.map_err(text)?;
                begun.insert(one.queue);
                more = true;
            }
            Some((tenant, queue)) => more |= advance(store, tenant, queue, one, now).await?,
        }
    }
    Ok(more)
}

/// Advances a queue by one window of positions, or releases it; gives whether it is still behind.
async fn advance(store: &Store, tenant: &TenantRouting, queue: &Queue, held: HeldQueue, now: Timestamp) -> Result<bool, String> {
    let deliveries_of = |events: Vec<Unpublished>| deliveries(tenant, queue, events, now);
    if store.release_queue(&held, deliveries_of, queue.in_order, now).await.map_err(text)? {
        return Ok(false);
    }
    // Not beyond what is settled: an event with a lower position could still be committed, and would be missed.
    let to = held.position.saturating_add(WINDOW).min(store.settled_position().await.map_err(text)? + 1);
    if to > held.position {
        let events = store.events_from(&held.tenant, held.position, to).await.map_err(text)?;
        let found = deliveries(tenant, queue, events, now);
        store.advance_held_queue(&held, to, found, queue.in_order, now).await.map_err(text)?;
        if store.depth(queue.id).await.map_err(text)?.waiting > WAITING_MAX {
            sleep(SLOWLY).await;
        }
    }
    Ok(true)
}

fn deliveries(tenant: &TenantRouting, queue: &Queue, events: Vec<Unpublished>, now: Timestamp) -> Vec<Delivery> {
    let registered = events.into_iter().filter(|event| queue.registered.takes(&event.kind)).map(event_of);
    registered
        .flat_map(|event| {
            let matches = tenant.matching.matches_in(queue.id, &event);
            matches.into_iter().map(|one| queue.delivery_of_match(&event, one, now)).collect::<Vec<_>>()
        })
        .collect()
}

/// The setting that is present once every queue takes in events by slots.
const BY_SLOTS: &str = "slots";
/// How many positions before the first event that a consumer had not acknowledged a queue begins again: the stream is in the order of positions
/// within each ordering key alone. What the queue has had already is recognised.
const MARGIN: i64 = 10_000;

/// Takes over from version 0.2, which had consumers for each queue and no slots in subjects: what those consumers had not acknowledged, each queue
/// takes in from SQL. Waits until a process has done so.
///
/// # Errors
/// When NATS or the database fails; text for the log.
pub async fn take_over(store: &Store, bus: &Bus, leases: &Arc<dyn Leases>, ttl: Duration) -> Result<(), String> {
    loop {
        if store.setting(BY_SLOTS).await.map_err(text)?.is_some() {
            return Ok(());
        }
        if let Some(lease) = leases.acquire_lease("take-over", ttl).await? {
            // Another process may have been first.
            let taken_over = match store.setting(BY_SLOTS).await.map_err(text)? {
                Some(_) => Ok(()),
                None => hold_all(store, bus).await,
            };
            leases.release_lease(&lease).await?;
            taken_over?;
        } else {
            sleep(IDLE).await;
        }
    }
}

async fn hold_all(store: &Store, bus: &Bus) -> Result<(), String> {
    let consumers = bus.queue_consumers().await.map_err(text)?;
    let tenants: Vec<TenantId> = store.configuration_changes().await.map_err(text)?.into_keys().collect();
    let mut queues: Vec<(QueueId, TenantId)> = Vec::new();
    for one in store.configurations_of::<domain::delivery::queue::Queue>(&tenants, Kind::Queue).await.map_err(text)? {
        queues.push((one.body.id, one.tenant));
    }
    queues.extend(tenants.iter().map(|tenant| (endpoint_alerts::queue_id(tenant), tenant.clone())));
    let mut held = Vec::new();
    for (queue, tenant) in queues {
        let own = consumers.iter().filter(|one| one.queue == queue.0);
        let first = own.map(|one| one.first_unacknowledged).min_by_key(|first| first.unwrap_or(i64::MAX));
        let position = match first {
            // Everything on the stream is acknowledged; what is not published yet gets subjects with slots.
            Some(None) => i64::MAX,
            Some(Some(position)) => (position - MARGIN).max(0),
            // No consumer: nothing was ever delivered, or the consumers were lost.
            None => 0,
        };
        held.push(HeldQueue { queue, tenant, position });
    }
    store.hold_queues(&held).await.map_err(text)?;
    let old: HashSet<&str> = consumers.iter().map(|one| one.name.as_str()).collect();
    for name in old {
        bus.delete_consumer(name).await.map_err(text)?;
    }
    if !held.is_empty() {
        tracing::info!(queues = held.len(), consumers = consumers.len(), "queues continue by slots; what they are behind is read from SQL");
    }
    store.set(BY_SLOTS, "1").await.map_err(text)
}
