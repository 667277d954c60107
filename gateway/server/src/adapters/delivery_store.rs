//! The storage of the delivery engine, and the configuration of the channels, over `store`. It only translates and caches.

use std::{
    cmp::Reverse,
    collections::{HashMap, HashSet},
    hash::Hash,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use billwire_app::App;
use billwire_delivery::{
    event::{self, Event},
    lease::{Leases, Renewals},
    limits::limiter::Target,
    routing::{Revision, Routing, TenantRouting},
    store::{DeliveryStore, Due, DueOf, InStore},
};
use billwire_email::{Readers, SmtpAccount};
use billwire_schemas::{
    clock::{Clock, SystemClock, Timestamp},
    delivery::{Delivery, Health, LaneCursor, LaneKey, Progress},
    ids::{
        DeliveryId, EventId, NotificationTemplateId, OrderingKey, QueueId, Slot, SmtpAccountId, SubscriptionId, TenantId, WebhookEndpointId,
    },
    lease::Lease,
    template::Translated,
};
use billwire_store::{ConfigurationKind as Kind, Store, Stored, Unpublished, delivery::lookup::Lookup};
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
    /// Held while the configuration is read: one task reads it for all.
    reading: Arc<tokio::sync::Mutex<()>>,
    renewals: Arc<Renewals>,
}

/// What a compiled subscription depends on: its version, and the default SMTP account of its tenant.
type CompiledFrom = (i64, Option<SmtpAccountId>);

/// What was read of the configuration, so that no attempt reads configuration or opens secrets again.
#[derive(Default)]
struct ConfigurationCache {
    routing: Arc<Routing>,
    tenants: HashMap<TenantId, TenantCache>,
}

/// What was read of one tenant's configuration.
#[derive(Default)]
pub(crate) struct TenantCache {
    /// The changes of the configuration, in number, when it was read or earlier.
    changes: i64,
    held: HashSet<QueueId>,
    /// Whether the tenant was suspended.
    suspended: bool,
    routing: Option<Arc<TenantRouting>>,
    /// Compiled subscriptions; what has not changed is not compiled again.
    compiled: HashMap<SubscriptionId, (CompiledFrom, Arc<event::Subscription>)>,
    pub endpoints: HashMap<WebhookEndpointId, Option<Arc<Endpoint>>>,
    pub accounts: HashMap<SmtpAccountId, Option<Arc<SmtpAccount>>>,
    pub templates: HashMap<NotificationTemplateId, Option<Arc<Translated>>>,
    pub readers: HashMap<(), Arc<Readers>>,
}

pub(crate) fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

impl SqlDeliveryStore {
    /// Over `store`, with `owner` as the owner of leases; use cases go through `app`, and `action_of` translates configured actions for channels.
    pub fn new(store: Store, app: App, limits: Limits, owner: String, action_of: ActionOf) -> Self {
        Self { store, app, limits, owner, action_of, cache: Arc::default(), reading: Arc::default(), renewals: Arc::default() }
    }

