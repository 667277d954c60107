//! The worker of replays: one process at a time reads the events of each window and stores their deliveries, page by page.

use std::{sync::Arc, time::Duration};

use billwire_delivery::{
    event::Event,
    lease::{self, Leases},
    routing::Route,
    store::DeliveryStore,
};
use billwire_schemas::{
    clock::{Clock, ShiftedClock},
    expression::Scope,
};
use billwire_store::{
    Store,
    delivery::replays::{Replay, State},
};
use tokio::{sync::watch, time::sleep};

use crate::adapters::delivery_store::{SqlDeliveryStore, event_of, text};

/// How often new replays are looked for while none is in progress.
const IDLE: Duration = Duration::from_millis(500);
/// Events examined in one step.
const PAGE: u64 = 500;
/// Deliveries of one replay that may wait at a time: a replay of a year must not crowd out current deliveries.
const WAITING_MAX: u64 = 5_000;

/// Works on replays until `stop` turns true.
pub async fn run(delivery_store: SqlDeliveryStore, clock: Arc<ShiftedClock>, ttl: Duration, stop: watch::Receiver<bool>) {
    let leases: Arc<dyn Leases> = Arc::new(delivery_store.clone());
    lease::run(&leases, "replays", ttl, stop, |_| collect(&delivery_store, &clock)).await;
}

/// Advances all replays, again and again.
async fn collect(delivery_store: &SqlDeliveryStore, clock: &ShiftedClock) -> Result<(), String> {
    loop {
        if !step(delivery_store, delivery_store.store(), clock).await? {
            sleep(IDLE).await;
        }
    }
}

/// Advances each replay by a page; gives whether there is more to do at once.
async fn step(delivery_store: &SqlDeliveryStore, store: &Store, clock: &ShiftedClock) -> Result<bool, String> {
    let mut more = false;
    for replay in store.collecting_replays().await.map_err(text)? {
        if !replay.dry_run && store.has_waiting(replay.id, WAITING_MAX).await.map_err(text)? {
            continue;
        }
        more |= advance(delivery_store, store, clock, replay).await?;
    }
    Ok(more)
}

async fn advance(delivery_store: &SqlDeliveryStore, store: &Store, clock: &ShiftedClock, mut replay: Replay) -> Result<bool, String> {
    let now = clock.now();
    let routing = delivery_store.routing().await?;
    let Some(Route { queue, subscription }) = routing.route(replay.subscription) else {
        // The subscription was deleted.
        let ended = Replay { state: State::Cancelled, ..replay };
        store.advance_replay(&ended, Vec::new(), false, now).await.map_err(text)?;
        return Ok(false);
    };
    let events: Vec<Event> = store.events_to_replay(&replay, PAGE).await.map_err(text)?.into_iter().map(event_of).collect();
    let last = events.len() < PAGE as usize;
    replay.cursor = if last { replay.last_position } else { events.last().map_or(replay.last_position, |event| event.position) };
    replay.looked_at += events.len() as u64;
    if last {
        replay.state = State::Collected;
    }
    let registered = |kind: &str| !subscription.chosen.is_empty() || queue.registered.takes(kind);
    let mut deliveries = Vec::new();
    for event in events {
        let named = replay.event_types.is_empty() || replay.event_types.contains(&event.kind);
        if !named || !subscription.chooses(&event.kind) || !registered(&event.kind) {
            continue;
        }
        let wanted = match &subscription.filter {
            None => true,
            // A replay delivers only what certainly matches; once the filter is corrected, the replay can be repeated.
            Some(filter) => match (filter, event.json()) {
                (Ok(filter), Ok(json)) => filter.holds(&Scope::of(&json)).unwrap_or(false),
                _ => false,
            },
        };
        if wanted {
            deliveries.push(queue.delivery(&event, subscription.id, Some(replay.id), now));
        }
    }
    replay.matched += deliveries.len() as u64;
    if replay.dry_run {
        deliveries.clear();
    }
    store.advance_replay(&replay, deliveries, queue.in_order, now).await.map_err(text)?;
    Ok(!last)
}
