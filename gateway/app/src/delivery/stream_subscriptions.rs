//! `createStreamSubscription`, `resetStreamSubscription`, and what their consumers on the stream must be like.
//!
//! SQL says which consumers there are to be. The one of a new or reset subscription is made before the operation answers; the worker of
//! `server` makes whatever is missing again, and deletes what is left over.

use std::{collections::HashMap, sync::Arc};

use async_trait::async_trait;
use aws_lc_rs::rand;
use billwire_domain::{
    Rejected,
    delivery::stream_subscription::{self, Create, Start, StreamSubscription},
    events::catalogue::Catalogue,
};
use billwire_schemas::{
    clock::{Clock, SystemClock, Timestamp},
    events::selection::Selection,
    ids::{StreamSubscriptionId, TenantId, fresh},
    refusal::Code,
};
use billwire_store::{
    ConfigurationKind as Kind, Error, Tx,
    commit::Failure,
    delivery::stream_progress::{StreamPlace, StreamProgress},
    idempotency::Reply,
};

use crate::{
    App, RequestContext,
    configuration::{ConfigurationObject, ConfigurationUseCase, changed, created},
    ensure_name_free,
    events::catalogue,
    execute::UseCase,
    record::Record,
};

/// Begins the name of each subscription's consumer; the gateway's own have other names.
pub const CONSUMER: &str = "stream-";
/// Random bytes in such a name.
const RANDOM_BYTES: usize = 16;

/// The consumers of subscriptions; `server` implements it over the bus.
#[async_trait]
pub trait StreamConsumers: Send + Sync + 'static {
    /// Where the stream ends now.
    ///
    /// # Errors
    /// A message if the stream is out of reach.
    async fn end(&self) -> Result<StreamPlace, String>;

    /// Makes the consumer, or makes it as it must be.
    ///
    /// # Errors
    /// A message if that failed; the worker tries again.
    async fn provide(&self, wanted: &WantedConsumer) -> Result<(), String>;
}

/// How subscribers reach the stream.
#[derive(Clone)]
pub struct StreamAccess {
    /// Where they connect.
    pub url: String,
    /// How many subscriptions a tenant may have.
    pub per_tenant: usize,
    /// The consumers.
    pub consumers: Arc<dyn StreamConsumers>,
}

/// A consumer that must be on the stream.
#[derive(Debug, Clone)]
pub struct WantedConsumer {
    /// Its name.
    pub name: String,
    /// The subjects that it is filtered to, none overlapping another.
    pub subjects: Vec<String>,
    /// From where it reads.
    pub start: Start,
    /// How far it is, and how often its subscription was reset.
    pub progress: StreamProgress,
}

/// The catalogues of tenants with subscriptions, each as of a change of the tenant's configuration.
#[derive(Default)]
pub struct KnownCatalogues(HashMap<TenantId, (i64, Catalogue)>);

impl WantedConsumer {
    fn of(tenant: &TenantId, subscription: &StreamSubscription, catalogue: &Catalogue, progress: Option<StreamProgress>) -> Self {
        let StreamSubscription { id, consumer, start, resets, .. } = subscription;
        let subjects = subscription.subjects(tenant, catalogue);
        // A database that was restored may have a subscription as it was before a reset.
        let progress = progress.filter(|progress| progress.resets == *resets);
        let progress = progress.unwrap_or(StreamProgress { subscription: *id, resets: *resets, settled: None, seen: None });
        Self { name: consumer.clone(), subjects, start: *start, progress }
    }
}

#[async_trait]
impl ConfigurationObject for StreamSubscription {
    const KIND: Kind = Kind::StreamSubscription;
    const NAME: &'static str = "stream subscription";
    const NOT_FOUND: Code = Code::StreamSubscriptionNotFound;
    const DELETE: &'static str = "deleteStreamSubscription";
    fn name(&self) -> &str {
        &self.name
    }
    async fn before_deletion(&self, tx: &mut Tx<'_>) -> Result<(), Failure> {
        tx.end_stream_progress(self.id);
        Ok(())
    }
}

/// What a new subscription reads.
#[derive(Debug, Clone)]
pub struct NewStreamSubscription {
    /// Its name.
    pub name: String,
    /// The events; empty: all.
    pub selected: Selection,
    /// From which event on.
    pub start: Start,
}

struct CreateStreamSubscription {
    command: Create,
    most: usize,
    /// Where the stream ended before.
    end: StreamPlace,
}

/// Up to where a subscription with this start has nothing to read. Of what is published while the operation runs, it reads all.
fn settled<'p>(start: &Start, end: &'p StreamPlace) -> Option<&'p StreamPlace> {
    (*start == Start::Now).then_some(end)
}

#[async_trait]
impl UseCase for CreateStreamSubscription {
    const OPERATION: &'static str = "createStreamSubscription";
    const STATUS: u16 = 201;

    async fn run(&self, tx: &mut Tx<'_>, _: Timestamp) -> Result<Option<Record>, Failure> {
        ensure_name_free(tx, Kind::StreamSubscription, &self.command.name).await?;
        let count = tx.configurations::<StreamSubscription>(Kind::StreamSubscription).await?.len();
        let catalogue = catalogue::of(tx).await?;
        // Wall-clock time: messages on the stream have no other.
        let change = stream_subscription::create(self.command.clone(), &catalogue, (count, self.most), SystemClock.now())?;
        tx.begin_stream_progress(change.after.id, change.after.resets, settled(&change.after.start, &self.end));
        created(tx, &change, None).await.map(Some)
    }
}

struct ResetStreamSubscription {
    start: Start,
    end: StreamPlace,
}

#[async_trait]
impl ConfigurationUseCase for ResetStreamSubscription {
    type Object = StreamSubscription;
    const OPERATION: &'static str = "resetStreamSubscription";

