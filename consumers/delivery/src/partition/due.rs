//! Taking up what waits in the delivery store: deliveries that are due, and the lanes behind them.

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

/// What is due of one owner is taken up so many at a time, lest a backlog fills the hand.
const ROOM: usize = 128;

impl Partition {
    /// How many deliveries of an owner are to be taken up now.
    fn room(&self, owner: Uuid, now: Timestamp) -> usize {
        let ready_queue = self.ready_queues.get(&owner);
        // What stands in line and does not move would only be sent back to the delivery store.
        if ready_queue.is_some_and(|ready_queue| ready_queue.stuck(self.alone())) {
            return 0;
        }
        match self.target_limits.availability(SubscriptionId(owner), now) {
            Availability::Closed => 0,
            // One is enough to find out whether the receiver is back.
            Availability::ProbeWanted => usize::from(ready_queue.is_none_or(|ready_queue| ready_queue.ready.is_empty())),
            Availability::Open => ROOM.saturating_sub(ready_queue.map_or(0, |ready_queue| ready_queue.ready.len())),
        }
    }

    /// Begins to look for what is due, if there is room for it.
    pub fn look_for_due(&mut self) {
        if !self.queue.paused && self.in_flight.len() < self.engine.options.in_flight_max {
            self.reads.look(&self.engine, self.partition_id());
        }
    }

    /// Takes what the delivery store said.
    pub fn loaded(&mut self, loaded: Result<Loaded, JoinError>) -> Result<(), Stop> {
        match loaded.map_err(|panic| Stop::Failed(panic.to_string()))? {
            Loaded::Owners(owners) => {
                let now = self.engine.clock.now();
                let rooms = owners.into_iter().map(|owner| (owner, self.room(owner, now))).filter(|(_, room)| *room > 0);
                let rooms: Vec<(Uuid, usize)> = rooms.collect();
                if rooms.is_empty() {
                    self.more_due = false;
                    self.reads.looked();
                } else {
                    self.reads.due(&self.engine, self.partition_id(), rooms, self.queue.in_order, self.reached());
                }
            }
            Loaded::Due { due, more, events } => self.take_up(due, more, &events),
            Loaded::Unknown(error) => {
                self.reads.looked();
                tracing::warn!(error, "the delivery store did not say what is due");
            }
            Loaded::Lanes(lanes, events) => {
                for (lane, entries) in lanes {
                    self.take_up_lane(&lane, entries, &events);
                }
            }
            Loaded::Mended => self.reads.repaired(&self.engine, self.partition_id(), self.queue.in_order),
            Loaded::Failed(error) => return Err(Stop::Failed(error)),
        }
        Ok(())
    }

    fn take_up(&mut self, due: Vec<Delivery>, more: bool, events: &Events) {
        let now = self.engine.clock.now();
        // A replay's subscription can only be told from its deliveries.
        let due = due
            .into_iter()
            .filter(|entry| entry.replay.is_none() || self.target_limits.availability(entry.subscription, now) == Availability::Open);
        let fresh: Vec<Delivery> = due.filter(|e| !self.in_flight.contains(e.id) && !self.reads.is_released(e.id)).collect();
        self.reads.looked();
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
                self.want_lane(lane);
            }
        }
    }

    /// The position up to which what stands in the delivery store may be sent.
    fn reached(&self) -> i64 {
        self.reached.unwrap_or(i64::MAX)
    }

    fn take_up_lane(&mut self, lane: &LaneKey, mut entries: Vec<Delivery>, events: &Events) {
        let now = self.engine.clock.now();
        let ahead = entries.iter().position(|entry| entry.position > self.reached());
        entries.truncate(ahead.unwrap_or(entries.len()));
        let rests = entries.first().and_then(|e| e.next_attempt_at).is_some_and(|at| at > now);
        let jobs = if rests { Vec::new() } else { self.jobs(entries, events) };
        match self.lanes.resume(lane, jobs) {
            Next::Attempt(job) => self.ready(job),
            Next::Load => self.want_lane(lane.clone()),
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
