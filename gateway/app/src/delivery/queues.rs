//! `createQueue`, `updateQueue`, `pauseQueue`, `resumeQueue`.

use async_trait::async_trait;
use billwire_domain::{
    Change, Rejected, Violation,
    delivery::{
        queue::{self, Queue},
        routing::Routing,
        subscription::{self, Subscription},
    },
};
use billwire_schemas::{
    clock::{Clock, SystemClock, Timestamp},
    delivery::Progress,
    ids::{OrderingKey, TenantId},
    refusal::Code,
};
use billwire_store::{Configuration, ConfigurationKind as Kind, Store, Tx, commit::Failure, delivery::queue_progress::Depth};

use crate::{
    App, configuration::addressed, delivery::subscriptions::template_of, ensure_name_free, events::catalogue, execute::UseCase,
    record::Record,
};

/// Creates a queue.
#[derive(Debug, Clone)]
pub struct CreateQueue(pub queue::Create);

#[async_trait]
impl UseCase for CreateQueue {
    const OPERATION: &'static str = "createQueue";
    const STATUS: u16 = 201;

    fn key(&self) -> OrderingKey {
        Store::configuration_key()
    }
    async fn run(&self, tx: &mut Tx<'_>, now: Timestamp) -> Result<Option<Record>, Failure> {
        ensure_name_free(tx, Kind::Queue, &self.0.name).await?;
        let change = queue::create(self.0.clone(), &catalogue::of(tx).await?, now)?;
        let (id, name, body) = (change.after.id.0, change.after.name.clone(), change.after.clone());
        tx.save_configuration(Configuration { id, kind: Kind::Queue, name, body, secrets: None, created_at: SystemClock.now() }).await?;
        Record::of(&change).map(Some)
    }
}

/// Changes a queue. The change must be valid for its subscriptions and those of queues it forwards to.
#[derive(Debug, Clone)]
pub struct UpdateQueue {
    /// The id, as the client sent it.
    pub id: String,
    /// The changes.
    pub command: queue::Update,
    /// The required version, if any.
    pub if_match: Option<i64>,
}

#[async_trait]
impl UseCase for UpdateQueue {
    const OPERATION: &'static str = "updateQueue";

    fn key(&self) -> OrderingKey {
        Store::configuration_key()
    }
    async fn run(&self, tx: &mut Tx<'_>, _: Timestamp) -> Result<Option<Record>, Failure> {
        let queue: Queue = addressed(tx, &self.id, self.if_match).await?;
        if let Some(name) = self.command.name.as_ref().filter(|name| **name != queue.name) {
            ensure_name_free(tx, Kind::Queue, name).await?;
        }
        let catalogue = catalogue::of(tx).await?;
        let change = queue::update(queue, self.command.clone(), &catalogue)?;
        let mut queues: Vec<Queue> = tx.configurations(Kind::Queue).await?;
        queues.retain(|one| one.id != change.after.id);
        queues.push(change.after.clone());
        let subscriptions: Vec<Subscription> = tx.configurations(Kind::Subscription).await?;
        let routing = Routing { queues: &queues, subscriptions: &subscriptions, catalogue: &catalogue };
        let mut affected = routing.downstream(change.after.id);
        affected.insert(change.after.id);
        for one in subscriptions.iter().filter(|one| affected.contains(&one.queue_id)) {
            ensure_fit(tx, one, &routing).await?;
        }
        saved(tx, &change)
    }
}

/// Refuses a change that is invalid for a subscription.
///
/// # Errors
/// `subscription_unfit`, or a database failure.
async fn ensure_fit(tx: &Tx<'_>, one: &Subscription, routing: &Routing<'_>) -> Result<(), Failure> {
    let template = template_of(tx, &one.action).await?;
    let broken = subscription::faults(one, template.as_ref(), routing);
    let unfit = |broken: Violation| {
        let message = format!("The change is invalid for subscription '{}': {}", one.name, broken.message);
        Violation::new("/eventTypes", Code::SubscriptionUnfit, message)
    };
    Rejected::from_violations(broken.into_iter().map(unfit).collect()).map_or(Ok(()), |rejected| Err(rejected.into()))
}

/// Pauses or resumes a queue.
#[derive(Debug, Clone)]
pub struct PauseQueue<const PAUSED: bool> {
    /// The id, as the client sent it.
    pub id: String,
    /// The required version, if any.
    pub if_match: Option<i64>,
}

#[async_trait]
impl<const PAUSED: bool> UseCase for PauseQueue<PAUSED> {
    const OPERATION: &'static str = if PAUSED { "pauseQueue" } else { "resumeQueue" };

    fn key(&self) -> OrderingKey {
        Store::configuration_key()
    }
    async fn run(&self, tx: &mut Tx<'_>, _: Timestamp) -> Result<Option<Record>, Failure> {
        let change = queue::pause(addressed(tx, &self.id, self.if_match).await?, PAUSED)?;
        saved(tx, &change)
    }
}

fn saved(tx: &mut Tx<'_>, change: &Change<Queue>) -> Result<Option<Record>, Failure> {
    let after = &change.after;
    tx.change_configuration(after.id.0, after.version, after.name.clone(), after)?;
    Record::of(change).map(Some)
}

/// Statistics of a queue.
#[derive(Debug, Clone)]
pub struct QueueStatistics {
    /// Deliveries waiting in the delivery store.
    pub depth: Depth,
    /// The latest reports of its consumers.
    pub progress: Vec<Progress>,
}

impl App {
    /// Statistics of a queue.
    ///
    /// # Errors
    /// `queue_not_found`, or a database failure.
    pub async fn queue_statistics(&self, tenant: &TenantId, id: &str) -> Result<QueueStatistics, Failure> {
        let queue: Queue = self.configuration(tenant, id).await?;
        Ok(QueueStatistics { depth: self.store.depth(queue.id).await?, progress: self.store.progress(queue.id).await? })
    }
}
