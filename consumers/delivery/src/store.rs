//! What the engine keeps outside itself: configuration, deliveries and leases. `server` implements it over `store`.

use std::{collections::HashSet, sync::Arc, time::Duration};

use async_trait::async_trait;
use billwire_schemas::{
    clock::Timestamp,
    delivery::{Delivery, Health, LaneCursor, LaneKey, PartitionId, Progress},
    events::selection::Selection,
    ids::{DeliveryId, EventId, OrderingKey, QueueId, TenantId},
    lease::Lease,
};
use uuid::Uuid;

use crate::{
    event::{Event, Subscription},
    limits::limiters::Target,
};

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
    /// Records the state of deliveries, in one commit; a delivery in a final state does not change. `new` are those that are probably not
    /// stored yet: only a hint.
    async fn record(&self, new: &[&Delivery], known: &[&Delivery]) -> Result<(), String>;
    /// Owners of lanes, subscriptions and replays, that have deliveries waiting.
    async fn owners(&self, partition_id: PartitionId) -> Result<Vec<Uuid>, String>;
    /// Deliveries that are due, of each of these owners up to so many, of events up to the outbox position `reached`.
    async fn due(&self, partition_id: PartitionId, owners: &[(Uuid, usize)], now: Timestamp, reached: i64)
    -> Result<Vec<Delivery>, String>;
    /// What waits in each of these lanes, in order and up to so many of each.
    async fn lanes(&self, lanes: &[LaneKey], limit: u64) -> Result<Vec<Vec<Delivery>>, String>;
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
    async fn save_progress(&self, progress: Progress) -> Result<(), String>;
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
