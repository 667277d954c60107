//! The delivery engine's memory and the channels' look-ups, over `store`. Only translation.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use billwire_app::App;
use billwire_delivery::{
    channel::{self, RecipientState},
    event::{self, Event},
    limits::limiters::{Health, Target},
    matching::Matching,
    store::{DeliveryStore, Entry, LaneCursor, LaneKey, Lease, PartitionId, Progress, RoutingConfig, State},
};
use billwire_email::{Readers, SmtpAccount};
use billwire_schemas::{
    clock::{Clock, SystemClock, Timestamp},
    ids::{DeliveryId, EventId, NotificationTemplateId, OrderingKey, QueueId, SmtpAccountId, SubscriptionId, TenantId, WebhookEndpointId},
    template::Translated,
};
use billwire_store::{
    ConfigurationKind as Kind, Store, Unpublished,
    delivery::{deliveries as rows, health, queue_progress, recipients},
    leases,
};
use billwire_webhook::Endpoint;
use uuid::Uuid;

use crate::{
    adapters::{
        endpoint_alerts,
        routing_config::{self, Limits},
    },
    domain,
};

/// The store, as the consumers see it.
#[derive(Clone)]
pub struct SqlDeliveryStore {
    store: Store,
    app: App,
    limits: Limits,
    owner: String,
    looked_up: Arc<Mutex<ConfigurationCache>>,
}

/// What was read of one revision of the configuration. Opening a secret for every call would be waste.
#[derive(Default)]
pub(crate) struct ConfigurationCache {
    revision: i64,
    routing_config: Option<RoutingConfig>,
    /// Subscriptions with their versions; kept over revisions.
    compiled: HashMap<SubscriptionId, (i64, Arc<event::Subscription>)>,
    /// Who wants what is forwarded to a queue.
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
    /// Over `store`, holding leases as `owner`; what follows from deliveries happens through `app`.
    pub fn new(store: Store, app: App, limits: Limits, owner: String) -> Self {
        Self { store, app, limits, owner, looked_up: Arc::default() }
    }

