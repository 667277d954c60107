//! One partition of one queue: the task that owns all its state. Nothing here is shared, so nothing is locked.

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
    supervisor::Engine,
};

/// A message in hand and how many deliveries of it are not in the delivery store yet.
pub(crate) struct Pending {
    pub received: Received,
    pub left: usize,
}

/// Why a partition stopped.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// The program ends.
    Shutdown,
    /// The queue is gone, or is cut into other partitions.
    Reshaped,
    /// NATS or the delivery store failed; start again.
    Failed(String),
}

/// A try that ended.
pub(crate) struct FinishedAttempt {
    pub job: Job,
    /// What it went through; given back when this is dropped.
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
    /// Who calls whom, through which gates.
    pub target_limits: TargetLimits,
    pub lanes: Lanes<Job>,
    pub messages: HashMap<u64, Pending>,
    pub next_message: u64,
    pub in_flight: InFlight,
    /// The last sequence seen of each key, to notice a hole in the stream.
    pub seen: HashMap<OrderingKey, i64>,
    /// What is to be tried, by owner: a subscription or a replay.
    pub ready_queues: HashMap<Uuid, ReadyQueue>,
    under_way: JoinSet<FinishedAttempt>,
    pub writes: Writes,
    pub throughput: Throughput,
    /// Up to which position in the outbox the stream has been taken in; `None`: nothing was left on it. A stop can leave the later events
    /// of a lane in the delivery store, and the earlier ones on the stream alone: what stands in the delivery store is not sent before the
    /// stream has been read up to there.
    pub reached: Option<i64>,
    /// All that was left on the stream at the start has been taken in.
    pub caught_up: bool,
    /// What is being read from the delivery store.
    pub reads: Reads,
    /// More is due than fitted: look again as soon as there is room.
    pub more_due: bool,
}

/// How often the delivery store is asked for what is due.
const TICK: Duration = Duration::from_millis(200);
/// How often a partition tells how it does.
const REPORT_EVERY: Duration = Duration::from_secs(5);
/// How often lanes without a time are looked for.
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
            under_way: JoinSet::new(),
            writes: Writes::default(),
            throughput: Throughput::default(),
            reached: Some(0),
            caught_up: false,
            reads: Reads::default(),
            more_due: true,
        }
    }

    /// This part of the queue, as the delivery store is asked for it.
    pub fn partition_id(&self) -> PartitionId {
        PartitionId { queue: self.queue.id, number: self.number }
    }

    /// Runs, under the lease with this fence, until something ends it. What is in hand then comes again: unacknowledged, or waiting in the
    /// delivery store.
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
            // Once full, it takes in nothing until there is room for many: each intake asks the delivery store the same questions.
            let max = self.engine.options.in_flight_max;
            room = self.messages.len() + if room { 0 } else { INTAKE_MAX.min(max / 2) } < max;
            let flows = room && !self.queue.paused;
            let step = tokio::select! {
                biased;
                _ = stop.changed() => Err(Stop::Shutdown),
                Some(done) = self.under_way.join_next() => { self.finished(done); Ok(()) }
                written = self.writes.done() => match written {
                    Some(written) => self.written(written).await,
                    None => Ok(()),
                },
                Some(loaded) = self.reads.next() => self.loaded(loaded),
                _ = changed.changed() => self.reload().await,
                messages = pull.next(INTAKE_MAX), if flows => match messages {
                    Ok(messages) => self.take_in(messages).await,
                    Err(error) => Err(Stop::Failed(error.to_string())),
                },
                _ = tick.tick() => {
                    self.shed();
                    self.look_for_due();
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
                    self.wind_down().await;
                    return Stop::Shutdown;
                }
                Err(stop) => return stop,
            }
        }
    }

    /// Lets the tries under way end and records them, so that an orderly stop repeats nothing at the next start.
    async fn wind_down(&mut self) {
        let until = Instant::now() + WIND_DOWN_MAX;
        while let Ok(Some(done)) = timeout_at(until, self.under_way.join_next()).await {
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

    /// Tells how this partition does, if that is news.
    async fn report_progress(&mut self) {
        let Some((pending, delivered, failed)) = self.throughput.changed() else { return };
        let progress = Progress { partition_id: self.partition_id(), pending, delivered, failed, at: self.engine.clock.now() };
        if let Err(error) = self.engine.delivery_store.save_progress(progress).await {
            tracing::debug!(%error, "the progress of a queue could not be saved");
        }
    }

    /// Reads the configuration anew.
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

    /// A lane's head waits in the delivery store: so must all behind it.
    pub fn park_behind(&mut self, lane: &LaneKey) {
        for job in self.lanes.failed(lane) {
            self.writes.add(Write {
                delivery: job.delivery_in(DeliveryState::Waiting, None),
                message: job.message,
                lane: Some(lane.clone()),
            });
        }
    }

    /// Puts a job in line to be tried.
    pub fn ready(&mut self, mut job: Job) {
        job.since = Instant::now();
        self.ready_queues.entry(job.delivery.owner()).or_default().ready.push_back(job);
    }

    /// Lets channels try, each subscription up to its own limit, all together up to the partition's.
    fn dispatch(&mut self) {
        let options = &self.engine.options;
        let now = self.engine.clock.now();
        // Replays last, and few of each at a time: what happens now goes before what happened once.
        let fair = (options.under_way_max / self.ready_queues.len().max(1)).max(1);
        let (live, replays): (Vec<&mut ReadyQueue>, Vec<&mut ReadyQueue>) =
            self.ready_queues.values_mut().partition(|ready_queue| !ready_queue.is_replay());
        for ready_queue in live.into_iter().chain(replays) {
            let Some(subscription) = ready_queue.subscription() else { continue };
            if self.queue.paused || self.target_limits.disabled(subscription) {
                continue;
            }
            let at_once = if ready_queue.is_replay() { (options.per_subscription_max / 4).max(1) } else { options.per_subscription_max };
            loop {
                // Once it gets tight, no line takes more than its share: receivers that hang must not use up the tries of all.
                let tight = self.under_way.len() * 4 >= options.under_way_max * 3;
                let most = if tight { at_once.min(fair) } else { at_once };
                if ready_queue.under_way >= most || self.under_way.len() >= options.under_way_max || ready_queue.ready.is_empty() {
                    break;
                }
                let Some(permits) = self.target_limits.enter(subscription, now) else { break };
                let Some(job) = ready_queue.ready.pop_front() else { break };
                ready_queue.under_way += 1;
                ready_queue.moved = Some(Instant::now());
                let engine = self.engine.clone();
                self.under_way.spawn(async move {
                    let attempt = Attempt {
                        delivery: job.delivery.id,
                        number: job.delivery.attempts + 1,
                        forgiven: job.delivery.forgiven,
                        event: job.event.clone(),
                        subscription: job.subscription.clone(),
                    };
                    let (at, began) = (engine.clock.now(), Instant::now());
                    let late = Outcome::Retry { report: Report::new(None, "timed out"), after: None, failure_scope: FailureScope::Target };
                    // A panic must not take the lane with it: it costs no attempt, and the delivery comes back.
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
        self.ready_queues.retain(|_, ready_queue| ready_queue.under_way > 0 || !ready_queue.ready.is_empty());
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
                self.want_lane(lane);
            }
        }
        if self.more_due {
            self.look_for_due();
        }
        Ok(())
    }

    /// One delivery of a message stands in the delivery store; with the last one the message is done.
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

/// Messages taken in at once.
const INTAKE_MAX: usize = 500;

/// How long tries may go on after the program was told to stop.
const WIND_DOWN_MAX: Duration = Duration::from_secs(3);
