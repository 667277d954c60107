//! Reads from the delivery store, in tasks beside the partition's loop, so that no event waits while the backlog of another owner is read.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use billwire_schemas::{
    clock::Timestamp,
    delivery::{Delivery, LaneKey},
    ids::{DeliveryId, EventId, Slot},
};
use tokio::{
    task::{JoinError, JoinSet},
    time::sleep,
};
use uuid::Uuid;

use crate::{
    engine::{Engine, HeldBytes, InFlightBytes},
    event::Event,
    routing::Routing,
    store::{DeliveryStore, Due, DueOf},
};

/// Deliveries read at once from a lane.
const LANE_PAGE: u64 = 100;
/// The same for a slow receiver: what is read occupies room in memory.
const LANE_FEW: u64 = 8;
/// Lanes read by one task.
const LANES_MAX: usize = 64;
/// The pause between two steps of a repair: a precaution must not delay the reads of what is due.
const REPAIR_PAUSE: Duration = Duration::from_millis(50);

/// The events of some deliveries, and the memory each occupies.
pub(crate) type Events = HashMap<EventId, (Arc<Event>, Arc<HeldBytes>)>;

/// The result of a read.
pub(crate) enum Loaded {
    /// The owners with deliveries that wait for a time, and the earliest time of each.
    Owners(Vec<(Uuid, Timestamp)>),
    /// What is due of these owners, and its events, unless they are in order: their lanes are read next.
    Due(Vec<DueOf>, Due, Events),
    /// The read of the owners failed.
    OwnersFailed(String),
    /// The read of what is due of these owners failed.
    DueFailed(Vec<DueOf>, String),
    /// The deliveries that wait in lanes.
    Lanes(Vec<(LaneKey, Vec<Delivery>)>, Events),
    /// The repair of lanes has ended.
    Repaired,
    /// The read of lanes failed; they stay reserved for it, so the partition must start again.
    LanesFailed(String),
}

/// The reads in progress.
#[derive(Default)]
pub(crate) struct Reads {
    tasks: JoinSet<Loaded>,
    reading_owners: bool,
    /// A read of what is due is in progress.
    reading_due: bool,
    /// Deliveries released since that read began: it may still return their earlier state.
    released: HashSet<DeliveryId>,
    /// Lanes to read next, and whether only a few deliveries of each.
    queued_lanes: Vec<(LaneKey, bool)>,
    reading_lanes: bool,
    repairing: bool,
    /// A repair was requested while one was in progress.
    repair_again: bool,
}

impl Reads {
    /// Whether the owners may be read now.
    pub fn may_read_owners(&self) -> bool {
        !self.reading_owners
    }

    /// Starts to read the owners.
    pub fn owners(&mut self, engine: &Engine, slot: Slot) {
        self.reading_owners = true;
        let delivery_store = engine.delivery_store.clone();
        self.tasks.spawn(async move { delivery_store.owners(slot).await.map_or_else(Loaded::OwnersFailed, Loaded::Owners) });
    }

    /// Whether what is due may be read now: not while lanes are still queued.
    pub fn may_read_due(&self) -> bool {
        !self.reading_due && self.queued_lanes.is_empty()
    }

    /// Starts to read what is due of these owners.
    pub fn due(&mut self, engine: &Engine, slot: Slot, owners: Vec<DueOf>, routing: Arc<Routing>) {
        self.reading_due = true;
        self.released.clear();
        let (delivery_store, now, bytes) = (engine.delivery_store.clone(), engine.clock.now(), engine.in_flight_bytes.clone());
        self.tasks.spawn(async move {
            let read = async {
                let due = delivery_store.due(slot, &owners, now).await?;
                // Of those in order, whole lanes are read: what is due only says which.
                let apart = due.deliveries.iter().filter(|one| !routing.route(one.subscription).is_some_and(|route| route.queue.in_order));
                let events = events(&*delivery_store, apart, &bytes).await?;
                Ok((due, events))
            };
            match read.await {
                Ok((due, events)) => Loaded::Due(owners, due, events),
                Err(error) => Loaded::DueFailed(owners, error),
            }
        });
    }