    fn with_cache<T>(&self, of: impl FnOnce(&mut ConfigurationCache) -> T) -> T {
        of(&mut self.cache.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn with_tenant<T>(&self, tenant: &TenantId, of: impl FnOnce(&mut TenantCache) -> T) -> T {
        self.with_cache(|cache| of(cache.tenants.entry(tenant.clone()).or_default()))
    }

    /// The value of a tenant's configuration that `of` keeps under `key`, or what `read` reads.
    ///
    /// # Errors
    /// That of `read`.
    pub(crate) async fn cached<K: Eq + Hash, V: Clone>(
        &self,
        tenant: &TenantId,
        of: fn(&mut TenantCache) -> &mut HashMap<K, V>,
        key: K,
        read: impl Future<Output = Result<V, String>>,
    ) -> Result<V, String> {
        let (found, changes) = self.with_tenant(tenant, |cache| (of(cache).get(&key).cloned(), cache.changes));
        if let Some(found) = found {
            return Ok(found);
        }
        let value = read.await?;
        self.with_tenant(tenant, |cache| {
            // If the configuration was read again meanwhile, this may be older.
            if cache.changes == changes {
                of(cache).insert(key, value.clone());
            }
        });
        Ok(value)
    }

    /// Reads the configuration of the tenants for which it has changed.
    async fn read_changed(&self) -> Result<(), String> {
        let changes = self.store.configuration_changes().await.map_err(text)?;
        let mut held: HashMap<TenantId, HashSet<QueueId>> = HashMap::new();
        for one in self.store.held_queues().await.map_err(text)? {
            held.entry(one.tenant).or_default().insert(one.queue);
        }
        let none = HashSet::new();
        let suspended = self.store.suspended_tenants().await.map_err(text)?;
        let is_current = |tenant: &TenantId, now: i64| {
            let wanted = (now, suspended.contains(tenant), held.get(tenant).unwrap_or(&none));
            self.with_tenant(tenant, |cache| cache.routing.is_some() && (cache.changes, cache.suspended, &cache.held) == wanted)
        };
        let changed: Vec<TenantId> =
            changes.iter().filter(|(tenant, now)| !is_current(tenant, **now)).map(|(tenant, _)| tenant.clone()).collect();
        let mut read = ConfigurationOf::read(&self.store, &changed).await?;
        for tenant in changed {
            let (now, held) = (changes.get(&tenant).copied().unwrap_or(0), held.remove(&tenant).unwrap_or_default());
            let mut of_tenant = read.remove(&tenant).unwrap_or_default();
            let suspended = suspended.contains(&tenant);
            // Nothing is attempted, as if each queue were paused; new deliveries wait in the delivery store.
            of_tenant.queues.iter_mut().for_each(|queue| queue.paused |= suspended);
            let compiled = self.with_tenant(&tenant, |cache| std::mem::take(&mut cache.compiled));
            let (routing, compiled) = of_tenant.routing(&tenant, &held, compiled, &self.limits, self.action_of);
            let cache = TenantCache { changes: now, held, suspended, routing: Some(Arc::new(routing)), compiled, ..TenantCache::default() };
            self.with_cache(|all| all.tenants.insert(tenant, cache));
        }
        Ok(())
    }
}

/// The configuration of one tenant that routing depends on.
#[derive(Default)]
struct ConfigurationOf {
    queues: Vec<domain::delivery::queue::Queue>,
    subscriptions: Vec<Stored<domain::delivery::subscription::Subscription>>,
    endpoints: Vec<Stored<domain::delivery::webhook_endpoint::WebhookEndpoint>>,
    accounts: Vec<domain::email::smtp_account::SmtpAccount>,
}

type Compiled = HashMap<SubscriptionId, (CompiledFrom, Arc<event::Subscription>)>;

impl ConfigurationOf {
    async fn read(store: &Store, tenants: &[TenantId]) -> Result<HashMap<TenantId, Self>, String> {
        let mut read: HashMap<TenantId, Self> = HashMap::new();
        for one in store.configurations_of(tenants, Kind::Queue).await.map_err(text)? {
            read.entry(one.tenant).or_default().queues.push(one.body);
        }
        for one in store.configurations_of(tenants, Kind::Subscription).await.map_err(text)? {
            read.entry(one.tenant.clone()).or_default().subscriptions.push(one);
        }
        for one in store.configurations_of(tenants, Kind::WebhookEndpoint).await.map_err(text)? {
            read.entry(one.tenant.clone()).or_default().endpoints.push(one);
        }
        for one in store.configurations_of(tenants, Kind::SmtpAccount).await.map_err(text)? {
            read.entry(one.tenant).or_default().accounts.push(one.body);
        }
        Ok(read)
    }

    /// The routing, and the compiled subscriptions; those in `known` that have not changed are used again.
    fn routing(
        mut self,
        tenant: &TenantId,
        held: &HashSet<QueueId>,
        mut known: Compiled,
        limits: &Limits,
        action_of: ActionOf,
    ) -> (TenantRouting, Compiled) {
        let default = self.accounts.iter().find(|account| account.is_default).map(|account| account.id);
        let mut by_queue: HashMap<QueueId, Vec<Arc<event::Subscription>>> = HashMap::new();
        let mut compiled = Compiled::new();
        for stored in self.subscriptions {
            let (id, queue, source) = (stored.body.id, stored.body.queue_id, (stored.body.version, default));
            let one = match known.remove(&id).filter(|(of, _)| *of == source) {
                Some((_, one)) => one,
                None => Arc::new(routing_config::subscription_of(stored.tenant, stored.start_position, stored.body, default, action_of)),
            };
            compiled.insert(id, (source, one.clone()));
            by_queue.entry(queue).or_default().push(one);
        }
        if let Some(default) = default {
            endpoint_alerts::add(tenant, &self.endpoints, default, &mut self.queues, &mut by_queue);
        }
        let endpoints: Vec<_> = self.endpoints.into_iter().map(|stored| stored.body).collect();
        let routing = routing_config::tenant_routing(tenant, self.queues, by_queue, (&endpoints, &self.accounts), held, limits);
        (routing, compiled)
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
        let routing = self.routing().await?;
        let Some(tenant) = routing.tenants.get(&event.tenant) else { return Ok(None) };
        let Some(to) = tenant.queue(queue) else { return Ok(None) };
        let wanted = tenant.matching.matches_in(queue, event);
        let now = SystemClock.now();
        let deliveries: Vec<Delivery> = wanted.into_iter().map(|one| to.delivery_of_match(event, one, now)).collect();
        let count = deliveries.len();
        if count > 0 {
            self.store.enqueue(deliveries, to.in_order, now).await.map_err(text)?;
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
    async fn routing(&self) -> Result<Arc<Routing>, String> {
        // The revision first: after a change in between, the routing is newer than its revision says, and is read again.
        let revision = self.revision().await?;
        let cached = || self.with_cache(|cache| cache.routing.clone());
        if cached().revision == revision {
            return Ok(cached());
        }
        let _reading = self.reading.lock().await;
        if cached().revision == revision {
            return Ok(cached());
        }
        self.read_changed().await?;
        let routing = self.with_cache(|cache| {
            let tenants = cache.tenants.iter().filter_map(|(tenant, one)| Some((tenant.clone(), one.routing.clone()?)));
            cache.routing = Arc::new(Routing::new(revision, tenants.collect()));
            cache.routing.clone()
        });
        // Another process may have changed it. Slots that wait for nothing else must learn of it.
        self.store.report_configured();
        Ok(routing)
    }

    async fn revision(&self) -> Result<Revision, String> {
        let (changes, held) = self.store.configuration_revision().await.map_err(text)?;
        Ok(Revision { changes, held: Reverse(held) })
    }

    async fn in_store(&self, ids: &[DeliveryId], lanes: &[LaneKey]) -> Result<InStore, String> {
        let Lookup { changes, held, known, waiting } = self.store.lookup(ids, lanes).await.map_err(text)?;
        Ok(InStore { revision: Revision { changes, held: Reverse(held) }, known, waiting })
    }

    async fn record(&self, new: &[&Delivery], known: &[&Delivery]) -> Result<(), String> {
        self.store.record_deliveries(new, known, SystemClock.now()).await.map_err(text)
    }

    async fn hold_back(&self, from: &HashMap<QueueId, i64>) -> Result<bool, String> {
        self.store.hold_back(from.iter().map(|(queue, position)| (*queue, *position))).await.map_err(text)
    }

    async fn owners(&self, slot: Slot) -> Result<Vec<(Uuid, Timestamp)>, String> {
        let owners = self.store.waiting_owners(slot).await.map_err(text)?;
        Ok(owners.into_iter().filter_map(|(owner, earliest)| Some((owner, earliest?))).collect())
    }

    async fn due(&self, slot: Slot, owners: &[DueOf], now: Timestamp) -> Result<Due, String> {
        let rooms: Vec<_> = owners.iter().map(|of| (of.owner, of.room, of.reached)).collect();
        let ids: Vec<Uuid> = owners.iter().map(|of| of.owner).collect();
        let deliveries = self.store.due_deliveries(slot, &rooms, now).await.map_err(text)?;
        Ok(Due { deliveries, next: self.store.next_due(slot, &ids, now).await.map_err(text)? })
    }

    async fn lanes(&self, lanes: &[LaneKey], limit: u64) -> Result<Vec<Vec<Delivery>>, String> {
        self.store.lanes(lanes, limit).await.map_err(text)
    }

    async fn repair_lanes(
        &self,
        slot: Slot,
        routing: Arc<Routing>,
        from: Option<LaneCursor>,
        now: Timestamp,
    ) -> Result<Option<LaneCursor>, String> {
        // Of an owner that is no subscription, a replay, the heads alone: the engine continues its lanes if they are in order.
        let in_order = |owner| routing.route(SubscriptionId(owner)).is_none_or(|route| route.queue.in_order);
        self.store.repair_lanes(slot, in_order, from, now).await.map_err(text)
    }

    async fn events(&self, ids: &[EventId]) -> Result<Vec<Event>, String> {
        Ok(self.store.events(ids).await.map_err(text)?.into_iter().map(event_of).collect())
    }

    async fn events_between(&self, tenant: &TenantId, key: &OrderingKey, after: i64, before: i64) -> Result<Vec<Event>, String> {
        Ok(self.store.events_between(tenant, key, after, before).await.map_err(text)?.into_iter().map(event_of).collect())
    }

    async fn save_progress(&self, progress: Vec<Progress>) -> Result<(), String> {
        self.store.save_progress(&progress).await.map_err(text)
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

    async fn renew_leases(&self, leases: &[Lease], ttl: Duration) -> Result<HashSet<String>, String> {
        self.store.renew_leases(leases, ttl).await.map_err(text)
    }

    async fn release_lease(&self, lease: &Lease) -> Result<(), String> {
        self.store.release_lease(lease).await.map_err(text)
    }

    async fn held_leases(&self, prefixes: &[&str]) -> Result<Vec<String>, String> {
        self.store.held_leases(prefixes).await.map_err(text)
    }

    fn owner(&self) -> &str {
        &self.owner
    }

    fn renewals(&self) -> &Arc<Renewals> {
        &self.renewals
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

#[cfg(test)]
mod tests;
