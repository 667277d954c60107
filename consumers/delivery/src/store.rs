//! What the engine stores outside itself: configuration, deliveries and leases. `server` implements it over `store`.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use async_trait::async_trait;
use billwire_schemas::{
    clock::Timestamp,
    delivery::{Delivery, Health, LaneCursor, LaneKey, Progress},
    ids::{DeliveryId, EventId, OrderingKey, QueueId, Slot, TenantId},
};
use uuid::Uuid;

use crate::{
    event::Event,
    lease::Leases,
    limits::limiter::Target,
    routing::{Revision, Routing},
    stream_records::StreamRecords,
};

/// An owner of lanes whose due deliveries are read.
#[derive(Debug, Clone, Copy)]
pub struct DueOf {
    /// The subscription or replay.
    pub owner: Uuid,
    /// Up to this many deliveries.
    pub room: usize,
    /// Only of events up to this outbox position.
    pub reached: i64,
}

/// What is due.
#[derive(Debug, Default)]
pub struct Due {
    /// The deliveries that are due, owner by owner.
    pub deliveries: Vec<Delivery>,
    /// When the next delivery of each owner is due, after those that were due already.
    pub next: HashMap<Uuid, Timestamp>,
}

/// What is stored of the deliveries that events cause.
#[derive(Debug, Default, Clone)]
pub struct InStore {
    /// The revision of the configuration.
    pub revision: Revision,
    /// Deliveries that are stored.
    pub known: HashSet<DeliveryId>,
    /// Lanes with waiting deliveries.
    pub waiting: HashSet<LaneKey>,
}

/// The storage of the engine. Errors are texts for the log; every call may be repeated.
#[async_trait]
pub trait DeliveryStore: Leases + StreamRecords {
    /// The configuration.
    async fn routing(&self) -> Result<Arc<Routing>, String>;
    /// The current revision of the configuration.
    async fn revision(&self) -> Result<Revision, String>;
    /// The revision of the configuration, which of these deliveries are stored, and, read no earlier, which of these lanes have waiting
    /// deliveries.
    async fn in_store(&self, ids: &[DeliveryId], lanes: &[LaneKey]) -> Result<InStore, String>;
    /// Records the state of deliveries, in one commit; a delivery in a final state does not change. `new` are those that are probably not
    /// stored yet: only a hint.
    async fn record(&self, new: &[&Delivery], known: &[&Delivery]) -> Result<(), String>;
    /// Records that queues are behind: each takes in the events from this outbox position on later, from SQL. `false`: one of the queues is
    /// not held any more, and nothing was recorded; the caller reads the configuration again.
    async fn hold_back(&self, from: &HashMap<QueueId, i64>) -> Result<bool, String>;
    /// The owners with deliveries that wait for a time, and the earliest time of each.
    async fn owners(&self, slot: Slot) -> Result<Vec<(Uuid, Timestamp)>, String>;
    /// Deliveries of these owners that are due, the longest due first.
    async fn due(&self, slot: Slot, owners: &[DueOf], now: Timestamp) -> Result<Due, String>;
    /// The deliveries that wait in each of these lanes, in order and up to `limit` of each; none behind one that blocks its lane.
    async fn lanes(&self, lanes: &[LaneKey], limit: u64) -> Result<Vec<Vec<Delivery>>, String>;
    /// Makes deliveries due that a stop between two records left waiting without a time: in order the head of each lane, otherwise all. One
    /// step, from the start or from where the step before ended; gives where it ended, `None` after the last lane.
    async fn repair_lanes(
        &self,
        slot: Slot,
        routing: Arc<Routing>,
        from: Option<LaneCursor>,
        now: Timestamp,
    ) -> Result<Option<LaneCursor>, String>;
    /// Events by id.
    async fn events(&self, ids: &[EventId]) -> Result<Vec<Event>, String>;
    /// The first events of a key strictly between two sequences, in order; none after the last.
    async fn events_between(&self, tenant: &TenantId, key: &OrderingKey, after: i64, before: i64) -> Result<Vec<Event>, String>;
    /// Stores the progress of a slot.
    async fn save_progress(&self, progress: Vec<Progress>) -> Result<(), String>;
    /// The health of all targets that fail.
    async fn health(&self) -> Result<Vec<Health>, String>;
    /// Stores the health of targets that fail, and deletes that of those that no longer do.
    async fn save_health(&self, failing: &[Health], healed: &[Uuid]) -> Result<(), String>;
    /// Disables a target for this reason, and publishes an event about it.
    async fn give_up(&self, target: &Target, because: &str) -> Result<(), String>;
}
