//! Taking up what waits in the delivery store: deliveries that are due, and the lanes behind them.

use std::time::Duration;

use billwire_schemas::{clock::Timestamp, ids::SubscriptionId};
use tokio::{task::JoinError, time::Instant};
use uuid::Uuid;

use crate::{
    channel::Report,
    limits::limiters::Stand,
    partition::{
        Job, Partition, Stop,
        lanes::Next,
        reads::{Events, Loaded},
    },
    store::{Entry, LaneKey, State, Try},
};

/// What is due of one owner is taken up so many at a time, lest a backlog fills the hand.
const ROOM: usize = 128;

impl Partition {
    /// How many deliveries of an owner are to be taken up now.
    fn room(&self, owner: Uuid, now: Timestamp) -> usize {
        let line = self.lines.get(&owner);
        // What stands in line and does not move would only be sent back to the delivery store.
        if line.is_some_and(|line| line.stuck(self.alone())) {
            return 0;
        }
        match self.ways.stand(SubscriptionId(owner), now) {
            Stand::Rests => 0,
            // One is enough to find out whether the receiver is back.
            Stand::WantsProbe => usize::from(line.is_none_or(|line| line.ready.is_empty())),
            Stand::Flows => ROOM.saturating_sub(line.map_or(0, |line| line.ready.len())),
        }
    }

    /// Begins to look for what is due, if there is room for it.
    pub fn look_for_due(&mut self) {
        if !self.queue.paused && self.in_hand.len() < self.engine.options.in_hand_max {
            self.loading.look(&self.engine, self.part());
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
                    self.loading.looked();
                } else {
                    self.loading.due(&self.engine, self.part(), rooms, self.queue.in_order, self.reached());
                }
            }
            Loaded::Due { due, more, events } => self.take_up(due, more, &events),
            Loaded::Unknown(error) => {
                self.loading.looked();
                tracing::warn!(error, "the delivery store did not say what is due");
            }
            Loaded::Lanes(lanes, events) => {
                for (lane, entries) in lanes {
                    self.take_up_lane(&lane, entries, &events);
                }
            }
            Loaded::Mended => self.loading.mended(&self.engine, self.part(), self.queue.in_order),
            Loaded::Failed(error) => return Err(Stop::Failed(error)),
        }
        Ok(())
    }

    fn take_up(&mut self, due: Vec<Entry>, more: bool, events: &Events) {
        let now = self.engine.clock.now();
        // A replay's subscription can only be told from its deliveries.
        let due = due.into_iter().filter(|entry| entry.replay.is_none() || self.ways.stand(entry.subscription, now) == Stand::Flows);
        let fresh: Vec<Entry> = due.filter(|e| !self.in_hand.contains(e.id) && !self.loading.is_released(e.id)).collect();
        self.loading.looked();
        self.more_due = more && !fresh.is_empty();
        if !self.queue.in_order {
            for job in self.jobs(fresh, events) {
                self.ready(job);
            }
            return;
        }
        for entry in fresh {
            let lane = (entry.owner(), entry.key.clone());
            if !self.lanes.holds(&lane) {
                self.lanes.load(&lane);
                self.want_lane(lane);
            }
        }
    }

    /// The position up to which what stands in the delivery store may be sent.
    fn reached(&self) -> i64 {
        self.reached.unwrap_or(i64::MAX)
    }

    fn take_up_lane(&mut self, lane: &LaneKey, mut entries: Vec<Entry>, events: &Events) {
        let now = self.engine.clock.now();
        let ahead = entries.iter().position(|entry| entry.position > self.reached());
        entries.truncate(ahead.unwrap_or(entries.len()));
        let rests = entries.first().and_then(|e| e.next_attempt_at).is_some_and(|at| at > now);
        let jobs = if rests { Vec::new() } else { self.jobs(entries, events) };
        match self.lanes.resume(lane, jobs) {
            Next::Try(job) => self.ready(job),
            Next::Load => self.want_lane(lane.clone()),
            Next::Nothing => {}
        }
    }

    /// Jobs of delivery store entries. An entry whose subscription is gone is given up on.
    fn jobs(&mut self, entries: Vec<Entry>, events: &Events) -> Vec<Job> {
        let mut jobs = Vec::with_capacity(entries.len());
        for mut entry in entries {
            let subscription = self.queue.subscriptions.iter().find(|s| s.id == entry.subscription).cloned();
            match (events.get(&entry.event).cloned(), subscription) {
                (Some(event), Some(subscription)) => {
                    self.in_hand.insert(entry.id, entry.owner());
                    jobs.push(Job {
                        id: entry.id,
                        event,
                        subscription,
                        replay: entry.replay,
                        attempts: entry.attempts,
                        forgiven: entry.forgiven,
                        fault: None,
                        message: None,
                        created_at: entry.created_at,
                        since: Instant::now(),
                    });
                }
                (event, _) => {
                    let why = if event.is_none() { "the event's retention has ended" } else { "the subscription was deleted" };
                    entry.state = State::Dead;
                    entry.next_attempt_at = None;
                    let report = Report::new(None, why);
                    entry.last = Some(Try { number: entry.attempts, at: self.engine.clock.now(), latency: Duration::ZERO, report });
                    self.record(entry, None, None);
                }
            }
        }
        jobs
    }
}
