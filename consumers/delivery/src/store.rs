//! What the engine keeps outside itself: configuration, deliveries and leases. `server` implements it over `store`.

use std::{collections::HashSet, sync::Arc, time::Duration};

use async_trait::async_trait;
use billwire_schemas::{
    clock::Timestamp,
    events::selection::Selection,
    ids::{DeliveryId, EventId, OrderingKey, QueueId, ReplayId, SubscriptionId, TenantId},
};

use uuid::Uuid;

use crate::{
    channel::Report,
    event::{Event, Subscription},
    limits::limiters::{Health, Target},
};

/// The lane of a delivery: one ordering key of one subscription, or of one replay to it.
pub type LaneKey = (Uuid, OrderingKey);
/// Where a step through all lanes ended: the owner and the key of the last one looked at, or an owner and nothing before its first.
pub type LaneCursor = (Uuid, String);

/// A queue with its subscriptions.
#[derive(Debug, Clone)]
pub struct Queue {
    /// Its id.
    pub id: QueueId,
    /// Whose it is.
    pub tenant: TenantId,
    /// Whether its lanes keep order.
    pub in_order: bool,
    /// The events registered on it.
    pub registered: Selection,
    /// Whether it rests.
    pub paused: bool,
    /// How many parts its keys are spread over.
    pub partitions: u32,
    /// When it was made, by the machine's clock.
    pub created_at: Timestamp,
    /// Who subscribed.
    pub subscriptions: Vec<Arc<Subscription>>,
    /// Whom they call.
    pub targets: Vec<Arc<Target>>,
    /// What all calls of the tenant together may be.
    pub tenant_limits: Arc<Target>,
}

/// All queues, and the revision of the configuration they were read at (or an earlier one).
#[derive(Debug, Clone, Default)]
pub struct RoutingConfig {
    /// Grows with each change of configuration.
    pub revision: i64,
    /// The queues.
    pub queues: Vec<Arc<Queue>>,
}

/// Where a delivery stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// To be tried, or behind another of its lane.
    Waiting,
    /// The receiver took it.
    Succeeded,
    /// Given up on.
    Dead,
    /// Given up on; its lane rests until a person acts.
    Blocking,
}

/// One try.
#[derive(Debug, Clone)]
pub struct AttemptRecord {
    /// Which, from 1.
    pub number: u32,
    /// When it began.
    pub at: Timestamp,
    /// How long it took.
    pub latency: Duration,
    /// How it went.
    pub report: Report,
}

/// One delivery as the delivery store keeps it.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Derived from event and subscription.
    pub id: DeliveryId,
    /// Whose it is.
    pub tenant: TenantId,
    /// The event owed.
    pub event: EventId,
    /// Its type.
    pub event_type: String,
    /// The queue it came through.
    pub queue: QueueId,
    /// Which part of the queue.
    pub partition: u32,
    /// To which subscription.
    pub subscription: SubscriptionId,
    /// The replay that brings the event anew, if one does.
    pub replay: Option<ReplayId>,
    /// The ordering key.
    pub key: OrderingKey,
    /// Sequence within the key.
    pub sequence: i64,
    /// Position in the outbox.
    pub position: i64,
    /// Where it stands.
    pub state: State,
    /// Tries made.
    pub attempts: u32,
    /// Those of them that count no more: a person had it tried anew after them.
    pub forgiven: u32,
    /// When it is tried next; absent behind another of its lane, and at the end.
    pub next_attempt_at: Option<Timestamp>,
    /// The latest try.
    pub last: Option<AttemptRecord>,
    /// When it was first seen.
    pub created_at: Timestamp,
    /// Whether the delivery store has probably not seen it yet: it came with a message and was asked for. Only a hint.
    pub new: bool,
}

impl Entry {
    /// Whose lane it is in: the subscription's, or that of the replay.
    pub fn owner(&self) -> Uuid {
        self.replay.map_or(self.subscription.0, |replay| replay.0)
    }
}