    pub(crate) fn remembered<T>(&self, of: impl FnOnce(&mut ConfigurationCache) -> T) -> T {
        of(&mut self.looked_up.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Forgets what was looked up when the configuration has changed since.
    fn at_revision(&self, revision: i64) {
        self.remembered(|l| {
            if l.revision != revision {
                let compiled = std::mem::take(&mut l.compiled);
                *l = ConfigurationCache { revision, compiled, ..ConfigurationCache::default() };
            }
        });
    }
}

impl SqlDeliveryStore {
    /// What it stands on.
    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    /// The use cases.
    pub(crate) fn app(&self) -> &App {
        &self.app
    }

    /// Notes that the subscriptions of `queue` that want `event` are owed it. Gives how many; `None`: there is no such queue.
    ///
    /// # Errors
    /// Text for the log; nothing was noted.
    pub async fn forward(&self, event: &Event, queue: QueueId) -> Result<Option<usize>, String> {
        let routing_config = self.routing_config().await?;
        let Some(to) = routing_config.queues.iter().find(|one| one.id == queue && one.tenant == event.tenant) else { return Ok(None) };
        let wanted = self.remembered(|l| l.forwarded.entry(queue).or_insert_with(|| Matching::of(to.clone())).wanted_forwarded(event));
        let now = SystemClock.now();
        // A filter that fails is told of when it is asked again, at the other queue's try.
        let owed: Vec<rows::Delivery> = wanted
            .iter()
            .map(|(subscription, _)| rows::Delivery {
                id: DeliveryId::of(event.id, subscription.id),
                tenant: event.tenant.clone(),
                event: event.id,
                event_type: event.kind.clone(),
                queue,
                partition: event.key.partition(to.partitions),
                subscription: subscription.id,
                replay: None,
                key: event.key.clone(),
                sequence: event.sequence,
                position: event.position,
                state: rows::State::Waiting,
                attempts: 0,
                forgiven: 0,
                next_attempt_at: None,
                last: None,
                created_at: now,
            })
            .collect();
        let count = owed.len();
        if count > 0 {
            self.store.enqueue(owed, now).await.map_err(text)?;
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

fn row_of(entry: &Entry) -> rows::Delivery {
    rows::Delivery {
        id: entry.id,
        tenant: entry.tenant.clone(),
        event: entry.event,
        event_type: entry.event_type.clone(),
        queue: entry.queue,
        partition: entry.partition,
        subscription: entry.subscription,
        replay: entry.replay,
        key: entry.key.clone(),
        sequence: entry.sequence,
        position: entry.position,
        state: match entry.state {
            State::Waiting => rows::State::Waiting,
            State::Succeeded => rows::State::Succeeded,
            State::Dead => rows::State::Dead,
            State::Blocking => rows::State::Blocking,
        },
        attempts: entry.attempts,
        forgiven: entry.forgiven,
        next_attempt_at: entry.next_attempt_at,
        last: entry.last.as_ref().map(|last| rows::Attempt {
            number: last.number,
            at: last.at,
            latency_us: i64::try_from(last.latency.as_micros()).unwrap_or(i64::MAX),
            status: last.report.status,
            detail: last.report.detail.clone(),
        }),
        created_at: entry.created_at,
    }
}

/// The states of recipients, and what they are called in the delivery store.
const RECIPIENT_STATES: [(RecipientState, &str); 4] = [
    (RecipientState::Sent, recipients::SENT),
    (RecipientState::Deferred, "deferred"),
    (RecipientState::Refused, "refused"),
    (RecipientState::Suppressed, "suppressed"),
];

pub(crate) fn recipient_of(row: recipients::Recipient) -> Option<channel::Recipient> {
    let (state, _) = RECIPIENT_STATES.into_iter().find(|(_, name)| *name == row.state)?;
    Some(channel::Recipient { address: row.address, state, status: row.status, detail: row.detail })
}

/// What became of the recipients at an entry's latest try.
fn recipients_of(entry: &Entry) -> Vec<recipients::Recipient> {
    let Some(last) = &entry.last else { return Vec::new() };
    let of = |one: &channel::Recipient| recipients::Recipient {
        delivery: entry.id,
        address: one.address.clone(),
        state: RECIPIENT_STATES.iter().find(|(state, _)| *state == one.state).map_or("", |(_, name)| name).to_owned(),
        status: one.status,
        detail: one.detail.clone(),
        at: last.at,
    };
    last.report.recipients.iter().map(of).collect()
}

fn entry_of(row: rows::Delivery) -> Entry {
    Entry {
        id: row.id,
        tenant: row.tenant,
        event: row.event,
        event_type: row.event_type,
        queue: row.queue,
        partition: row.partition,
        subscription: row.subscription,
        replay: row.replay,
        key: row.key,
        sequence: row.sequence,
        position: row.position,
        state: match row.state {
            rows::State::Waiting => State::Waiting,
            rows::State::Succeeded => State::Succeeded,
            rows::State::Dead | rows::State::Discarded => State::Dead,
            rows::State::Blocking => State::Blocking,
        },
        attempts: row.attempts,
        forgiven: row.forgiven,
        next_attempt_at: row.next_attempt_at,
        last: None,
        created_at: row.created_at,
        new: false,
    }
}

#[async_trait]
impl DeliveryStore for SqlDeliveryStore {
    async fn routing_config(&self) -> Result<RoutingConfig, String> {
        // The revision first: a change in between makes the plan newer than it says, and it is read again.
        let revision = self.revision().await?;
        if let Some(routing_config) = self.remembered(|l| l.routing_config.clone()) {
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
        let mut compiled: HashMap<SubscriptionId, (i64, Arc<event::Subscription>)> = HashMap::new();
        for stored in subscriptions {
            let (id, version, queue) = (stored.body.id, stored.body.version, stored.body.queue_id);
            let default = defaults.get(&stored.tenant).copied();
            // What has not changed since is not compiled again; what an e-mail goes by may have.
            let known = self.remembered(|l| l.compiled.get(&id).filter(|(of, _)| *of == version).map(|(_, one)| one.clone()));
            let known = known.filter(|one| !matches!(one.action, event::Action::Email(_)));
            let one = known
                .unwrap_or_else(|| Arc::new(routing_config::subscription_of(stored.tenant, stored.start_position, stored.body, default)));
            compiled.insert(id, (version, one.clone()));
            by_queue.entry(queue).or_default().push(one);
        }
        endpoint_alerts::add(&endpoints, &defaults, &mut queues, &mut by_queue);
        let routing_config =
            RoutingConfig { revision, queues: routing_config::queues(queues, by_queue, &endpoints, &accounts, &self.limits) };
        self.remembered(|l| {
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

    async fn record(&self, entries: &[Entry]) -> Result<(), String> {
        let (new, known): (Vec<&Entry>, Vec<&Entry>) = entries.iter().partition(|entry| entry.new);
        let rows = |entries: Vec<&Entry>| entries.into_iter().map(row_of).collect::<Vec<_>>();
        let of: Vec<recipients::Recipient> = entries.iter().flat_map(recipients_of).collect();
        self.store.record_deliveries(&rows(new), &rows(known), &of, SystemClock.now()).await.map_err(text)
    }

    async fn owners(&self, partition_id: PartitionId) -> Result<Vec<Uuid>, String> {
        self.store.waiting_owners(partition_id.queue, partition_id.number).await.map_err(text)
    }

    async fn due(&self, partition_id: PartitionId, owners: &[(Uuid, usize)], now: Timestamp, reached: i64) -> Result<Vec<Entry>, String> {
        let rows = self.store.due_deliveries((partition_id.queue, partition_id.number), owners, now, reached).await.map_err(text)?;
        Ok(rows.into_iter().map(entry_of).collect())
    }

    async fn lanes(&self, lanes: &[LaneKey], limit: u64) -> Result<Vec<Vec<Entry>>, String> {
        let found = self.store.lanes(lanes, limit).await.map_err(text)?;
        Ok(found.into_iter().map(|rows| rows.into_iter().map(entry_of).collect()).collect())
    }

    async fn repair_lanes(
        &self,
        partition_id: PartitionId,
        in_order: bool,
        from: Option<LaneCursor>,
        now: Timestamp,
    ) -> Result<Option<LaneCursor>, String> {
        self.store.repair_lanes((partition_id.queue, partition_id.number), in_order, from, now).await.map_err(text)
    }

    async fn events(&self, ids: &[EventId]) -> Result<Vec<Event>, String> {
        Ok(self.store.events(ids).await.map_err(text)?.into_iter().map(event_of).collect())
    }

    async fn events_between(&self, tenant: &TenantId, key: &OrderingKey, after: i64, before: i64) -> Result<Vec<Event>, String> {
        Ok(self.store.events_between(tenant, key, after, before).await.map_err(text)?.into_iter().map(event_of).collect())
    }

    async fn save_progress(&self, told: Progress) -> Result<(), String> {
        let told = queue_progress::Progress {
            queue: told.partition_id.queue,
            partition: told.partition_id.number,
            pending: told.pending,
            delivered: told.delivered,
            failed: told.failed,
            at: told.at,
        };
        self.store.save_progress(&told).await.map_err(text)
    }

    async fn health(&self) -> Result<Vec<Health>, String> {
        Ok(self.store.all_health().await.map_err(text)?.into_iter().map(health_of).collect())
    }

    async fn save_health(&self, failing: &[Health], healed: &[Uuid]) -> Result<(), String> {
        let failing: Vec<health::Health> = failing.iter().map(stored_health).collect();
        self.store.save_health(&failing, healed).await.map_err(text)
    }

    async fn give_up(&self, target: &Target, because: &str) -> Result<(), String> {
        self.app.give_up_webhook_endpoint(target.tenant.clone(), WebhookEndpointId(target.id), because).await.map_err(text)
    }

    async fn acquire_lease(&self, name: &str, ttl: Duration) -> Result<Option<Lease>, String> {
        let lease = self.store.acquire_lease(name, &self.owner, ttl).await.map_err(text)?;
        Ok(lease.map(|l| Lease { name: l.name, owner: l.owner, fence: l.fence }))
    }

    async fn renew_lease(&self, lease: &Lease, ttl: Duration) -> Result<bool, String> {
        self.store.renew_lease(&stored_lease(lease), ttl).await.map_err(text)
    }

    async fn release_lease(&self, lease: &Lease) -> Result<(), String> {
        self.store.release_lease(&stored_lease(lease)).await.map_err(text)
    }
}

fn health_of(row: health::Health) -> Health {
    let open = row.open_until.map(|until| (until, Duration::from_millis(row.wait_ms)));
    Health { target: row.target, tenant: row.tenant, failing_since: row.failing_since, failures: row.failures, open }
}

fn stored_health(health: &Health) -> health::Health {
    health::Health {
        target: health.target,
        tenant: health.tenant.clone(),
        failing_since: health.failing_since,
        failures: health.failures,
        open_until: health.open.map(|(until, _)| until),
        wait_ms: health.open.map_or(0, |(_, waited)| u64::try_from(waited.as_millis()).unwrap_or(u64::MAX)),
    }
}

fn stored_lease(lease: &Lease) -> leases::Lease {
    leases::Lease { name: lease.name.clone(), owner: lease.owner.clone(), fence: lease.fence }
}

/// Batches finished in one go.
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
