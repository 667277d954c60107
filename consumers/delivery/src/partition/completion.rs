//! How a try ended, and what of it goes to the delivery store.

use billwire_schemas::clock::Timestamp;
use chrono::TimeDelta;

use crate::{
    channel::Outcome,
    partition::{FinishedAttempt, Job, Partition, lanes::Next, writes::Effect},
    store::{AttemptRecord, Entry, LaneKey, State},
};

/// How soon a delivery is tried again that we could not try.
const NOT_TRIED_WAIT: TimeDelta = TimeDelta::seconds(2);
/// When a delivery comes back that found its subscription's line full.
const CROWDED_WAIT: TimeDelta = TimeDelta::seconds(1);

impl Partition {
    pub fn finished(&mut self, done: Result<FinishedAttempt, tokio::task::JoinError>) {
        let FinishedAttempt { job, permits, at, latency, outcome } = match done {
            Ok(finished) => finished,
            Err(aborted) => return tracing::debug!(%aborted, "a try was cut off; its delivery comes again"),
        };
        if let Some(ready_queue) = self.ready_queues.get_mut(&job.owner()) {
            ready_queue.under_way -= 1;
            ready_queue.latest = latency;
        }
        let now = self.engine.clock.now();
        if let Some(permit) = &permits.target {
            permit.report(&outcome, now);
        }
        if !matches!(outcome, Outcome::NotAttempted(_)) {
            self.throughput.count(matches!(outcome, Outcome::Delivered(_)));
        }
        let made = job.attempts + 1;
        let own_plan = self.target_limits.limiter(job.subscription.id).and_then(|limiter| limiter.retry_plan());
        let routing_config = own_plan.as_ref().unwrap_or(&self.engine.options.retry_plan);
        let (state, attempts, wait, report) = match outcome {
            Outcome::Delivered(report) => (State::Succeeded, made, None, Some(report)),
            Outcome::GiveUp(report) => (self.given_up(&job), made, None, Some(report)),
            Outcome::NotAttempted(reason) => {
                tracing::debug!(delivery.id = %job.id, reason, "not tried");
                (State::Waiting, job.attempts, Some(NOT_TRIED_WAIT), None)
            }
            Outcome::Gone(report) => {
                self.give_up_target(&job);
                (State::Waiting, made, Some(NOT_TRIED_WAIT), Some(report))
            }
            Outcome::Retry { report, after, .. } => match routing_config.wait(job.id, made - job.forgiven, after) {
                Some(wait) => (State::Waiting, made, TimeDelta::from_std(wait).ok(), Some(report)),
                None => (self.given_up(&job), made, None, Some(report)),
            },
        };
        let last = report.map(|report| AttemptRecord { number: made, at, latency, report });
        log_attempt(&job, state, last.as_ref());
        let mut entry = self.entry(&job, state, wait.map(|wait| now + wait));
        entry.attempts = attempts;
        entry.last = last;
        if !self.queue.in_order {
            return self.record(entry, job.message, None);
        }
        let lane = job.lane();
        self.record(entry, job.message, Some(lane.clone()));
        if matches!(state, State::Waiting | State::Blocking) {
            self.park_behind(&lane);
        } else if let Next::AttemptRecord(next) = self.lanes.ended(&lane) {
            self.ready(next);
        }
    }

    /// Has the target of a delivery disabled, as its receiver wants.
    fn give_up_target(&self, job: &Job) {
        let Some(limiter) = self.target_limits.limiter(job.subscription.id) else { return };
        let (engine, target) = (self.engine.clone(), limiter.target());
        tokio::spawn(async move {
            if let Err(error) = engine.delivery_store.give_up(&target, "the receiver answered 410 Gone").await {
                tracing::warn!(%error, target.id = %target.id, "a receiver that is gone could not be disabled; it is tried again");
            }
        });
    }

    /// Where a delivery stands that is given up on.
    fn given_up(&self, job: &Job) -> State {
        if self.queue.in_order && job.subscription.blocks { State::Blocking } else { State::Dead }
    }

    pub fn entry(&self, job: &Job, state: State, next_attempt_at: Option<Timestamp>) -> Entry {
        Entry {
            id: job.id,
            tenant: job.event.tenant.clone(),
            event: job.event.id,
            event_type: job.event.kind.clone(),
            queue: self.queue.id,
            partition: self.number,
            subscription: job.subscription.id,
            replay: job.replay,
            key: job.event.key.clone(),
            sequence: job.event.sequence,
            position: job.event.position,
            state,
            attempts: job.attempts,
            forgiven: job.forgiven,
            next_attempt_at,
            last: None,
            created_at: job.created_at,
            new: job.message.is_some(),
        }
    }

    pub fn record(&mut self, entry: Entry, message: Option<u64>, lane: Option<LaneKey>) {
        let (id, owner) = (entry.id, entry.owner());
        self.writes.add(entry, Effect { message, lane, id, owner });
    }

    /// Writes a job to the delivery store instead of trying it: behind the others of its lane, or to come back soon.
    pub fn park(&mut self, job: &Job, behind: bool) {
        let now = self.engine.clock.now();
        let turn = || self.target_limits.limiter(job.subscription.id).map_or(now + CROWDED_WAIT, |limiter| limiter.turn(now));
        let due = (!behind).then(turn);
        let entry = self.entry(job, State::Waiting, due);
        let lane = self.queue.in_order.then(|| job.lane());
        self.record(entry, job.message, lane);
    }
}

fn log_attempt(job: &Job, state: State, last: Option<&AttemptRecord>) {
    let Some(last) = last else { return };
    tracing::debug!(
        delivery.id = %job.id, event.id = %job.event.id, event.r#type = job.event.kind, subscription.id = %job.subscription.id,
        attempt = last.number, outcome = ?state, status = last.report.status, latency_ms = last.latency.as_millis() as u64,
        detail = last.report.detail, "delivery.attempted"
    );
}
