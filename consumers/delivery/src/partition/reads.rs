//! Reading from the delivery store beside the partition's own loop, so that nobody's event waits while another's backlog is read.

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

use crate::{event::Event, store::DeliveryStore, supervisor::Engine};

/// Deliveries loaded at once from a lane.
const LANE_PAGE: u64 = 100;
/// The same of a receiver that is slow: what is loaded takes room in hand.
const LANE_FEW: u64 = 8;
/// Lanes read by one task.
const LANES_MAX: usize = 64;
/// Between two steps of mending: what is looked at only in case must not keep the delivery store from what is due.
const MEND_PAUSE: Duration = Duration::from_millis(50);

/// The events of some entries.
pub(crate) type Events = HashMap<EventId, Arc<Event>>;

/// What the delivery store said.
pub(crate) enum Loaded {
    /// Who has something waiting.
    Owners(Vec<Uuid>),
    /// What is due; with its events where lanes do not matter.
    Due {
        /// Of owners in turn.
        due: Vec<Delivery>,
        /// An owner has all it has room for: there may be more.
        more: bool,
        /// Their events.
        events: Events,
    },
    /// The delivery store did not say what is due.
    Unknown(String),
    /// What waits in lanes.
    Lanes(Vec<(LaneKey, Vec<Delivery>)>, Events),
    /// What had no time has one.
    Mended,
    /// The delivery store did not say what waits in lanes that are held for it.
    Failed(String),
}

/// What is being read.
#[derive(Default)]
pub(crate) struct Reads {
    tasks: JoinSet<Loaded>,
    /// A look for what is due is under way.
    looking: bool,
    /// What was let go of since that look began: it may still find it as it was.
    released: HashSet<DeliveryId>,
    /// Lanes to be read next, and whether only a little of each; they are held.
    wanted: Vec<(LaneKey, bool)>,
    reading_lanes: bool,
    mending: bool,
    /// Mending was asked for while it was under way.
    mend_again: bool,
}

impl Reads {
    /// Begins to look for what is due, unless a look is under way or what it found is still to be read.
    pub fn look(&mut self, engine: &Engine, partition_id: PartitionId) {
        if self.looking || !self.wanted.is_empty() {
            return;
        }
        self.looking = true;
        self.released.clear();
        let delivery_store = engine.delivery_store.clone();
        self.tasks.spawn(async move { delivery_store.owners(partition_id).await.map_or_else(Loaded::Unknown, Loaded::Owners) });
    }

    /// Goes on with what is due of these owners, up to so many of each; where lanes matter, of events up to the position `reached`.
    pub fn due(&mut self, engine: &Engine, partition_id: PartitionId, rooms: Vec<(Uuid, usize)>, in_order: bool, reached: i64) {
        let (delivery_store, now) = (engine.delivery_store.clone(), engine.clock.now());
        self.tasks.spawn(async move {
            let read = async {
                let due = delivery_store.due(partition_id, &rooms, now, if in_order { reached } else { i64::MAX }).await?;
                // In order, lanes are read: what is due only says which.
                let events = if in_order { Events::new() } else { events(&*delivery_store, due.iter()).await? };
                // One is what is asked for to find out whether a receiver is back.
                let full = |(owner, room): &(Uuid, usize)| *room > 1 && due.iter().filter(|entry| entry.owner() == *owner).count() >= *room;
                let more = rooms.iter().any(full);
                Ok(Loaded::Due { due, more, events })
            };
            read.await.unwrap_or_else(Loaded::Unknown)
        });
    }

    /// Gives a time to what a stop left without one.
    pub fn repair_lanes(&mut self, engine: &Engine, partition_id: PartitionId, in_order: bool) {
        if self.mending {
            self.mend_again = true;
            return;
        }
        self.mending = true;
        let (delivery_store, clock) = (engine.delivery_store.clone(), engine.clock.clone());
        self.tasks.spawn(async move {
            let mut from = None;
            loop {
                match delivery_store.repair_lanes(partition_id, in_order, from, clock.now()).await {
                    Ok(None) => return Loaded::Mended,
                    Ok(place) => from = place,
                    Err(error) => {
                        tracing::warn!(%error, "lanes could not be mended");
                        return Loaded::Mended;
                    }
                }
                sleep(MEND_PAUSE).await;
            }
        });
    }

    /// Mending is over; it begins anew if that was asked for meanwhile.
    pub fn repaired(&mut self, engine: &Engine, partition_id: PartitionId, in_order: bool) {
        self.mending = false;
        if std::mem::take(&mut self.mend_again) {
            self.repair_lanes(engine, partition_id, in_order);
        }
    }

    /// The look is over.
    pub fn looked(&mut self) {
        self.looking = false;
    }

    /// Notes that a delivery is not in hand any more.
    pub fn release(&mut self, id: DeliveryId) {
        if self.looking {
            self.released.insert(id);
        }
    }

    /// Whether a delivery was let go of while the look was under way.
    pub fn is_released(&self, id: DeliveryId) -> bool {
        self.released.contains(&id)
    }

    /// Has a lane read that is held for it, or only a `few` deliveries of it.
    pub fn want(&mut self, lane: LaneKey, few: bool) {
        self.wanted.push((lane, few));
    }

    /// Starts to read the lanes that are wanted, some at a time.
    pub fn start(&mut self, engine: &Engine) {
        let Some((_, few)) = self.wanted.first().filter(|_| !self.reading_lanes) else { return };
        self.reading_lanes = true;
        let few = *few;
        let mut taken = 0;
        let lanes: Vec<LaneKey> = self
            .wanted
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
            read.await.unwrap_or_else(Loaded::Failed)
        });
    }

    /// Resolves with what the delivery store said next; never while nothing is being read.
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