    async fn run(&self, tx: &mut Tx<'_>, subscription: StreamSubscription, _: Timestamp) -> Result<Record, Failure> {
        let change = stream_subscription::reset(subscription, self.start, SystemClock.now())?;
        tx.begin_stream_progress(change.after.id, change.after.resets, settled(&self.start, &self.end));
        changed(tx, &change)
    }
}

impl App {
    /// How subscribers reach the stream, if they do.
    pub fn stream_access(&self) -> Option<&StreamAccess> {
        self.stream_access.as_ref()
    }

    fn ensure_stream_access(&self) -> Result<&StreamAccess, Failure> {
        let message = "Subscribers cannot connect to the NATS of this installation; its operator can let them: BILLWIRE_NATS_CALLOUT_URL.";
        self.stream_access.as_ref().ok_or_else(|| Rejected::conflict(Code::StreamAccessNotConfigured, message).into())
    }

    /// `createStreamSubscription`: answers once the consumer is on the stream.
    ///
    /// # Errors
    /// `stream_access_not_configured`, the refusals of [`stream_subscription::create`], the stream is out of reach, or a database failure.
    pub async fn create_stream_subscription(&self, context: RequestContext, new: NewStreamSubscription) -> Result<Reply, Failure> {
        let access = self.ensure_stream_access()?;
        let end = access.consumers.end().await.map_err(Error::Unavailable)?;
        let mut random = [0; RANDOM_BYTES];
        rand::fill(&mut random).map_err(|_| Error::Other("the system's random generator failed".into()))?;
        let random: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
        let NewStreamSubscription { name, selected, start } = new;
        let consumer = format!("{CONSUMER}{random}");
        let command = Create { id: StreamSubscriptionId(fresh()), name, selected, start, consumer };
        let tenant = context.caller.tenant.clone();
        let reply = self.execute(context, CreateStreamSubscription { command, most: access.per_tenant, end }).await?;
        self.provide(access, &tenant, reply.entity.as_deref().unwrap_or_default()).await?;
        Ok(reply)
    }

    /// `resetStreamSubscription`: answers once the consumer reads from there. Live connections go on.
    ///
    /// # Errors
    /// See [`App::create_stream_subscription`]; also `stream_subscription_not_found`, `stale_version`.
    pub async fn reset_stream_subscription(
        &self,
        context: RequestContext,
        id: &str,
        if_match: Option<i64>,
        start: Start,
    ) -> Result<Reply, Failure> {
        let access = self.ensure_stream_access()?;
        let end = access.consumers.end().await.map_err(Error::Unavailable)?;
        let tenant = context.caller.tenant.clone();
        let reply = self.execute_on_configuration(context, id, if_match, ResetStreamSubscription { start, end }).await?;
        self.provide(access, &tenant, reply.entity.as_deref().unwrap_or_default()).await?;
        Ok(reply)
    }

    /// Makes the consumer of a subscription as it must be now.
    async fn provide(&self, access: &StreamAccess, tenant: &TenantId, id: &str) -> Result<(), Failure> {
        let subscription = match id.parse() {
            Ok(id) => self.store.configuration::<StreamSubscription>(tenant, Kind::StreamSubscription, id).await?,
            Err(_) => None,
        };
        // The answer to an earlier request may be of one that was deleted since.
        let Some(subscription) = subscription else { return Ok(()) };
        let progress = self.store.stream_progress(Some(tenant)).await?.remove(&subscription.id);
        let wanted = WantedConsumer::of(tenant, &subscription, &self.catalogue(tenant).await?, progress);
        let kept = |why| Error::Unavailable(format!("the change is recorded, and takes effect once the stream is within reach: {why}"));
        access.consumers.provide(&wanted).await.map_err(|why| kept(why).into())
    }

    /// The consumers that must be on the stream, of all tenants; `known` keeps tenants' catalogues until their configuration changes.
    ///
    /// # Errors
    /// A database failure.
    pub async fn wanted_consumers(&self, known: &mut KnownCatalogues) -> Result<Vec<WantedConsumer>, Failure> {
        let mut progress = self.store.stream_progress(None).await?;
        let changes = self.store.configuration_changes().await?;
        let tenants: Vec<TenantId> = changes.keys().cloned().collect();
        known.0.retain(|tenant, (change, _)| changes.get(tenant) == Some(change));
        let mut wanted = Vec::new();
        for found in self.store.configurations_of::<StreamSubscription>(&tenants, Kind::StreamSubscription).await? {
            let (tenant, subscription) = (found.tenant, found.body);
            if !known.0.contains_key(&tenant) {
                let change = changes.get(&tenant).copied().unwrap_or_default();
                known.0.insert(tenant.clone(), (change, self.catalogue(&tenant).await?));
            }
            let own = progress.remove(&subscription.id);
            wanted.extend(known.0.get(&tenant).map(|(_, catalogue)| WantedConsumer::of(&tenant, &subscription, catalogue, own)));
        }
        Ok(wanted)
    }

    /// The names of the consumers that a tenant's subscribers may read.
    ///
    /// # Errors
    /// A database failure.
    pub async fn consumers_of(&self, tenant: &TenantId) -> Result<Vec<String>, Failure> {
        let all = self.store.configurations::<StreamSubscription>(tenant, Kind::StreamSubscription).await?;
        Ok(all.into_iter().map(|subscription| subscription.consumer).collect())
    }

    /// How far a tenant's subscriptions are.
    ///
    /// # Errors
    /// A database failure.
    pub async fn stream_progress(&self, tenant: &TenantId) -> Result<HashMap<StreamSubscriptionId, StreamProgress>, Failure> {
        Ok(self.store.stream_progress(Some(tenant)).await?)
    }
}