/// A lease held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// What it is for.
    pub name: String,
    /// Which process holds it.
    pub owner: String,
    /// Grows with each change of hands.
    pub fence: i64,
}

/// A partition of a queue.
#[derive(Debug, Clone, Copy)]
pub struct PartitionId {
    /// The queue.
    pub queue: QueueId,
    /// Which part of it.
    pub number: u32,
}

/// How a partition does.
#[derive(Debug, Clone, Copy)]
pub struct Progress {
    /// Which.
    pub partition_id: PartitionId,
    /// Messages on the stream that it has not taken in yet.
    pub pending: u64,
    /// Deliveries that succeeded in the latest minute.
    pub delivered: u64,
    /// Tries that failed in the latest minute.
    pub failed: u64,
    /// When it tells this.
    pub at: Timestamp,
}

/// The engine's memory. Errors are texts for the log; every call may be repeated.
#[async_trait]
pub trait DeliveryStore: Send + Sync + 'static {
    /// The configuration.
    async fn routing_config(&self) -> Result<RoutingConfig, String>;
    /// The revision of the configuration as of now.
    async fn revision(&self) -> Result<i64, String>;
    /// Which of these deliveries are known.
    async fn known(&self, ids: &[DeliveryId]) -> Result<HashSet<DeliveryId>, String>;
    /// Which of these lanes have deliveries waiting.
    async fn waiting_lanes(&self, lanes: &[LaneKey]) -> Result<HashSet<LaneKey>, String>;
    /// Records where deliveries stand, in one commit; one that ended is not touched again.
    async fn record(&self, entries: &[Entry]) -> Result<(), String>;
    /// Owners of lanes, subscriptions and replays, that have deliveries waiting.
    async fn owners(&self, partition_id: PartitionId) -> Result<Vec<Uuid>, String>;
    /// Deliveries that are due, of each of these owners up to so many, of events up to the outbox position `reached`.
    async fn due(&self, partition_id: PartitionId, owners: &[(Uuid, usize)], now: Timestamp, reached: i64) -> Result<Vec<Entry>, String>;
    /// What waits in each of these lanes, in order and up to so many of each.
    async fn lanes(&self, lanes: &[LaneKey], limit: u64) -> Result<Vec<Vec<Entry>>, String>;
    /// Makes what has no time due, where a stop between two records left it so: in an in-order queue the first of each lane, otherwise
    /// all. One step, from the start or from where the step before ended; gives where it ended, nothing once all has been looked at.
    async fn repair_lanes(
        &self,
        partition_id: PartitionId,
        in_order: bool,
        from: Option<LaneCursor>,
        now: Timestamp,
    ) -> Result<Option<LaneCursor>, String>;
    /// Events by id.
    async fn events(&self, ids: &[EventId]) -> Result<Vec<Event>, String>;
    /// Events of a key strictly between two sequences.
    async fn events_between(&self, tenant: &TenantId, key: &OrderingKey, after: i64, before: i64) -> Result<Vec<Event>, String>;
    /// Keeps what a partition tells of itself.
    async fn save_progress(&self, told: Progress) -> Result<(), String>;
    /// Who fails.
    async fn health(&self) -> Result<Vec<Health>, String>;
    /// Notes who fails, and who does not any more.
    async fn save_health(&self, failing: &[Health], healed: &[Uuid]) -> Result<(), String>;
    /// Has a target disabled for this reason, with an event that tells of it.
    async fn give_up(&self, target: &Target, because: &str) -> Result<(), String>;
    /// Takes a lease, if it is free.
    async fn acquire_lease(&self, name: &str, ttl: Duration) -> Result<Option<Lease>, String>;
    /// Prolongs a lease; `false`: it is lost.
    async fn renew_lease(&self, lease: &Lease, ttl: Duration) -> Result<bool, String>;
    /// Gives a lease back.
    async fn release_lease(&self, lease: &Lease) -> Result<(), String>;
}
