//! The end of an attempt: the delivery's new state, and what follows for its lane.

use billwire_monitoring::metrics::{METRICS, Outcome as Labels};
use billwire_schemas::delivery::{AttemptRecord, Delivery, DeliveryState};
use chrono::TimeDelta;

use crate::{
    channel::Outcome,
    partition::{FinishedAttempt, Partition, job::Job, lanes::Next, writes::Write},
};

/// The wait before a delivery that could not be attempted is attempted again.
const NOT_ATTEMPTED_WAIT: TimeDelta = TimeDelta::seconds(2);
/// The wait of a delivery that was parked because its subscription was over its share.
const OVER_SHARE_WAIT: TimeDelta = TimeDelta::seconds(1);

impl Partition {
    pub fn finished(&mut self, done: Result<FinishedAttempt, tokio::task::JoinError>) {
        let FinishedAttempt { job, permits, at, latency, outcome } = match done {
            Ok(finished) => finished,
            Err(aborted) => return tracing::debug!(%aborted, "an attempt was aborted; its delivery comes again"),
        };
        self.ready_queues.finished(job.delivery.owner(), latency);
        let now = self.engine.clock.now();
        if let Some(permit) = &permits.target {
            permit.report(&outcome, now);
        }
        if !matches!(outcome, Outcome::NotAttempted(_)) {
            self.throughput.count(job.delivery.queue, matches!(outcome, Outcome::Delivered(_)));
        }
        METRICS.attempts.get_or_create(&Labels { outcome: outcome.name() }).inc();
        METRICS.attempt_seconds.observe(latency.as_secs_f64());
        let made = job.delivery.attempts + 1;
        let own_plan = self.target_limits().limiter(job.delivery.subscription).and_then(|limiter| limiter.retry_plan());
        let retry_plan = own_plan.as_ref().unwrap_or(&self.engine.options.retry_plan);
        let (state, attempts, wait, report) = match outcome {
            Outcome::Delivered(report) => (DeliveryState::Succeeded, made, None, Some(report)),
            Outcome::GiveUp(report) => (self.given_up(&job), made, None, Some(report)),
            Outcome::NotAttempted(reason) => {
                tracing::debug!(delivery.id = %job.delivery.id, reason, "not attempted");
                (DeliveryState::Waiting, job.delivery.attempts, Some(NOT_ATTEMPTED_WAIT), None)
            }
            Outcome::Gone(report) => {
                self.give_up_target(&job);
                (DeliveryState::Waiting, made, Some(NOT_ATTEMPTED_WAIT), Some(report))
            }
            Outcome::Retry { report, after, .. } => match retry_plan.wait(job.delivery.id, made - job.delivery.forgiven, after) {
                Some(wait) => (DeliveryState::Waiting, made, TimeDelta::from_std(wait).ok(), Some(report)),
                None => (self.given_up(&job), made, None, Some(report)),
            },
        };
        let last = report.map(|report| AttemptRecord { number: made, at, latency, report });
        log_attempt(&job, state, last.as_ref());
        let delivery = Delivery { attempts, last, ..job.delivery_in(state, wait.map(|wait| now + wait)) };
        let lane = job.route.queue.in_order.then(|| delivery.lane());
        self.writes.add(Write { delivery, message: job.message, lane: lane.clone(), _held_bytes: job.held_bytes });
        let Some(lane) = lane else { return };
        if matches!(state, DeliveryState::Waiting | DeliveryState::Blocking) {
            self.park_behind(&lane);
        } else if let Next::Attempt(next) = self.lanes.completed(&lane) {
            self.ready_queues.push(next);
        }
    }

    /// Disables the target of a delivery, as its receiver asked.
    fn give_up_target(&self, job: &Job) {
        let Some(limiter) = self.target_limits().limiter(job.delivery.subscription) else { return };
        let (engine, target) = (self.engine.clone(), limiter.target());
        tokio::spawn(async move {
            if let Err(error) = engine.delivery_store.give_up(&target, "the receiver answered 410 Gone").await {
                tracing::warn!(%error, target.id = %target.id, "a receiver that is gone could not be disabled; it is attempted again");
            }
        });
    }

    /// The state of a delivery that is given up.
    fn given_up(&self, job: &Job) -> DeliveryState {
        if job.route.queue.in_order && job.route.subscription.blocks { DeliveryState::Blocking } else { DeliveryState::Dead }
    }

    /// Records a job as waiting instead of attempting it: behind the others of its lane, or due soon.
    pub fn park(&mut self, job: &Job, behind: bool) {
        let now = self.engine.clock.now();
        let turn =
            || self.target_limits().limiter(job.delivery.subscription).map_or(now + OVER_SHARE_WAIT, |limiter| limiter.next_turn(now));
        let delivery = job.delivery_in(DeliveryState::Waiting, (!behind).then(turn));
        let lane = job.route.queue.in_order.then(|| delivery.lane());
        self.writes.add(Write { delivery, message: job.message, lane, _held_bytes: job.held_bytes.clone() });
    }
}

fn log_attempt(job: &Job, state: DeliveryState, last: Option<&AttemptRecord>) {
    let Some(last) = last else { return };
    tracing::debug!(
        delivery.id = %job.delivery.id, event.id = %job.event.id, event.r#type = job.event.kind, subscription.id = %job.delivery.subscription,
        attempt = last.number, outcome = ?state, status = last.report.status, latency_ms = last.latency.as_millis() as u64,
        detail = last.report.detail, "delivery.attempted"
    );
}
