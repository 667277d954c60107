//! Deliveries from the delivery store: those that are due, and the lanes behind them.

use std::time::Duration;

use billwire_schemas::{
    clock::Timestamp,
    delivery::{AttemptRecord, Delivery, DeliveryState, LaneKey},
    ids::SubscriptionId,
};
use tokio::{task::JoinError, time::Instant};
use uuid::Uuid;

use crate::{
    channel::Report,
    limits::limiters::Availability,
    partition::{
        Partition, Stop,
        job::Job,
        lanes::Next,
        reads::{Events, Loaded},
        writes::Write,
    },
};

/// Deliveries of one owner that are read at a time, so that a backlog does not fill the memory.
const ROOM: usize = 128;

impl Partition {
    /// How many due deliveries of an owner to read now.
    fn room(&self, owner: Uuid, now: Timestamp) -> usize {
        let ready_queue = self.ready_queues.get(&owner);
        // More would only be parked again.
        if ready_queue.is_some_and(|ready_queue| ready_queue.stuck(self.alone())) {
            return 0;
        }
        match self.target_limits.availability(SubscriptionId(owner), now) {
            Availability::Closed => 0,
            // One is enough as a probe.
            Availability::ProbeWanted => usize::from(ready_queue.is_none_or(|ready_queue| ready_queue.ready.is_empty())),
            Availability::Open => ROOM.saturating_sub(ready_queue.map_or(0, |ready_queue| ready_queue.ready.len())),
        }
    }

    /// Starts to read what is due, if there is room.
    pub fn read_due(&mut self) {
        if !self.queue.paused && self.in_flight.len() < self.engine.options.in_flight_max {
            self.reads.owners(&self.engine, self.partition_id());
        }
    }

    /// Handles the result of a read.
    pub fn loaded(&mut self, loaded: Result<Loaded, JoinError>) -> Result<(), Stop> {
        match loaded.map_err(|panic| Stop::Failed(panic.to_string()))? {
            Loaded::Owners(owners) => {
                let now = self.engine.clock.now();
                let rooms = owners.into_iter().map(|owner| (owner, self.room(owner, now))).filter(|(_, room)| *room > 0);
                let rooms: Vec<(Uuid, usize)> = rooms.collect();
                if rooms.is_empty() {
                    self.more_due = false;
                    self.reads.due_finished();
                } else {
                    self.reads.due(&self.engine, self.partition_id(), rooms, self.queue.in_order, self.reached());
                }
            }
            Loaded::Due { due, more, events } => self.start_due(due, more, &events),
            Loaded::DueFailed(error) => {
                self.reads.due_finished();
                tracing::warn!(error, "what is due could not be read from the delivery store");
            }
            Loaded::Lanes(lanes, events) => {
                for (lane, entries) in lanes {
                    self.resume_lane(&lane, entries, &events);
                }
            }
            Loaded::Repaired => self.reads.repaired(&self.engine, self.partition_id(), self.queue.in_order),
            Loaded::LanesFailed(error) => return Err(Stop::Failed(error)),
        }
        Ok(())
    }

    fn start_due(&mut self, due: Vec<Delivery>, more: bool, events: &Events) {
        let now = self.engine.clock.now();
        // The owner of a replay's lane does not name the subscription; its deliveries do.
        let due = due
            .into_iter()
            .filter(|entry| entry.replay.is_none() || self.target_limits.availability(entry.subscription, now) == Availability::Open);
        let fresh: Vec<Delivery> = due.filter(|e| !self.in_flight.contains(e.id) && !self.reads.is_released(e.id)).collect();
        self.reads.due_finished();
        self.more_due = more && !fresh.is_empty();
        if !self.queue.in_order {
            for job in self.jobs(fresh, events) {
                self.ready(job);
            }
            return;
        }
        for entry in fresh {
            let lane = entry.lane();
            if !self.lanes.contains(&lane) {
                self.lanes.load(&lane);
                self.read_lane(lane);
            }
        }
    }

    /// The outbox position up to which stored deliveries may be attempted.
    fn reached(&self) -> i64 {
        self.reached.unwrap_or(i64::MAX)
    }

    fn resume_lane(&mut self, lane: &LaneKey, mut entries: Vec<Delivery>, events: &Events) {
        let now = self.engine.clock.now();
        let ahead = entries.iter().position(|entry| entry.position > self.reached());
        entries.truncate(ahead.unwrap_or(entries.len()));
        let not_due = entries.first().and_then(|e| e.next_attempt_at).is_some_and(|at| at > now);
        let jobs = if not_due { Vec::new() } else { self.jobs(entries, events) };
        match self.lanes.resume(lane, jobs) {
            Next::Attempt(job) => self.ready(job),
            Next::Load => self.read_lane(lane.clone()),
            Next::Nothing => {}
        }
    }

    /// Jobs for stored deliveries. A delivery whose event or subscription is gone is given up.
    fn jobs(&mut self, deliveries: Vec<Delivery>, events: &Events) -> Vec<Job> {
        let mut jobs = Vec::with_capacity(deliveries.len());
        for delivery in deliveries {
            let subscription = self.queue.subscriptions.iter().find(|s| s.id == delivery.subscription).cloned();
            match (events.get(&delivery.event).cloned(), subscription) {
                (Some(event), Some(subscription)) => {
                    self.in_flight.insert(delivery.id, delivery.owner());
                    jobs.push(Job { delivery, event, subscription, fault: None, message: None, since: Instant::now() });
                }
                (event, _) => {
                    let why = if event.is_none() { "the event is no longer stored" } else { "the subscription was deleted" };
                    let (number, at) = (delivery.attempts, self.engine.clock.now());
                    let last = Some(AttemptRecord { number, at, latency: Duration::ZERO, report: Report::new(None, why) });
                    let delivery = Delivery { state: DeliveryState::Dead, next_attempt_at: None, last, ..delivery };
                    self.writes.add(Write { delivery, message: None, lane: None });
                }
            }
        }
        jobs
    }
}
