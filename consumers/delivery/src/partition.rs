//! One slot of the stream: a task that owns all its state. Nothing here is shared, so nothing is locked.

pub(crate) mod backpressure;
pub(crate) mod completion;
pub(crate) mod dispatch;
pub(crate) mod due;
pub(crate) mod due_times;
pub(crate) mod in_flight;
pub(crate) mod intake;
pub(crate) mod job;
pub(crate) mod lanes;
pub(crate) mod messages;
pub(crate) mod reads;
pub(crate) mod ready_queue;
pub(crate) mod receipts;
pub(crate) mod seen;
pub(crate) mod throughput;
pub(crate) mod writes;

use std::{
    collections::{HashSet, VecDeque},
    panic::AssertUnwindSafe,
    sync::Arc,
    time::Duration,
};

use billwire_bus::Received;
use billwire_schemas::{
    clock::Timestamp,
    delivery::{DeliveryState, LaneKey},
    ids::Slot,
};
use futures::FutureExt;
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval, timeout, timeout_at},
};

use crate::{
    channel::{Attempt, FailureScope, Outcome, Report},
    engine::Engine,
    limits::{
        limiter::Waiter,
        target_limits::{Permits, TargetLimits},
    },
    partition::{
        dispatch::Dispatch,
        due_times::DueTimes,
        in_flight::InFlight,
        job::Job,
        lanes::{Lanes, Next},
        messages::Messages,
        reads::Reads,
        ready_queue::ReadyQueues,
        receipts::{Hole, Receipts},
        seen::Seen,
        throughput::Throughput,
        writes::{Write, Writes, Written},
    },
    routing::Routing,
};

/// The name of a slot's durable consumer.
pub fn consumer_name(slot: Slot) -> String {
    format!("slot-{slot}")
}

/// The subjects that a slot's consumer receives.
pub fn consumer_filter(slot: Slot) -> String {
    format!("billing.*.*.*.{slot}.>")
}

/// Why a partition stopped.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// The program stops, or another process is to run the slot.
    Shutdown,
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

pub(crate) struct Partition {
    pub engine: Arc<Engine>,
    pub slot: Slot,
    pub routing: Arc<Routing>,
    /// Messages that were pulled and not taken in yet.
    pub inbox: VecDeque<Received>,
    pub messages: Messages,
    pub in_flight: InFlight,
    pub seen: Seen,
    pub lanes: Lanes<Job>,
    pub ready_queues: ReadyQueues,
    /// Woken when a call has ended at a target that this partition waits for.
    waiter: Arc<Waiter>,
    attempts: JoinSet<FinishedAttempt>,
    pub writes: Writes,
    pub reads: Reads,
    pub due_times: DueTimes,
    pub throughput: Throughput,
    /// The outbox position up to which the stream has been received; `None`: all that was left on it at the start has been. A stop can leave
    /// the later events of a lane in the delivery store and the earlier ones only on the stream: a stored delivery is not attempted before
    /// the stream has been received up to its event.
    pub reached: Option<i64>,
    pub receipts: Receipts,
    pub hole: Option<Hole>,
    /// Lanes in memory that were there when the configuration was read last: a queue that was held may have been released, with deliveries of
    /// the lane in the delivery store. They are asked for with the next event.
    pub outdated: HashSet<LaneKey>,
}

/// How often time-dependent state is looked at; nothing is read for it unless something is due.
const TICK: Duration = Duration::from_millis(200);
/// How often the progress is reported.
const REPORT_EVERY: Duration = Duration::from_secs(5);
/// How often lanes are repaired.
const REPAIR_EVERY: Duration = Duration::from_secs(30);
/// Messages pulled at once.
const INTAKE_MAX: usize = 500;
/// How long attempts may take after the stop signal.
const FINISH_MAX: Duration = Duration::from_secs(3);

