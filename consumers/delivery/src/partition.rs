//! One partition of one queue: a task that owns all its state. Nothing here is shared, so nothing is locked.

pub(crate) mod backpressure;
pub(crate) mod completion;
pub(crate) mod due;
pub(crate) mod in_flight;
pub(crate) mod intake;
pub(crate) mod job;
pub(crate) mod lanes;
pub(crate) mod reads;
pub(crate) mod ready_queue;
pub(crate) mod throughput;
pub(crate) mod writes;

use std::{collections::HashMap, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use billwire_bus::{ConsumerConfig, Error as BusError, Pull, Received};
use billwire_schemas::{
    clock::Timestamp,
    delivery::{DeliveryState, LaneKey, PartitionId, Progress},
    ids::{OrderingKey, QueueId},
};
use chrono::TimeDelta;
use futures::FutureExt;
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval, timeout, timeout_at},
};
use uuid::Uuid;

use crate::{
    channel::{Attempt, FailureScope, Outcome, Report},
    engine::Engine,
    limits::target_limits::{Permits, TargetLimits},
    matching::Matching,
    partition::{
        in_flight::InFlight,
        job::Job,
        lanes::{Lanes, Next},
        reads::Reads,
        ready_queue::ReadyQueue,
        throughput::Throughput,
        writes::{Write, Writes, Written},
    },
    store::Queue,
};

/// A message in memory, and how many of its deliveries are not recorded yet.
pub(crate) struct Pending {
    pub received: Received,
    pub left: usize,
}

/// Why a partition stopped.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// The program stops.
    Shutdown,
    /// The queue was deleted, or has another mode or number of partitions.
    Reshaped,
    /// NATS or the delivery store failed; the partition starts again.
    Failed(String),
}

/// An attempt that ended.
pub(crate) struct FinishedAttempt {
    pub job: Job,
    /// The permits it held; released when this is dropped.
    pub permits: Permits,
    pub at: Timestamp,
    pub latency: Duration,
    pub outcome: Outcome,
}

/// The name of a partition's durable consumer.
pub(crate) fn consumer_name(queue: QueueId, number: u32) -> String {
    format!("queue-{queue}-p{number}")
}

pub(crate) struct Partition {
    pub engine: Arc<Engine>,
    pub queue: Arc<Queue>,
    pub number: u32,
    pub revision: i64,
    pub matching: Matching,
    /// The targets of the subscriptions, and their limiters.
    pub target_limits: TargetLimits,
    pub lanes: Lanes<Job>,
    pub messages: HashMap<u64, Pending>,
    pub next_message: u64,
    pub in_flight: InFlight,
    /// The last sequence seen of each ordering key, to notice a gap in the stream.
    pub seen: HashMap<OrderingKey, i64>,
    /// The jobs to attempt, by owner: a subscription or a replay.
    pub ready_queues: HashMap<Uuid, ReadyQueue>,
    attempts: JoinSet<FinishedAttempt>,
    pub writes: Writes,
    pub throughput: Throughput,
    /// The outbox position up to which the stream has been received; `None`: nothing was left on it at the start. A stop can leave the later
    /// events of a lane in the delivery store and the earlier ones only on the stream: a stored delivery is not attempted before the
    /// stream has been received up to its event.
    pub reached: Option<i64>,
    /// Whether all that was left on the stream at the start has been received.
    pub caught_up: bool,
    /// The reads from the delivery store.
    pub reads: Reads,
    /// Whether more is due than there was room for.
    pub more_due: bool,
}

/// How often what is due is read.
const TICK: Duration = Duration::from_millis(200);
/// How often the progress is reported.
const REPORT_EVERY: Duration = Duration::from_secs(5);
/// How often lanes are repaired.
const REPAIR_EVERY: Duration = Duration::from_secs(30);

impl Partition {
    pub fn new(engine: Arc<Engine>, queue: Arc<Queue>, number: u32) -> Self {
        Self {
            matching: Matching::of(queue.clone()),
            target_limits: TargetLimits::of(&engine, &queue),
            engine,
            queue,
            number,
            // No revision: the first intake reads the configuration, which may have changed since the supervisor did.
            revision: -1,
            lanes: Lanes::default(),
            messages: HashMap::new(),
            next_message: 0,
            in_flight: InFlight::default(),
            seen: HashMap::new(),
            ready_queues: HashMap::new(),
            attempts: JoinSet::new(),
            writes: Writes::default(),
            throughput: Throughput::default(),
            reached: Some(0),
            caught_up: false,
            reads: Reads::default(),
            more_due: true,
        }
    }

    /// The id of this partition.
    pub fn partition_id(&self) -> PartitionId {
        PartitionId { queue: self.queue.id, number: self.number }
    }

