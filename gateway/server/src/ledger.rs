//! The delivery engine's memory and the channels' look-ups, over `store`. Only translation.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use billwire_delivery::{
    event::{self, Calculated, Event},
    ledger::{Entry, LaneKey, Lease, Ledger, Part, Plan, Queue, State},
    matching::Matching,
};
use billwire_email::{Accounts, Password, Security, SmtpAccount};
use billwire_schemas::{
    clock::{Clock, SystemClock, Timestamp},
    destination,
    events::envelope::Parameters,
    expression::Expression,
    ids::{DeliveryId, EventId, NotificationTemplateId, OrderingKey, QueueId, SmtpAccountId, SubscriptionId, TenantId, WebhookEndpointId},
    template::Template,
};
use billwire_store::{ConfigurationKind as Kind, Store, Unpublished, deliveries as rows, leases};
use billwire_webhook::{Endpoint, Secret};

use crate::domain;

/// The store, as the consumers see it.
#[derive(Clone)]
pub struct StoreLedger {
    store: Store,
    owner: String,
    looked_up: Arc<Mutex<LookedUp>>,
}

/// What was read of one revision of the configuration. Opening a secret for every call would be waste.
#[derive(Default)]
struct LookedUp {
    revision: i64,
    plan: Option<Plan>,
    /// Subscriptions with their versions; kept over revisions.
    compiled: HashMap<SubscriptionId, (i64, Arc<event::Subscription>)>,
    /// Who wants what is forwarded to a queue.
    forwarded: HashMap<QueueId, Matching>,
    endpoints: HashMap<WebhookEndpointId, Option<Arc<Endpoint>>>,
    accounts: HashMap<SmtpAccountId, Option<Arc<SmtpAccount>>>,
    templates: HashMap<NotificationTemplateId, Option<Arc<Template>>>,
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

impl StoreLedger {
    /// Over `store`, holding leases as `owner`.
    pub fn new(store: Store, owner: String) -> Self {
        Self { store, owner, looked_up: Arc::default() }
    }