impl Partition {
    pub fn new(engine: Arc<Engine>, slot: Slot) -> Self {
        Self {
            engine,
            slot,
            // No revision: the start reads the configuration.
            routing: Arc::default(),
            inbox: VecDeque::new(),
            messages: Messages::default(),
            in_flight: InFlight::default(),
            seen: Seen::default(),
            lanes: Lanes::default(),
            ready_queues: ReadyQueues::default(),
            waiter: Arc::default(),
            attempts: JoinSet::new(),
            writes: Writes::default(),
            reads: Reads::default(),
            due_times: DueTimes::default(),
            throughput: Throughput::default(),
            reached: Some(0),
            receipts: Receipts::default(),
            hole: None,
            outdated: HashSet::new(),
        }
    }

    /// Runs, under the lease with this fence, until something stops it. What is in memory then comes again: as an unacknowledged message, or
    /// from the delivery store.
    pub async fn run(mut self, fence: i64, mut stop: watch::Receiver<bool>) -> Stop {
        let mut pull = match self.start(fence).await {
            Ok(pull) => pull,
            Err(error) => return Stop::Failed(error),
        };
        self.reached = (pull.waiting() > 0).then_some(0);
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut repair_lanes = interval(REPAIR_EVERY);
        let mut report_progress = interval(REPORT_EVERY);
        let (mut changed, mut enqueued) = (self.engine.changed.clone(), self.engine.enqueued.clone());
        let mut room = true;
        loop {
            self.dispatch();
            self.writes.start(&self.engine, false);
            self.reads.start(&self.engine);
            room = self.has_room(room);
            let waiter = self.waiter.clone();
            let step = tokio::select! {
                biased;
                _ = stop.changed() => Err(Stop::Shutdown),
                Some(done) = self.attempts.join_next() => { self.finished(done); Ok(()) }
                written = self.writes.done() => self.written(written).await,
                Some(loaded) = self.reads.next() => self.loaded(loaded),
                () = waiter.woken() => { self.unblock(); Ok(()) }
                _ = changed.changed() => self.reload().await,
                _ = enqueued.changed() => { self.due_times.invalidate(); self.read_due(); Ok(()) }
                _ = tick.tick() => {
                    self.shed();
                    self.ready_queues.unblock_each();
                    self.read_due();
                    Ok(())
                }
                _ = repair_lanes.tick() => {
                    self.reads.repair_lanes(&self.engine, self.slot, &self.routing);
                    Ok(())
                }
                _ = report_progress.tick() => { self.report_progress().await; self.settle_stream().await }
                () = std::future::ready(()), if room && !self.inbox.is_empty() => self.take_in().await,
                () = std::future::ready(()), if room && self.hole.is_some() => self.fill_hole().await,
                messages = pull.next(INTAKE_MAX), if room && self.inbox.is_empty() => match messages {
                    Ok(messages) => self.receive(messages).await,
                    Err(error) => Err(Stop::Failed(error.to_string())),
                },
            };
            match step {
                Ok(()) => {}
                Err(Stop::Shutdown) => {
                    self.finish_attempts().await;
                    return self.settle_stream().await.err().unwrap_or(Stop::Shutdown);
                }
                Err(stop) => return stop,
            }
        }
    }

    /// Whether more messages may be taken into memory. Once full, none are until there is room for many: the queries of an intake cost the
    /// same for few messages as for many.
    pub fn has_room(&self, had_room: bool) -> bool {
        let max = self.engine.options.in_flight_max;
        let margin = if had_room { 0 } else { INTAKE_MAX.min(max / 2) };
        self.messages.len().max(self.in_flight.len()) + margin < max && self.engine.in_flight_bytes.has_room()
    }

    /// Waits for the attempts in progress and records them, so that an orderly stop repeats nothing at the next start.
    async fn finish_attempts(&mut self) {
        let until = Instant::now() + FINISH_MAX;
        while let Ok(Some(done)) = timeout_at(until, self.attempts.join_next()).await {
            self.finished(done);
        }
        while self.writes.busy() {
            self.writes.start(&self.engine, true);
            let Ok((writes, Ok(()))) = timeout_at(until, self.writes.done()).await else { return };
            for number in writes.into_iter().filter_map(|write| write.message) {
                self.settle(number).await;
            }
        }
    }

