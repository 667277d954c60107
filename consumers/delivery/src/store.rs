//! What the engine stores outside itself: configuration, deliveries and leases. `server` implements it over `store`.

use std::{collections::HashSet, sync::Arc};

use async_trait::async_trait;
use billwire_schemas::{
    clock::Timestamp,
    delivery::{Delivery, DeliveryState, Health, LaneCursor, LaneKey, PartitionId, Progress},
    events::selection::Selection,
    ids::{DeliveryId, EventId, OrderingKey, QueueId, ReplayId, SubscriptionId, TenantId},
};
use uuid::Uuid;

use crate::{
    event::{Event, Subscription},
    lease::Leases,
    limits::limiters::Target,
};

/// A queue with its subscriptions.
#[derive(Debug, Clone)]
pub struct Queue {
    /// Its id.
    pub id: QueueId,
    /// The tenant.
    pub tenant: TenantId,
    /// Whether each lane is delivered in order, one delivery at a time.
    pub in_order: bool,
    /// The event types registered on it.
    pub registered: Selection,
    /// Whether it is paused: nothing is pulled or attempted.
    pub paused: bool,
    /// The number of partitions; an ordering key belongs to one of them.
    pub partitions: u32,
    /// When it was created, by the machine's clock.
    pub created_at: Timestamp,
    /// Its subscriptions.
    pub subscriptions: Vec<Arc<Subscription>>,
    /// The targets of its subscriptions.
    pub targets: Vec<Arc<Target>>,
    /// The limits of all calls of the tenant together.
    pub tenant_limits: Arc<Target>,
}

impl Queue {
    /// The delivery of `event` to a subscription of the queue, or by a replay to it, before the first attempt.
    pub fn delivery(&self, event: &Event, subscription: SubscriptionId, replay: Option<ReplayId>, now: Timestamp) -> Delivery {
        Delivery {
            id: replay.map_or_else(|| DeliveryId::of(event.id, subscription), |replay| DeliveryId::of_replay(event.id, replay)),
            tenant: event.tenant.clone(),
            event: event.id,
            event_type: event.kind.clone(),
            queue: self.id,
            partition: event.key.partition(self.partitions),
            subscription,
            replay,
            key: event.key.clone(),
            sequence: event.sequence,
            position: event.position,
            state: DeliveryState::Waiting,
            attempts: 0,
            forgiven: 0,
            next_attempt_at: None,
            last: None,
            created_at: now,
        }
    }
}

/// All queues, and the revision of the configuration they were read at, or an earlier one.
#[derive(Debug, Clone, Default)]
pub struct RoutingConfig {
    /// Grows with each change of configuration.
    pub revision: i64,
    /// The queues.
    pub queues: Vec<Arc<Queue>>,
}

/// The storage of the engine. Errors are texts for the log; every call may be repeated.
#[async_trait]
pub trait DeliveryStore: Leases {
    /// The configuration.
    async fn routing_config(&self) -> Result<RoutingConfig, String>;
    /// The current revision of the configuration.
    async fn revision(&self) -> Result<i64, String>;
    /// Which of these deliveries are stored.
    async fn known(&self, ids: &[DeliveryId]) -> Result<HashSet<DeliveryId>, String>;
    /// Which of these lanes have waiting deliveries.
    async fn waiting_lanes(&self, lanes: &[LaneKey]) -> Result<HashSet<LaneKey>, String>;
    /// Records the state of deliveries, in one commit; a delivery in a final state does not change. `new` are those that are probably not
    /// stored yet: only a hint.
    async fn record(&self, new: &[&Delivery], known: &[&Delivery]) -> Result<(), String>;
    /// The owners of lanes with waiting deliveries: subscriptions and replays.
    async fn owners(&self, partition_id: PartitionId) -> Result<Vec<Uuid>, String>;
    /// Deliveries that are due: of each of these owners up to the given number, and only of events up to the outbox position `reached`.
    async fn due(&self, partition_id: PartitionId, owners: &[(Uuid, usize)], now: Timestamp, reached: i64)
    -> Result<Vec<Delivery>, String>;
    /// The deliveries that wait in each of these lanes, in order and up to `limit` of each; none behind one that blocks its lane.
    async fn lanes(&self, lanes: &[LaneKey], limit: u64) -> Result<Vec<Vec<Delivery>>, String>;
    /// Makes deliveries due that a stop between two records left waiting without a time: in an in-order queue the head of each lane, otherwise
    /// all. One step, from the start or from where the step before ended; gives where it ended, `None` after the last lane.
    async fn repair_lanes(
        &self,
        partition_id: PartitionId,
        in_order: bool,
        from: Option<LaneCursor>,
        now: Timestamp,
    ) -> Result<Option<LaneCursor>, String>;
    /// Events by id.
    async fn events(&self, ids: &[EventId]) -> Result<Vec<Event>, String>;
    /// The first events of a key strictly between two sequences, in order; none after the last.
    async fn events_between(&self, tenant: &TenantId, key: &OrderingKey, after: i64, before: i64) -> Result<Vec<Event>, String>;
    /// Stores the progress of a partition.
    async fn save_progress(&self, progress: Progress) -> Result<(), String>;
    /// The health of all targets that fail.
    async fn health(&self) -> Result<Vec<Health>, String>;
    /// Stores the health of targets that fail, and deletes that of those that no longer do.
    async fn save_health(&self, failing: &[Health], healed: &[Uuid]) -> Result<(), String>;
    /// Disables a target for this reason, and publishes an event about it.
    async fn give_up(&self, target: &Target, because: &str) -> Result<(), String>;
}