    /// Runs, under the lease with this fence, until something stops it. What is in memory then comes again: as an unacknowledged message, or
    /// from the delivery store.
    pub async fn run(mut self, fence: i64, mut stop: watch::Receiver<bool>) -> Stop {
        let mut pull = match self.start(fence).await {
            Ok(pull) => pull,
            Err(error) => return Stop::Failed(error),
        };
        self.caught_up = pull.waiting() == 0;
        self.reached = (!self.caught_up).then_some(0);
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut repair_lanes = interval(REPAIR_EVERY);
        let mut report_progress = interval(REPORT_EVERY);
        let mut changed = self.engine.changed.clone();
        let mut room = true;
        loop {
            self.dispatch();
            self.writes.start(&self.engine, false);
            self.reads.start(&self.engine);
            // Once full, it pulls nothing until there is room for many: the queries of an intake cost the same for few messages as for many.
            let max = self.engine.options.in_flight_max;
            room = self.messages.len() + if room { 0 } else { INTAKE_MAX.min(max / 2) } < max;
            let flows = room && !self.queue.paused;
            let step = tokio::select! {
                biased;
                _ = stop.changed() => Err(Stop::Shutdown),
                Some(done) = self.attempts.join_next() => { self.finished(done); Ok(()) }
                written = self.writes.done() => match written {
                    Some(written) => self.written(written).await,
                    None => Ok(()),
                },
                Some(loaded) = self.reads.next() => self.loaded(loaded),
                _ = changed.changed() => self.reload().await,
                messages = pull.next(INTAKE_MAX), if flows => match messages {
                    Ok(messages) => self.receive(messages).await,
                    Err(error) => Err(Stop::Failed(error.to_string())),
                },
                _ = tick.tick() => {
                    self.shed();
                    self.read_due();
                    Ok(())
                }
                _ = repair_lanes.tick() => {
                    self.reads.repair_lanes(&self.engine, self.partition_id(), self.queue.in_order);
                    Ok(())
                }
                _ = report_progress.tick() => { self.report_progress().await; Ok(()) }
            };
            match step {
                Ok(()) => {}
                Err(Stop::Shutdown) => {
                    self.finish_attempts().await;
                    return Stop::Shutdown;
                }
                Err(stop) => return stop,
            }
        }
    }

    /// Waits for the attempts in progress and records them, so that an orderly stop repeats nothing at the next start.
    async fn finish_attempts(&mut self) {
        let until = Instant::now() + FINISH_MAX;
        while let Ok(Some(done)) = timeout_at(until, self.attempts.join_next()).await {
            self.finished(done);
        }
        while self.writes.busy() {
            self.writes.start(&self.engine, true);
            let Ok(Some((writes, Ok(())))) = timeout_at(until, self.writes.done()).await else { return };
            for number in writes.into_iter().filter_map(|write| write.message) {
                self.settle(number).await;
            }
        }
    }

    async fn start(&self, fence: i64) -> Result<Pull, String> {
        let consumer = ConsumerConfig {
            name: consumer_name(self.queue.id, self.number),
            fence: Some(fence),
            filter: format!("billing.{}.>", self.queue.tenant),
            from: Some(self.queue.created_at - TimeDelta::minutes(5)),
            ack_wait: self.engine.options.ack_wait,
            ack_pending_max: i64::try_from(self.engine.options.in_flight_max).unwrap_or(i64::MAX),
        };
        self.engine.bus.pull(&consumer).await.map_err(|e: BusError| e.to_string())
    }

    /// Reports the progress, if it changed.
    async fn report_progress(&mut self) {
        let Some((pending, delivered, failed)) = self.throughput.changed() else { return };
        let progress = Progress { partition_id: self.partition_id(), pending, delivered, failed, at: self.engine.clock.now() };
        if let Err(error) = self.engine.delivery_store.save_progress(progress).await {
            tracing::debug!(%error, "the progress of a queue could not be saved");
        }
    }

    /// Reads the configuration again.
    pub async fn reload(&mut self) -> Result<(), Stop> {
        let routing_config = self.engine.delivery_store.routing_config().await.map_err(Stop::Failed)?;
        let Some(queue) = routing_config.queues.iter().find(|q| q.id == self.queue.id && q.partitions == self.queue.partitions) else {
            return Err(Stop::Reshaped);
        };
        if queue.in_order != self.queue.in_order {
            return Err(Stop::Reshaped);
        }
        self.queue = queue.clone();
        self.matching = Matching::of(queue.clone());
        self.target_limits = TargetLimits::of(&self.engine, queue);
        self.revision = routing_config.revision;
        Ok(())
    }