    /// Reports the progress of each queue that changed.
    async fn report_progress(&mut self) {
        let changed = self.throughput.changed(self.slot, self.engine.clock.now());
        if !changed.is_empty()
            && let Err(error) = self.engine.delivery_store.save_progress(changed).await
        {
            tracing::debug!(%error, "the progress of queues could not be saved");
        }
    }

    /// Reads the configuration again.
    pub async fn reload(&mut self) -> Result<(), Stop> {
        self.routing = self.engine.routing().await.map_err(Stop::Failed)?;
        self.outdated = self.lanes.keys().cloned().collect();
        // An endpoint may be enabled again, or a queue resumed.
        self.ready_queues.unblock_each();
        self.read_due();
        Ok(())
    }

    /// The limits of targets, as configured now.
    pub fn target_limits(&self) -> TargetLimits<'_> {
        TargetLimits { routing: &self.routing, limiters: &self.engine.limiters }
    }

    /// Parks all jobs of a lane behind its head, which waits in the delivery store.
    pub fn park_behind(&mut self, lane: &LaneKey) {
        for job in self.lanes.failed(lane) {
            self.writes.add(Write {
                delivery: job.delivery_in(DeliveryState::Waiting, None),
                message: job.message,
                lane: Some(lane.clone()),
                _held_bytes: job.held_bytes,
            });
        }
    }

    /// Calls have ended at targets that some owners wait for.
    fn unblock(&mut self) {
        self.waiter.freed().iter().for_each(|limiter| self.ready_queues.unblock_or_pass_on(limiter));
    }

    /// Starts attempts.
    fn dispatch(&mut self) {
        let (engine, attempts) = (&self.engine, &mut self.attempts);
        let limits = TargetLimits { routing: &self.routing, limiters: &engine.limiters };
        let dispatch = Dispatch { options: &engine.options, limits, waiter: &self.waiter, now: engine.clock.now() };
        let running = attempts.len();
        dispatch.start(&mut self.ready_queues, running, |job, permits| {
            attempts.spawn(attempt(engine.clone(), job, permits));
        });
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
        let now = self.engine.clock.now();
        for Write { delivery, message, lane, .. } in writes {
            let owner = delivery.owner();
            self.in_flight.remove(delivery.id, owner);
            self.reads.release(delivery.id);
            self.due_times.recorded(owner, now);
            if let (DeliveryState::Waiting, Some(at)) = (delivery.state, delivery.next_attempt_at) {
                self.due_times.add(owner, at);
            }
            if let Some(number) = message {
                self.settle(number).await;
            }
            if let Some(lane) = lane
                && matches!(self.lanes.recorded(&lane), Next::Load)
            {
                self.read_lane(lane);
            }
        }
        self.read_due();
        Ok(())
    }

    /// One delivery of a message is recorded; with the last one the message is acknowledged.
    async fn settle(&mut self, number: u64) {
        for received in self.messages.recorded(number) {
            self.engine.bus.ack(&received).await;
        }
    }
}

/// Makes one attempt.
async fn attempt(engine: Arc<Engine>, job: Job, permits: Permits) -> FinishedAttempt {
    let attempt = Attempt {
        delivery: job.delivery.id,
        number: job.delivery.attempts + 1,
        forgiven: job.delivery.forgiven,
        event: job.event.clone(),
        subscription: job.route.subscription.clone(),
    };
    let (at, began) = (engine.clock.now(), Instant::now());
    let late = Outcome::Retry { report: Report::new(None, "timed out"), after: None, failure_scope: FailureScope::Target };
    // A panic must not stop the lane: the attempt does not count, and the delivery is attempted again.
    let tried = AssertUnwindSafe(timeout(engine.options.attempt_timeout, engine.channels.attempt(&attempt))).catch_unwind().await;
    let outcome = match tried {
        Ok(in_time) => in_time.unwrap_or(late),
        Err(_) => Outcome::NotAttempted("the channel panicked".to_owned()),
    };
    FinishedAttempt { job, permits, at, latency: began.elapsed(), outcome }
}
