//! The worker behind replays: one process at a time looks for the events and notes that they are owed, page by page.

use std::time::Duration;

use billwire_delivery::{event::Event, store::DeliveryStore};
use billwire_schemas::{
    clock::{Clock, ShiftedClock},
    expression::Scope,
    lease::Lease,
};
use billwire_store::{
    Store,
    delivery::replays::{Replay, State},
};
use std::sync::Arc;
use tokio::{sync::watch, time::sleep};

use crate::adapters::delivery_store::{SqlDeliveryStore, event_of, text};

/// How often new replays are looked for.
const IDLE: Duration = Duration::from_millis(500);
/// Events looked at in one step.
const PAGE: u64 = 500;
/// Deliveries of a replay that wait at a time: a replay of a year must not fill the delivery store of today.
const WAITING_MAX: u64 = 5_000;
/// The lease's name.
const LEASE: &str = "replays";

/// Works on replays until `stop` turns true, holding the lease as `owner` for `ttl` at a time.
pub async fn run(
    delivery_store: SqlDeliveryStore,
    store: Store,
    clock: Arc<ShiftedClock>,
    owner: String,
    ttl: Duration,
    mut stop: watch::Receiver<bool>,
) {
    let mut lease: Option<Lease> = None;
    loop {
        let held = match lease.take() {
            Some(held) => store.renew_lease(&held, ttl).await.map(|kept| kept.then_some(held)),
            None => store.acquire_lease(LEASE, &owner, ttl).await,
        };
        let mut at_once = false;
        match held {
            Ok(Some(held)) => {
                lease = Some(held);
                match step(&delivery_store, &store, &clock).await {
                    Ok(more) => at_once = more,
                    Err(error) => tracing::warn!(error, "a replay could not go on; it will be tried again"),
                }
            }
            Ok(None) => {}
            Err(error) => tracing::warn!(%error, "the lease on replays could not be asked for"),
        }
        tokio::select! {
            _ = stop.changed() => break,
            () = sleep(if at_once { Duration::ZERO } else { IDLE }) => {}
        }
    }
    if let Some(lease) = lease
        && let Err(error) = store.release_lease(&lease).await
    {
        tracing::debug!(%error, "the lease on replays was not given back; it runs out by itself");
    }
}

/// Takes each replay a page further; gives whether there is more to do at once.
async fn step(delivery_store: &SqlDeliveryStore, store: &Store, clock: &ShiftedClock) -> Result<bool, String> {
    let mut more = false;
    for replay in store.collecting_replays().await.map_err(text)? {
        if !replay.dry_run && store.tally(replay.id).await.map_err(text)?.waiting >= WAITING_MAX {
            continue;
        }
        more |= advance(delivery_store, store, clock, replay).await?;
    }
    Ok(more)
}

async fn advance(delivery_store: &SqlDeliveryStore, store: &Store, clock: &ShiftedClock, mut replay: Replay) -> Result<bool, String> {
    let now = clock.now();
    let routing_config = delivery_store.routing_config().await?;
    let found = routing_config.queues.iter().find_map(|queue| {
        let subscription = queue.subscriptions.iter().find(|one| one.id == replay.subscription)?;
        Some((queue.clone(), subscription.clone()))
    });
    let Some((queue, subscription)) = found else {
        // The subscription is gone, and with it who it was for.
        let ended = Replay { state: State::Cancelled, ..replay };
        store.advance_replay(&ended, Vec::new(), now).await.map_err(text)?;
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
            // A filter that fails now is told of when it is mended and the replay is made again; a replay sends what surely matches.
            Some(filter) => match (filter, event.json()) {
                (Ok(filter), Ok(json)) => filter.holds(&Scope::of(&json)).unwrap_or(false),
                _ => false,
            },
        };
        if wanted {
            deliveries.push(event.delivery(&queue, subscription.id, Some(replay.id), now));
        }
    }
    replay.matched += deliveries.len() as u64;
    if replay.dry_run {
        deliveries.clear();
    }
    store.advance_replay(&replay, deliveries, now).await.map_err(text)?;
    Ok(!last)
}
