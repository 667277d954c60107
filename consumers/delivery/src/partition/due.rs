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
    limits::limiter::Availability,
    partition::{
        Partition, Stop,
        job::Job,
        lanes::Next,
        reads::{Events, Loaded},
        writes::Write,
    },
    store::{Due, DueOf},
};

/// Deliveries of one owner that are read at a time, so that a backlog does not fill the memory.
const ROOM: usize = 128;
/// Owners whose due deliveries are read at a time.
const OWNERS_MAX: usize = 64;

impl Partition {
    /// How many due deliveries of an owner to read now.
    fn room(&self, owner: Uuid, now: Timestamp) -> usize {
        let ready_queue = self.ready_queues.get(owner);
        // More would only be parked again.
        if ready_queue.is_some_and(|ready_queue| ready_queue.stuck(self.in_flight.alone(owner))) {
            return 0;
        }
        match self.target_limits().availability(SubscriptionId(owner), now) {
            Availability::Closed => 0,
            // One is enough as a probe.
            Availability::ProbeWanted => usize::from(ready_queue.is_none_or(|ready_queue| ready_queue.ready.is_empty())),
            Availability::Open => ROOM.saturating_sub(ready_queue.map_or(0, |ready_queue| ready_queue.ready.len())),
        }
    }

    /// Starts to read what is due, if anything is, and there is room.
    pub fn read_due(&mut self) {
        if self.reads.may_read_owners() && self.due_times.read_owners() {
            self.reads.owners(&self.engine, self.slot);
        }
        let room = self.in_flight.len() < self.engine.options.in_flight_max && self.engine.in_flight_bytes.has_room();
        if !room || !self.reads.may_read_due() {
            return;
        }
        let (now, reached) = (self.engine.clock.now(), self.reached());
        let rooms = self.due_times.due(now).map(|owner| (owner, self.room(owner, now))).filter(|(_, room)| *room > 0).take(OWNERS_MAX);
        let in_order = |owner| self.routing.route(SubscriptionId(owner)).is_none_or(|route| route.queue.in_order);
        let of = |(owner, room)| DueOf { owner, room, reached: if in_order(owner) { reached } else { i64::MAX } };
        let owners: Vec<DueOf> = rooms.map(of).collect();
        if owners.is_empty() {
            return;
        }
        for DueOf { owner, .. } in &owners {
            self.due_times.reading(*owner);
        }
        self.reads.due(&self.engine, self.slot, owners, self.routing.clone());
    }

    /// Handles the result of a read.
    pub fn loaded(&mut self, loaded: Result<Loaded, JoinError>) -> Result<(), Stop> {
        match loaded.map_err(|panic| Stop::Failed(panic.to_string()))? {
            Loaded::Owners(owners) => {
                self.due_times.set(owners);
                self.read_due();
            }
            Loaded::Due(owners, due, events) => {
                self.start_due(&owners, due, &events);
                self.read_due();
            }
            Loaded::OwnersFailed(error) => tracing::warn!(error, "what waits could not be read from the delivery store"),
            Loaded::DueFailed(owners, error) => {
                self.reads.due_finished();
                tracing::warn!(error, "what is due could not be read from the delivery store");
                let now = self.engine.clock.now();
                owners.iter().for_each(|of| self.due_times.add(of.owner, now));
            }
            Loaded::Lanes(lanes, events) => {
                for (lane, entries) in lanes {
                    self.resume_lane(&lane, entries, &events);
                }
            }
            Loaded::Repaired => {
                self.due_times.invalidate();
                self.reads.repaired(&self.engine, self.slot, &self.routing);
            }
            Loaded::LanesFailed(error) => return Err(Stop::Failed(error)),
        }
        Ok(())
    }

    fn start_due(&mut self, owners: &[DueOf], due: Due, events: &Events) {
        let now = self.engine.clock.now();
        for (owner, at) in due.next {
            self.due_times.add(owner, at);
        }
        let new = |entry: &Delivery| !self.in_flight.contains(entry.id) && !self.reads.is_released(entry.id);
        for of in owners {
            let mut found = due.deliveries.iter().filter(|entry| entry.owner() == of.owner).peekable();
            let any_new = found.clone().any(new);
            // An owner that filled its room may have more.
            if found.peek().is_some() && found.count() >= of.room {
                if any_new { self.due_times.add(of.owner, now) } else { self.due_times.add_once_recorded(of.owner) }
            }
        }
        // The owner of a replay's lane does not name the subscription; its deliveries do.
        let closed =
            |entry: &Delivery| entry.replay.is_some() && self.target_limits().availability(entry.subscription, now) != Availability::Open;
        let (waiting, due): (Vec<Delivery>, Vec<Delivery>) = due.deliveries.into_iter().partition(closed);
        for entry in &waiting {
            self.due_times.add(entry.owner(), now + CLOSED_WAIT);
        }
        let fresh = due.into_iter().filter(new);
        let in_order = |entry: &Delivery| self.routing.route(entry.subscription).is_some_and(|route| route.queue.in_order);
        let (in_order, apart): (Vec<Delivery>, Vec<Delivery>) = fresh.partition(in_order);
        self.reads.due_finished();
        for job in self.jobs(apart, events) {
            self.ready_queues.push(job);
        }
        for entry in in_order {
            let lane = entry.lane();
            if self.lanes.contains(&lane) {
                self.due_times.add_once_recorded(lane.0);
            } else {
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
        let not_due = entries.first().and_then(|e| e.next_attempt_at).filter(|at| *at > now);
        if let Some(at) = not_due {
            self.due_times.add(lane.0, at);
            entries.clear();
        }
        let jobs = self.jobs(entries, events);
        match self.lanes.resume(lane, jobs) {
            Next::Attempt(job) => self.ready_queues.push(job),
            Next::Load => self.read_lane(lane.clone()),
            Next::Nothing => {}
        }
    }

    /// Jobs for stored deliveries. A delivery whose event or subscription is gone is given up.
    fn jobs(&mut self, deliveries: Vec<Delivery>, events: &Events) -> Vec<Job> {
        let mut jobs = Vec::with_capacity(deliveries.len());
        for delivery in deliveries {
            match (events.get(&delivery.event), self.routing.route(delivery.subscription)) {
                (Some((event, held_bytes)), Some(route)) => {
                    self.in_flight.insert(delivery.id, delivery.owner());
                    let (event, route, held_bytes) = (event.clone(), route.clone(), Some(held_bytes.clone()));
                    jobs.push(Job { delivery, event, route, fault: None, message: None, held_bytes, since: Instant::now() });
                }
                (event, _) => {
                    let why = if event.is_none() { "the event is no longer stored" } else { "the subscription was deleted" };
                    let (number, at) = (delivery.attempts, self.engine.clock.now());
                    let last = Some(AttemptRecord { number, at, latency: Duration::ZERO, report: Report::new(None, why) });
                    let delivery = Delivery { state: DeliveryState::Dead, next_attempt_at: None, last, ..delivery };
                    self.writes.add(Write { delivery, message: None, lane: None, _held_bytes: None });
                }
            }
        }
        jobs
    }
}

/// The wait of a replay whose subscription is closed.
const CLOSED_WAIT: chrono::TimeDelta = chrono::TimeDelta::seconds(1);