    /// Parks all jobs of a lane behind its head, which waits in the delivery store.
    pub fn park_behind(&mut self, lane: &LaneKey) {
        for job in self.lanes.failed(lane) {
            self.writes.add(Write {
                delivery: job.delivery_in(DeliveryState::Waiting, None),
                message: job.message,
                lane: Some(lane.clone()),
            });
        }
    }

    /// Adds a job to its ready queue.
    pub fn ready(&mut self, mut job: Job) {
        job.since = Instant::now();
        self.ready_queues.entry(job.delivery.owner()).or_default().ready.push_back(job);
    }

    /// Starts attempts, each subscription up to its own limit, all together up to that of the partition.
    fn dispatch(&mut self) {
        let options = &self.engine.options;
        let now = self.engine.clock.now();
        // Replays last, and few of each at a time: current events have priority.
        let fair = (options.attempts_max / self.ready_queues.len().max(1)).max(1);
        let (live, replays): (Vec<&mut ReadyQueue>, Vec<&mut ReadyQueue>) =
            self.ready_queues.values_mut().partition(|ready_queue| !ready_queue.is_replay());
        for ready_queue in live.into_iter().chain(replays) {
            let Some(subscription) = ready_queue.subscription() else { continue };
            if self.queue.paused || self.target_limits.disabled(subscription) {
                continue;
            }
            let at_once = if ready_queue.is_replay() { (options.per_subscription_max / 4).max(1) } else { options.per_subscription_max };
            loop {
                // When attempts run short, no queue gets more than its share: receivers that hang must not use up all attempts.
                let tight = self.attempts.len() * 4 >= options.attempts_max * 3;
                let most = if tight { at_once.min(fair) } else { at_once };
                if ready_queue.attempting >= most || self.attempts.len() >= options.attempts_max || ready_queue.ready.is_empty() {
                    break;
                }
                let Some(permits) = self.target_limits.try_acquire(subscription, now) else { break };
                let Some(job) = ready_queue.ready.pop_front() else { break };
                ready_queue.attempting += 1;
                ready_queue.moved = Some(Instant::now());
                let engine = self.engine.clone();
                self.attempts.spawn(async move {
                    let attempt = Attempt {
                        delivery: job.delivery.id,
                        number: job.delivery.attempts + 1,
                        forgiven: job.delivery.forgiven,
                        event: job.event.clone(),
                        subscription: job.subscription.clone(),
                    };
                    let (at, began) = (engine.clock.now(), Instant::now());
                    let late = Outcome::Retry { report: Report::new(None, "timed out"), after: None, failure_scope: FailureScope::Target };
                    // A panic must not stop the lane: the attempt does not count, and the delivery is attempted again.
                    let tried =
                        AssertUnwindSafe(timeout(engine.options.attempt_timeout, engine.channels.attempt(&attempt))).catch_unwind().await;
                    let outcome = match tried {
                        Ok(in_time) => in_time.unwrap_or(late),
                        Err(_) => Outcome::NotAttempted("the channel panicked".to_owned()),
                    };
                    FinishedAttempt { job, permits, at, latency: began.elapsed(), outcome }
                });
            }
        }
        self.ready_queues.retain(|_, ready_queue| ready_queue.attempting > 0 || !ready_queue.ready.is_empty());
    }

    async fn written(&mut self, (writes, result): Written) -> Result<(), Stop> {
        if let Err(error) = result {
            if writes.is_empty() {
                // The task panicked and its writes are lost: only a fresh start, from the stream and the delivery store, is safe.
                return Err(Stop::Failed(error));
            }
            tracing::warn!(%error, deliveries = writes.len(), "results could not be recorded; they are kept and recorded again");
            self.writes.put_back(writes);
            return Ok(());
        }
        for Write { delivery, message, lane } in writes {
            self.in_flight.remove(delivery.id, delivery.owner());
            self.reads.release(delivery.id);
            if let Some(number) = message {
                self.settle(number).await;
            }
            if let Some(lane) = lane
                && matches!(self.lanes.recorded(&lane), Next::Load)
            {
                self.read_lane(lane);
            }
        }
        if self.more_due {
            self.read_due();
        }
        Ok(())
    }

    /// One delivery of a message is recorded; with the last one the message is acknowledged.
    pub async fn settle(&mut self, number: u64) {
        if let Some(pending) = self.messages.get_mut(&number) {
            pending.left = pending.left.saturating_sub(1);
            if pending.left == 0
                && let Some(pending) = self.messages.remove(&number)
            {
                self.engine.bus.ack(&pending.received).await;
            }
        }
    }
}

/// Messages pulled at once.
const INTAKE_MAX: usize = 500;

/// How long attempts may take after the stop signal.
const FINISH_MAX: Duration = Duration::from_secs(3);
