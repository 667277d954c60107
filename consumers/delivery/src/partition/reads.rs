//! Reads from the delivery store, in tasks beside the partition's loop, so that no event waits while the backlog of another owner is read.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use billwire_schemas::{
    delivery::{Delivery, LaneKey, PartitionId},
    ids::{DeliveryId, EventId},
};
use tokio::{
    task::{JoinError, JoinSet},
    time::sleep,
};
use uuid::Uuid;

use crate::{engine::Engine, event::Event, store::DeliveryStore};

/// Deliveries read at once from a lane.
const LANE_PAGE: u64 = 100;
/// The same for a slow receiver: what is read occupies room in memory.
const LANE_FEW: u64 = 8;
/// Lanes read by one task.
const LANES_MAX: usize = 64;
/// The pause between two steps of a repair: a precaution must not delay the reads of what is due.
const REPAIR_PAUSE: Duration = Duration::from_millis(50);

/// The events of some deliveries.
pub(crate) type Events = HashMap<EventId, Arc<Event>>;

/// The result of a read.
pub(crate) enum Loaded {
    /// The owners with waiting deliveries.
    Owners(Vec<Uuid>),
    /// What is due.
    Due {
        /// The deliveries, owner by owner.
        due: Vec<Delivery>,
        /// Whether an owner filled its room: there may be more.
        more: bool,
        /// Their events; none in an in-order queue, which reads lanes next.
        events: Events,
    },
    /// The read of what is due failed.
    DueFailed(String),
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
    /// Starts a read of what is due with its first part, the owners; unless one is in progress, or lanes are still queued.
    pub fn owners(&mut self, engine: &Engine, partition_id: PartitionId) {
        if self.reading_due || !self.queued_lanes.is_empty() {
            return;
        }
        self.reading_due = true;
        self.released.clear();
        let delivery_store = engine.delivery_store.clone();
        self.tasks.spawn(async move { delivery_store.owners(partition_id).await.map_or_else(Loaded::DueFailed, Loaded::Owners) });
    }

    /// Continues with the deliveries of these owners that are due, up to the given number of each; in an in-order queue only of events up to
    /// the position `reached`.
    pub fn due(&mut self, engine: &Engine, partition_id: PartitionId, rooms: Vec<(Uuid, usize)>, in_order: bool, reached: i64) {
        let (delivery_store, now) = (engine.delivery_store.clone(), engine.clock.now());
        self.tasks.spawn(async move {
            let read = async {
                let due = delivery_store.due(partition_id, &rooms, now, if in_order { reached } else { i64::MAX }).await?;
                // An in-order queue reads whole lanes: what is due only says which.
                let events = if in_order { Events::new() } else { events(&*delivery_store, due.iter()).await? };
                // A room of one is a probe.
                let full = |(owner, room): &(Uuid, usize)| *room > 1 && due.iter().filter(|entry| entry.owner() == *owner).count() >= *room;
                let more = rooms.iter().any(full);
                Ok(Loaded::Due { due, more, events })
            };
            read.await.unwrap_or_else(Loaded::DueFailed)
        });
    }

    /// Makes deliveries due that a stop left without a time.
    pub fn repair_lanes(&mut self, engine: &Engine, partition_id: PartitionId, in_order: bool) {
        if self.repairing {
            self.repair_again = true;
            return;
        }
        self.repairing = true;
        let (delivery_store, clock) = (engine.delivery_store.clone(), engine.clock.clone());
        self.tasks.spawn(async move {
            let mut from = None;
            loop {
                match delivery_store.repair_lanes(partition_id, in_order, from, clock.now()).await {
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
    pub fn repaired(&mut self, engine: &Engine, partition_id: PartitionId, in_order: bool) {
        self.repairing = false;
        if std::mem::take(&mut self.repair_again) {
            self.repair_lanes(engine, partition_id, in_order);
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
        let delivery_store = engine.delivery_store.clone();
        self.tasks.spawn(async move {
            let read = async {
                let found = delivery_store.lanes(&lanes, if few { LANE_FEW } else { LANE_PAGE }).await?;
                let events = events(&*delivery_store, found.iter().flatten()).await?;
                Ok(Loaded::Lanes(lanes.into_iter().zip(found).collect(), events))
            };
            read.await.unwrap_or_else(Loaded::LanesFailed)
        });
    }

    /// Resolves with the next result; `None` while nothing is read.
    pub async fn next(&mut self) -> Option<Result<Loaded, JoinError>> {
        let loaded = self.tasks.join_next().await;
        if matches!(loaded, Some(Ok(Loaded::Lanes(..)))) {
            self.reading_lanes = false;
        }
        loaded
    }
}

async fn events(delivery_store: &dyn DeliveryStore, entries: impl Iterator<Item = &Delivery>) -> Result<Events, String> {
    let ids: Vec<EventId> = entries.map(|entry| entry.event).collect();
    if ids.is_empty() {
        return Ok(Events::new());
    }
    Ok(delivery_store.events(&ids).await?.into_iter().map(|event| (event.id, Arc::new(event))).collect())
}
