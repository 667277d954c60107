//! The worker of replays: one process at a time reads the events of each window and stores their deliveries, page by page.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use billwire_delivery::{
    event::Event,
    lease::{self, Leases},
    routing::Route,
    store::DeliveryStore,
};
use billwire_schemas::{
    clock::{Clock, ShiftedClock},
    expression::Scope,
    ids::{ReplayId, TenantId},
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

/// The replay of each tenant that was advanced last.
type Turns = HashMap<TenantId, ReplayId>;

/// Advances all replays, again and again.
async fn collect(delivery_store: &SqlDeliveryStore, clock: &ShiftedClock) -> Result<(), String> {
    let mut turns = Turns::new();
    loop {
        if !step(delivery_store, delivery_store.store(), clock, &mut turns).await? {
            sleep(IDLE).await;
        }
    }
}

/// Advances one replay of each tenant by a page; gives whether there is more to do at once.
async fn step(delivery_store: &SqlDeliveryStore, store: &Store, clock: &ShiftedClock, turns: &mut Turns) -> Result<bool, String> {
    let mut more = false;
    for of_tenant in in_turn(store.collecting_replays().await.map_err(text)?, turns) {
        let several = of_tenant.len() > 1;
        for replay in of_tenant {
            if !replay.dry_run && store.has_waiting(replay.id, WAITING_MAX).await.map_err(text)? {
                continue;
            }
            turns.insert(replay.tenant.clone(), replay.id);
            more |= advance(delivery_store, store, clock, replay).await? || several;
            break;
        }
    }
    Ok(more)
}

/// The replays by tenant, each tenant's beginning behind the one that was advanced last.
fn in_turn(replays: Vec<Replay>, turns: &mut Turns) -> Vec<Vec<Replay>> {
    let mut of: BTreeMap<TenantId, Vec<Replay>> = BTreeMap::new();
    for replay in replays {
        of.entry(replay.tenant.clone()).or_default().push(replay);
    }
    turns.retain(|tenant, _| of.contains_key(tenant));
    for (tenant, replays) in &mut of {
        let behind = turns.get(tenant).map_or(0, |last| replays.iter().take_while(|replay| replay.id.0 <= last.0).count());
        replays.rotate_left(behind);
    }
    of.into_values().collect()
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

#[cfg(test)]
mod tests {
    use billwire_schemas::{clock::Timestamp, ids::SubscriptionId};
    use uuid::Uuid;

    use super::*;

    fn replay(tenant: &str, id: u128) -> Replay {
        Replay {
            id: ReplayId(Uuid::from_u128(id)),
            tenant: tenant.parse().expect("a tenant"),
            subscription: SubscriptionId(Uuid::nil()),
            from: Timestamp::UNIX_EPOCH,
            to: Timestamp::UNIX_EPOCH,
            event_types: Vec::new(),
            dry_run: true,
            state: State::Collecting,
            cursor: 0,
            last_position: 0,
            looked_at: 0,
            matched: 0,
            created_at: Timestamp::UNIX_EPOCH,
        }
    }

    #[test]
    fn each_tenant_has_one_turn_a_round_and_its_replays_take_turns() {
        let all = || vec![replay("a", 1), replay("b", 2), replay("a", 3), replay("a", 4)];
        let first = |turns: &mut Turns| {
            let of: Vec<(String, u128)> = in_turn(all(), turns).iter().map(|of| (of[0].tenant.to_string(), of[0].id.0.as_u128())).collect();
            turns.extend(of.iter().map(|(tenant, id)| (tenant.parse().expect("a tenant"), ReplayId(Uuid::from_u128(*id)))));
            of.into_iter().map(|(_, id)| id).collect::<Vec<_>>()
        };
        let mut turns = Turns::new();
        let rounds: Vec<_> = (0..4).map(|_| first(&mut turns)).collect();
        assert_eq!(rounds, [[1, 2], [3, 2], [4, 2], [1, 2]]);
    }
}
