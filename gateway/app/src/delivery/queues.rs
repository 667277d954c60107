//! `createQueue`, `updateQueue`, `pauseQueue`, `resumeQueue`.

use async_trait::async_trait;
use billwire_domain::{
    Rejected, Violation,
    delivery::{
        queue::{self, Queue},
        routing::Routing,
        subscription::{self, Subscription},
    },
};
use billwire_schemas::{
    clock::{Clock, SystemClock, Timestamp},
    delivery::Progress,
    ids::TenantId,
    refusal::Code,
};
use billwire_store::{
    ConfigurationKind as Kind, Tx,
    commit::Failure,
    delivery::queue_progress::{COUNTED_MAX, Depth},
};

use chrono::TimeDelta;

use crate::{
    App,
    configuration::{ConfigurationObject, ConfigurationUseCase, changed, created},
    delivery::subscriptions::template_of,
    ensure_name_free,
    events::catalogue,
    execute::UseCase,
    record::Record,
};

impl ConfigurationObject for Queue {
    const KIND: Kind = Kind::Queue;
    const NAME: &'static str = "queue";
    const NOT_FOUND: Code = Code::QueueNotFound;
    const DELETE: &'static str = "deleteQueue";
    fn name(&self) -> &str {
        &self.name
    }
    fn carries(&self, subscription: &Subscription) -> bool {
        subscription.queue_id == self.id || subscription.action.forwards_to() == Some(self.id)
    }
}

/// Creates a queue.
#[derive(Debug, Clone)]
pub struct CreateQueue(pub queue::Create);

#[async_trait]
impl UseCase for CreateQueue {
    const OPERATION: &'static str = "createQueue";
    const STATUS: u16 = 201;

    async fn run(&self, tx: &mut Tx<'_>, now: Timestamp) -> Result<Option<Record>, Failure> {
        ensure_name_free(tx, Kind::Queue, &self.0.name).await?;
        let change = queue::create(self.0.clone(), &catalogue::of(tx).await?, now)?;
        created(tx, &change, None).await.map(Some)
    }
}

/// Changes a queue. The change must be valid for its subscriptions and those of queues it forwards to.
#[derive(Debug, Clone)]
pub struct UpdateQueue(pub queue::Update);

#[async_trait]
impl ConfigurationUseCase for UpdateQueue {
    type Object = Queue;
    const OPERATION: &'static str = "updateQueue";

    fn name(&self) -> Option<&str> {
        self.0.name.as_deref()
    }
    async fn run(&self, tx: &mut Tx<'_>, queue: Queue, _: Timestamp) -> Result<Record, Failure> {
        let catalogue = catalogue::of(tx).await?;
        let change = queue::update(queue, self.0.clone(), &catalogue)?;
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
        changed(tx, &change)
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
pub struct PauseQueue<const PAUSED: bool>;

#[async_trait]
impl<const PAUSED: bool> ConfigurationUseCase for PauseQueue<PAUSED> {
    type Object = Queue;
    const OPERATION: &'static str = if PAUSED { "pauseQueue" } else { "resumeQueue" };

    async fn run(&self, tx: &mut Tx<'_>, queue: Queue, _: Timestamp) -> Result<Record, Failure> {
        let change = queue::pause(queue, PAUSED)?;
        if PAUSED {
            // A resumed queue stays held until it has caught up.
            tx.hold_queue(change.after.id).await?;
        }
        changed(tx, &change)
    }
}

/// How long a message may be on the stream before it counts as not taken in: the consumers record every few seconds what they have taken in.
const TAKEN_IN_WITHIN: TimeDelta = TimeDelta::seconds(15);

/// Statistics of a queue.
#[derive(Debug, Clone)]
pub struct QueueStatistics {
    /// Deliveries waiting in the delivery store.
    pub depth: Depth,
    /// The latest reports of its consumers.
    pub progress: Vec<Progress>,
    /// Events that it has not taken in: if it is held, from where it is behind; otherwise those that wait for the stream, or on it for longer
    /// than [`TAKEN_IN_WITHIN`].
    pub behind: u64,
}

impl App {
    /// Statistics of a queue.
    ///
    /// # Errors
    /// `queue_not_found`, or a database failure.
    pub async fn queue_statistics(&self, tenant: &TenantId, id: &str) -> Result<QueueStatistics, Failure> {
        let queue: Queue = self.configuration(tenant, id).await?;
        let held = self.store.held_queues().await?.into_iter().find(|held| held.queue == queue.id);
        let behind = match held {
            Some(held) => self.store.count_events_from(tenant, held.position, COUNTED_MAX).await?,
            None => self.store.count_not_taken_in(tenant, SystemClock.now() - TAKEN_IN_WITHIN, COUNTED_MAX).await?,
        };
        Ok(QueueStatistics { depth: self.store.depth(queue.id).await?, progress: self.store.progress(queue.id).await?, behind })
    }
}
