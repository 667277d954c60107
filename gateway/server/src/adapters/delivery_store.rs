//! The storage of the delivery engine, and the configuration of the channels, over `store`. It only translates and caches.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use billwire_app::App;
use billwire_delivery::{
    event::{self, Event},
    lease::Leases,
    limits::limiters::Target,
    matching::Matching,
    store::{DeliveryStore, RoutingConfig},
};
use billwire_email::{Readers, SmtpAccount};
use billwire_schemas::{
    clock::{Clock, SystemClock, Timestamp},
    delivery::{Delivery, Health, LaneCursor, LaneKey, PartitionId, Progress},
    ids::{DeliveryId, EventId, NotificationTemplateId, OrderingKey, QueueId, SmtpAccountId, SubscriptionId, TenantId, WebhookEndpointId},
    lease::Lease,
    template::Translated,
};
use billwire_store::{ConfigurationKind as Kind, Store, Unpublished};
use billwire_webhook::Endpoint;
use uuid::Uuid;

use crate::{
    adapters::{
        endpoint_alerts,
        routing_config::{self, ActionOf, Limits},
    },
    domain,
};

/// The store as the consumers see it.
#[derive(Clone)]
pub struct SqlDeliveryStore {
    store: Store,
    app: App,
    limits: Limits,
    owner: String,
    action_of: ActionOf,
    cache: Arc<Mutex<ConfigurationCache>>,
}

/// What a compiled subscription depends on: its version, and the default SMTP account of its tenant.
type CompiledFrom = (i64, Option<SmtpAccountId>);

/// What was read of one revision of the configuration, so that no attempt reads configuration or opens secrets again.
#[derive(Default)]
pub(crate) struct ConfigurationCache {
    revision: i64,
    routing_config: Option<RoutingConfig>,
    /// Compiled subscriptions; kept over revisions.
    compiled: HashMap<SubscriptionId, (CompiledFrom, Arc<event::Subscription>)>,
    /// The matching of queues that events are forwarded to.
    forwarded: HashMap<QueueId, Matching>,
    pub endpoints: HashMap<WebhookEndpointId, Option<Arc<Endpoint>>>,
    pub accounts: HashMap<SmtpAccountId, Option<Arc<SmtpAccount>>>,
    pub templates: HashMap<NotificationTemplateId, Option<Arc<Translated>>>,
    pub readers: HashMap<TenantId, Arc<Readers>>,
}

pub(crate) fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

impl SqlDeliveryStore {
    /// Over `store`, with `owner` as the owner of leases; use cases go through `app`, and `action_of` translates configured actions for channels.
    pub fn new(store: Store, app: App, limits: Limits, owner: String, action_of: ActionOf) -> Self {
        Self { store, app, limits, owner, action_of, cache: Arc::default() }
    }