    fn remembered<T>(&self, of: impl FnOnce(&mut LookedUp) -> T) -> T {
        of(&mut self.looked_up.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Forgets what was looked up when the configuration has changed since.
    fn at_revision(&self, revision: i64) {
        self.remembered(|l| {
            if l.revision != revision {
                let compiled = std::mem::take(&mut l.compiled);
                *l = LookedUp { revision, compiled, ..LookedUp::default() };
            }
        });
    }
}

impl StoreLedger {
    /// Notes that the subscriptions of `queue` that want `event` are owed it. Gives how many; `None`: there is no such queue.
    ///
    /// # Errors
    /// Text for the log; nothing was noted.
    pub async fn forward(&self, event: &Event, queue: QueueId) -> Result<Option<usize>, String> {
        let plan = self.plan().await?;
        let Some(to) = plan.queues.iter().find(|one| one.id == queue && one.tenant == event.tenant) else { return Ok(None) };
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
            self.store.owe(owed, now).await.map_err(text)?;
        }
        Ok(Some(count))
    }
}

fn event_of(row: Unpublished) -> Event {
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

fn entry_of(row: rows::Delivery) -> Entry {
    Entry {
        id: row.id,
        tenant: row.tenant,
        event: row.event,
        event_type: row.event_type,
        queue: row.queue,
        partition: row.partition,
        subscription: row.subscription,
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

fn compiled(source: &str) -> Result<Expression, String> {
    Expression::compile(source).map_err(|fault| fault.message)
}

fn calculated(named: BTreeMap<String, String>) -> Vec<Calculated> {
    named.into_iter().map(|(name, source)| (name, compiled(&source))).collect()
}

fn action_of(action: domain::subscription::Action) -> event::Action {
    use domain::subscription::Action;
    match action {
        Action::Webhook { webhook_endpoint_id, path } => event::Action::Webhook { endpoint: webhook_endpoint_id, path },
        Action::Email { smtp_account_id, notification_template_id, to } => {
            event::Action::Email { smtp_account: smtp_account_id, template: notification_template_id, to }
        }
        Action::Forward { queue_id } => event::Action::Forward { queue: queue_id },
        Action::Calculate { event_type, data } => event::Action::Calculate { event_type, data: calculated(data) },
    }
}

fn subscription_of(tenant: TenantId, start_position: i64, body: domain::subscription::Subscription) -> event::Subscription {
    event::Subscription {
        id: body.id,
        tenant,
        chosen: body.chosen,
        enabled: body.enabled,
        filter: body.filter.as_deref().map(compiled),
        parameters: calculated(body.parameters),
        blocks: body.when_given_up == domain::subscription::GivenUp::Block,
        start_position,
        action: action_of(body.action),
    }
}

#[async_trait]
impl Ledger for StoreLedger {
    async fn plan(&self) -> Result<Plan, String> {
        // The revision first: a change in between makes the plan newer than it says, and it is read again.
        let revision = self.revision().await?;
        if let Some(plan) = self.remembered(|l| l.plan.clone()) {
            return Ok(plan);
        }
        let queues = self.store.all_configurations::<domain::queue::Queue>(Kind::Queue).await.map_err(text)?;
        let subscriptions = self.store.all_configurations::<domain::subscription::Subscription>(Kind::Subscription).await.map_err(text)?;
        let mut by_queue: HashMap<QueueId, Vec<Arc<event::Subscription>>> = HashMap::new();
        let mut compiled: HashMap<SubscriptionId, (i64, Arc<event::Subscription>)> = HashMap::new();
        for stored in subscriptions {
            let (id, version, queue) = (stored.body.id, stored.body.version, stored.body.queue_id);
            // What has not changed since is not compiled again.
            let known = self.remembered(|l| l.compiled.get(&id).filter(|(of, _)| *of == version).map(|(_, one)| one.clone()));
            let one = known.unwrap_or_else(|| Arc::new(subscription_of(stored.tenant, stored.start_position, stored.body)));
            compiled.insert(id, (version, one.clone()));
            by_queue.entry(queue).or_default().push(one);
        }
        let queues = queues.into_iter().map(|stored| {
            let body = stored.body;
            Arc::new(Queue {
                id: body.id,
                tenant: stored.tenant,
                in_order: body.mode == domain::queue::Mode::InOrder,
                registered: body.registered,
                paused: body.paused,
                partitions: body.partitions,
                created_at: stored.created_at,
                subscriptions: by_queue.remove(&body.id).unwrap_or_default(),
            })
        });
        let plan = Plan { revision, queues: queues.collect() };
        self.remembered(|l| {
            l.compiled = compiled;
            if l.revision == revision {
                l.plan = Some(plan.clone());
            }
        });
        Ok(plan)
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
        self.store.record_deliveries(&rows(new), &rows(known), SystemClock.now()).await.map_err(text)
    }

    async fn due(&self, part: Part<'_>, now: Timestamp, limit: u64) -> Result<Vec<Entry>, String> {
        let rows = self.store.due_deliveries(part.queue, part.number, part.resting, now, limit).await.map_err(text)?;
        Ok(rows.into_iter().map(entry_of).collect())
    }

    async fn lane(&self, lane: &LaneKey, limit: u64) -> Result<Vec<Entry>, String> {
        let rows = self.store.lane(lane.0, &lane.1, limit).await.map_err(text)?;
        Ok(rows.into_iter().map(entry_of).collect())
    }

    async fn mend(&self, part: Part<'_>, in_order: bool, now: Timestamp) -> Result<(), String> {
        self.store.mend_deliveries(part.queue, part.number, in_order, now).await.map(drop).map_err(text)
    }

    async fn events(&self, ids: &[EventId]) -> Result<Vec<Event>, String> {
        Ok(self.store.events(ids).await.map_err(text)?.into_iter().map(event_of).collect())
    }

    async fn events_between(&self, tenant: &TenantId, key: &OrderingKey, after: i64, before: i64) -> Result<Vec<Event>, String> {
        Ok(self.store.events_between(tenant, key, after, before).await.map_err(text)?.into_iter().map(event_of).collect())
    }

    async fn take_lease(&self, name: &str, ttl: Duration) -> Result<Option<Lease>, String> {
        let lease = self.store.take_lease(name, &self.owner, ttl).await.map_err(text)?;
        Ok(lease.map(|l| Lease { name: l.name, owner: l.owner, fence: l.fence }))
    }

    async fn keep_lease(&self, lease: &Lease, ttl: Duration) -> Result<bool, String> {
        self.store.keep_lease(&stored_lease(lease), ttl).await.map_err(text)
    }

    async fn drop_lease(&self, lease: &Lease) -> Result<(), String> {
        self.store.drop_lease(&stored_lease(lease)).await.map_err(text)
    }
}

fn stored_lease(lease: &Lease) -> leases::Lease {
    leases::Lease { name: lease.name.clone(), owner: lease.owner.clone(), fence: lease.fence }
}

#[async_trait]
impl billwire_webhook::Endpoints for StoreLedger {
    async fn endpoint(&self, tenant: &TenantId, id: WebhookEndpointId) -> Result<Option<Arc<Endpoint>>, String> {
        if let Some(found) = self.remembered(|l| l.endpoints.get(&id).cloned()) {
            return Ok(found);
        }
        let row = self.store.configuration_with_secrets::<domain::webhook_endpoint::WebhookEndpoint>(tenant, Kind::WebhookEndpoint, id.0);
        let found = match row.await.map_err(text)? {
            None => None,
            Some((body, secret)) => {
                let url = destination::parse(&body.url).map_err(text)?;
                let secrets = secret.iter().map(|s| Secret::parse(s).map_err(text)).collect::<Result<_, _>>()?;
                Some(Arc::new(Endpoint { id, url, path: body.path, secrets, enabled: true, auth: None, headers: Vec::new() }))
            }
        };
        self.remembered(|l| l.endpoints.insert(id, found.clone()));
        Ok(found)
    }
}

#[async_trait]
impl Accounts for StoreLedger {
    async fn smtp_account(&self, tenant: &TenantId, id: SmtpAccountId) -> Result<Option<Arc<SmtpAccount>>, String> {
        if let Some(found) = self.remembered(|l| l.accounts.get(&id).cloned()) {
            return Ok(found);
        }
        let row = self.store.configuration_with_secrets::<domain::smtp_account::SmtpAccount>(tenant, Kind::SmtpAccount, id.0);
        let found = row.await.map_err(text)?.map(|(body, password)| {
            Arc::new(SmtpAccount {
                id,
                version: body.version,
                server: body.server,
                port: body.port,
                security: match body.security {
                    domain::smtp_account::Security::None => Security::None,
                    domain::smtp_account::Security::Starttls => Security::Starttls,
                    domain::smtp_account::Security::Tls => Security::Tls,
                },
                from_name: body.from_name,
                from_address: body.from_address,
                username: body.username,
                password: password.map(Password::new),
            })
        });
        self.remembered(|l| l.accounts.insert(id, found.clone()));
        Ok(found)
    }

    async fn template(&self, tenant: &TenantId, id: NotificationTemplateId) -> Result<Option<Arc<Template>>, String> {
        if let Some(found) = self.remembered(|l| l.templates.get(&id).cloned()) {
            return Ok(found);
        }
        let row = self.store.configuration::<domain::notification_template::NotificationTemplate>(tenant, Kind::NotificationTemplate, id.0);
        let found = row.await.map_err(text)?.map(|body| Arc::new(body.parts()));
        self.remembered(|l| l.templates.insert(id, found.clone()));
        Ok(found)
    }

    async fn private_parameters(&self, tenant: &TenantId, event: EventId) -> Result<Parameters, String> {
        let found = self.store.private_parameters(tenant, event).await.map_err(text)?;
        found.map_or_else(|| Ok(Parameters::new()), |found| serde_json::from_str(&found).map_err(text))
    }
}

/// Batches finished in one go.
const UNWRITTEN_MAX: u64 = 100;

#[async_trait]
impl billwire_warehouse::Ledger for StoreLedger {
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