    /// Makes deliveries due that a stop left without a time.
    pub fn repair_lanes(&mut self, engine: &Engine, slot: Slot, routing: &Arc<Routing>) {
        if self.repairing {
            self.repair_again = true;
            return;
        }
        self.repairing = true;
        let (delivery_store, clock, routing) = (engine.delivery_store.clone(), engine.clock.clone(), routing.clone());
        self.tasks.spawn(async move {
            let mut from = None;
            loop {
                match delivery_store.repair_lanes(slot, routing.clone(), from, clock.now()).await {
                    Ok(None) => return Loaded::Repaired,
                    Ok(place) => from = place,
                    Err(error) => {
                        tracing::warn!(%error, "lanes could not be repaired");
                        return Loaded::Repaired;
                    }
                }
                sleep(REPAIR_PAUSE).await;
            }
        });
    }

    /// A repair has ended; another one starts if it was requested meanwhile.
    pub fn repaired(&mut self, engine: &Engine, slot: Slot, routing: &Arc<Routing>) {
        self.repairing = false;
        if std::mem::take(&mut self.repair_again) {
            self.repair_lanes(engine, slot, routing);
        }
    }

    /// The read of what is due has ended.
    pub fn due_finished(&mut self) {
        self.reading_due = false;
    }

    /// A delivery is no longer in memory.
    pub fn release(&mut self, id: DeliveryId) {
        if self.reading_due {
            self.released.insert(id);
        }
    }

    /// Whether a delivery was released during the latest read of what is due.
    pub fn is_released(&self, id: DeliveryId) -> bool {
        self.released.contains(&id)
    }

    /// Queues the read of a lane, or of only a `few` deliveries of it.
    pub fn lane(&mut self, lane: LaneKey, few: bool) {
        self.queued_lanes.push((lane, few));
    }

    /// Starts to read queued lanes, a number at a time.
    pub fn start(&mut self, engine: &Engine) {
        let Some((_, few)) = self.queued_lanes.first().filter(|_| !self.reading_lanes) else { return };
        self.reading_lanes = true;
        let few = *few;
        let mut taken = 0;
        let lanes: Vec<LaneKey> = self
            .queued_lanes
            .extract_if(.., |(_, one)| {
                let take = *one == few && taken < LANES_MAX;
                taken += usize::from(take);
                take
            })
            .map(|(lane, _)| lane)
            .collect();
        let (delivery_store, bytes) = (engine.delivery_store.clone(), engine.in_flight_bytes.clone());
        self.tasks.spawn(async move {
            let read = async {
                let found = delivery_store.lanes(&lanes, if few { LANE_FEW } else { LANE_PAGE }).await?;
                let events = events(&*delivery_store, found.iter().flatten(), &bytes).await?;
                Ok(Loaded::Lanes(lanes.into_iter().zip(found).collect(), events))
            };
            read.await.unwrap_or_else(Loaded::LanesFailed)
        });
    }

    /// Resolves with the next result; `None` while nothing is read.
    pub async fn next(&mut self) -> Option<Result<Loaded, JoinError>> {
        let loaded = self.tasks.join_next().await;
        match &loaded {
            Some(Ok(Loaded::Lanes(..))) => self.reading_lanes = false,
            Some(Ok(Loaded::Owners(_) | Loaded::OwnersFailed(_))) => self.reading_owners = false,
            _ => {}
        }
        loaded
    }
}

async fn events(
    delivery_store: &dyn DeliveryStore,
    entries: impl Iterator<Item = &Delivery>,
    bytes: &Arc<InFlightBytes>,
) -> Result<Events, String> {
    let ids: Vec<EventId> = entries.map(|entry| entry.event).collect();
    if ids.is_empty() {
        return Ok(Events::new());
    }
    let found = delivery_store.events(&ids).await?;
    let held = |event: Event| {
        let held_bytes = bytes.hold(event.body.len());
        (event.id, (Arc::new(event), Arc::new(held_bytes)))
    };
    Ok(found.into_iter().map(held).collect())
}