    pub(crate) fn with_cache<T>(&self, of: impl FnOnce(&mut ConfigurationCache) -> T) -> T {
        of(&mut self.cache.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Clears the cache if the configuration has changed.
    fn at_revision(&self, revision: i64) {
        let changed = self.with_cache(|l| {
            let changed = l.revision != revision;
            if changed {
                let compiled = std::mem::take(&mut l.compiled);
                *l = ConfigurationCache { revision, compiled, ..ConfigurationCache::default() };
            }
            changed
        });
        // Another process may have changed it. Partitions that wait for nothing else, such as those of a paused queue, must learn of it.
        if changed {
            self.store.report_configured();
        }
    }
}

impl SqlDeliveryStore {
    /// The store.
    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    /// The use cases.
    pub(crate) fn app(&self) -> &App {
        &self.app
    }

    /// Stores a delivery for each subscription of `queue` that `event` matches. Gives how many; `None`: there is no such queue.
    ///
    /// # Errors
    /// Text for the log; nothing was stored.
    pub async fn forward(&self, event: &Event, queue: QueueId) -> Result<Option<usize>, String> {
        let routing_config = self.routing_config().await?;
        let Some(to) = routing_config.queues.iter().find(|one| one.id == queue && one.tenant == event.tenant) else { return Ok(None) };
        let wanted = self.with_cache(|l| l.forwarded.entry(queue).or_insert_with(|| Matching::of(to.clone())).matches_forwarded(event));
        let now = SystemClock.now();
        // A filter that fails is evaluated again, and reported, at the attempt through the other queue.
        let deliveries: Vec<Delivery> = wanted.iter().map(|(subscription, _)| to.delivery(event, subscription.id, None, now)).collect();
        let count = deliveries.len();
        if count > 0 {
            self.store.enqueue(deliveries, now).await.map_err(text)?;
        }
        Ok(Some(count))
    }
}

pub(crate) fn event_of(row: Unpublished) -> Event {
    Event {
        id: row.id,
        tenant: row.tenant,
        kind: row.kind,
        key: row.key,
        sequence: row.sequence,
        position: row.position,
        body: row.body.into(),
    }
}

#[async_trait]
impl DeliveryStore for SqlDeliveryStore {
    async fn routing_config(&self) -> Result<RoutingConfig, String> {
        // The revision first: after a change in between, the routing config is newer than its revision says, and is read again.
        let revision = self.revision().await?;
        if let Some(routing_config) = self.with_cache(|l| l.routing_config.clone()) {
            return Ok(routing_config);
        }
        let mut queues = self.store.all_configurations::<domain::delivery::queue::Queue>(Kind::Queue).await.map_err(text)?;
        let subscriptions =
            self.store.all_configurations::<domain::delivery::subscription::Subscription>(Kind::Subscription).await.map_err(text)?;
        let endpoints = self
            .store
            .all_configurations::<domain::delivery::webhook_endpoint::WebhookEndpoint>(Kind::WebhookEndpoint)
            .await
            .map_err(text)?;
        let accounts = self.store.all_configurations::<domain::email::smtp_account::SmtpAccount>(Kind::SmtpAccount).await.map_err(text)?;
        let defaults: HashMap<&TenantId, SmtpAccountId> =
            accounts.iter().filter(|stored| stored.body.is_default).map(|stored| (&stored.tenant, stored.body.id)).collect();
        let mut by_queue: HashMap<QueueId, Vec<Arc<event::Subscription>>> = HashMap::new();
        let mut compiled: HashMap<SubscriptionId, (CompiledFrom, Arc<event::Subscription>)> = HashMap::new();
        for stored in subscriptions {
            let (id, version, queue) = (stored.body.id, stored.body.version, stored.body.queue_id);
            let default = defaults.get(&stored.tenant).copied();
            // What has not changed is not compiled again.
            let source = (version, default);
            let known = self.with_cache(|l| l.compiled.get(&id).filter(|(of, _)| *of == source).map(|(_, one)| one.clone()));
            let one = known.unwrap_or_else(|| {
                Arc::new(routing_config::subscription_of(stored.tenant, stored.start_position, stored.body, default, self.action_of))
            });
            compiled.insert(id, (source, one.clone()));
            by_queue.entry(queue).or_default().push(one);
        }
        endpoint_alerts::add(&endpoints, &defaults, &mut queues, &mut by_queue);
        let routing_config =
            RoutingConfig { revision, queues: routing_config::queues(queues, by_queue, &endpoints, &accounts, &self.limits) };
        self.with_cache(|l| {
            l.compiled = compiled;
            if l.revision == revision {
                l.routing_config = Some(routing_config.clone());
            }
        });
        Ok(routing_config)
    }

    async fn revision(&self) -> Result<i64, String> {
        let revision = self.store.configuration_revision().await.map_err(text)?;
        self.at_revision(revision);
        Ok(revision)
    }

    async fn known(&self, ids: &[DeliveryId]) -> Result<HashSet<DeliveryId>, String> {
        self.store.known_deliveries(ids).await.map_err(text)
    }

    async fn waiting_lanes(&self, lanes: &[LaneKey]) -> Result<HashSet<LaneKey>, String> {
        self.store.waiting_lanes(lanes).await.map_err(text)
    }

    async fn record(&self, new: &[&Delivery], known: &[&Delivery]) -> Result<(), String> {
        self.store.record_deliveries(new, known, SystemClock.now()).await.map_err(text)
    }

    async fn owners(&self, partition_id: PartitionId) -> Result<Vec<Uuid>, String> {
        self.store.waiting_owners(partition_id).await.map_err(text)
    }

    async fn due(
        &self,
        partition_id: PartitionId,
        owners: &[(Uuid, usize)],
        now: Timestamp,
        reached: i64,
    ) -> Result<Vec<Delivery>, String> {
        self.store.due_deliveries(partition_id, owners, now, reached).await.map_err(text)
    }

    async fn lanes(&self, lanes: &[LaneKey], limit: u64) -> Result<Vec<Vec<Delivery>>, String> {
        self.store.lanes(lanes, limit).await.map_err(text)
    }

    async fn repair_lanes(
        &self,
        partition_id: PartitionId,
        in_order: bool,
        from: Option<LaneCursor>,
        now: Timestamp,
    ) -> Result<Option<LaneCursor>, String> {
        self.store.repair_lanes(partition_id, in_order, from, now).await.map_err(text)
    }

    async fn events(&self, ids: &[EventId]) -> Result<Vec<Event>, String> {
        Ok(self.store.events(ids).await.map_err(text)?.into_iter().map(event_of).collect())
    }

    async fn events_between(&self, tenant: &TenantId, key: &OrderingKey, after: i64, before: i64) -> Result<Vec<Event>, String> {
        Ok(self.store.events_between(tenant, key, after, before).await.map_err(text)?.into_iter().map(event_of).collect())
    }

    async fn save_progress(&self, progress: Progress) -> Result<(), String> {
        self.store.save_progress(progress).await.map_err(text)
    }

    async fn health(&self) -> Result<Vec<Health>, String> {
        self.store.all_health().await.map_err(text)
    }

    async fn save_health(&self, failing: &[Health], healed: &[Uuid]) -> Result<(), String> {
        self.store.save_health(failing, healed).await.map_err(text)
    }

    async fn give_up(&self, target: &Target, because: &str) -> Result<(), String> {
        self.app.give_up_webhook_endpoint(target.tenant.clone(), WebhookEndpointId(target.id), because).await.map_err(text)
    }
}

#[async_trait]
impl Leases for SqlDeliveryStore {
    async fn acquire_lease(&self, name: &str, ttl: Duration) -> Result<Option<Lease>, String> {
        self.store.acquire_lease(name, &self.owner, ttl).await.map_err(text)
    }

    async fn renew_lease(&self, lease: &Lease, ttl: Duration) -> Result<bool, String> {
        self.store.renew_lease(lease, ttl).await.map_err(text)
    }

    async fn release_lease(&self, lease: &Lease) -> Result<(), String> {
        self.store.release_lease(lease).await.map_err(text)
    }
}

/// Batches finished at once.
const UNWRITTEN_MAX: u64 = 100;

#[async_trait]
impl billwire_warehouse::BatchStore for SqlDeliveryStore {
    async fn unwritten(&self) -> Result<Vec<(i64, Vec<Event>)>, String> {
        let batches = self.store.unwritten_batches(UNWRITTEN_MAX).await.map_err(text)?;
        Ok(batches.into_iter().map(|(batch, events)| (batch, events.into_iter().map(event_of).collect())).collect())
    }

    async fn assign(&self, ids: &[EventId]) -> Result<Option<(i64, Vec<EventId>)>, String> {
        self.store.assign_to_warehouse(ids, SystemClock.now()).await.map_err(text)
    }

    async fn written(&self, batch: i64) -> Result<(), String> {
        self.store.mark_batch_written(batch).await.map_err(text)
    }
}
