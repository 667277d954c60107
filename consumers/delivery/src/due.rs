//! Taking up what waits in the ledger: deliveries that are due, and the lanes behind them.

use std::{collections::HashMap, sync::Arc, time::Duration};

use billwire_schemas::{
    clock::Timestamp,
    ids::{EventId, SubscriptionId},
};
use tokio::time::Instant;
use uuid::Uuid;

use crate::{
    channel::Report,
    event::Event,
    gates::Stand,
    lanes::Next,
    ledger::{Entry, LaneKey, State, Try},
    line::Line,
    partition::{Job, Partition, Stop},
};

/// Deliveries loaded at once from a lane.
const LANE_PAGE: u64 = 100;
/// What is due of one owner is taken up so many at a time: each lane is a question to the ledger, and others wait meanwhile.
const ROOM: usize = 128;

impl Partition {
    /// Gives a time to what a stop left without one.
    pub async fn mend(&mut self) -> Result<(), Stop> {
        if let Err(error) = self.engine.ledger.mend(self.part(), self.queue.in_order, self.engine.clock.now()).await {
            tracing::warn!(%error, "lanes could not be mended");
        }
        Ok(())
    }

    pub async fn load_lane(&mut self, lane: &LaneKey) -> Result<(), String> {
        let entries = self.engine.ledger.lane(lane, LANE_PAGE).await?;
        let now = self.engine.clock.now();
        let rests = entries.first().and_then(|e| e.next_attempt_at).is_some_and(|at| at > now);
        let jobs = if rests { Vec::new() } else { self.jobs(entries).await? };
        if let Next::Try(job) = self.lanes.resume(lane, jobs) {
            self.ready(job);
        }
        Ok(())
    }

    /// How many deliveries of an owner are to be taken up now.
    fn room(&self, owner: Uuid, now: Timestamp) -> usize {
        let line = self.lines.get(&owner);
        // What stands in line and does not move would only be sent back to the ledger.
        if line.is_some_and(Line::slow) {
            return 0;
        }
        match self.ways.stand(SubscriptionId(owner), now) {
            Stand::Rests => 0,
            // One is enough to find out whether the receiver is back.
            Stand::WantsProbe => usize::from(line.is_none_or(|line| line.ready.is_empty())),
            Stand::Flows => ROOM.saturating_sub(line.map_or(0, |line| line.ready.len())),
        }
    }

    pub async fn look_for_due(&mut self) -> Result<(), Stop> {
        if self.queue.paused || self.in_hand.len() >= self.engine.options.in_hand_max {
            return Ok(());
        }
        let (ledger, now) = (self.engine.ledger.clone(), self.engine.clock.now());
        let asked = async {
            let waiting = ledger.owners(self.part()).await?;
            let rooms: Vec<(Uuid, usize)> =
                waiting.into_iter().map(|owner| (owner, self.room(owner, now))).filter(|(_, room)| *room > 0).collect();
            if rooms.is_empty() { Ok((Vec::new(), 0)) } else { Ok((ledger.due(self.part(), &rooms, now).await?, rooms.len())) }
        };
        let (due, asked) = match asked.await {
            Ok(asked) => asked,
            Err(error) => {
                let error: String = error;
                tracing::warn!(error, "the ledger did not say what is due");
                return Ok(());
            }
        };
        let found = due.len();
        // A replay's subscription can only be told from its deliveries.
        let due = due.into_iter().filter(|entry| entry.replay.is_none() || self.ways.stand(entry.subscription, now) == Stand::Flows);
        let fresh: Vec<Entry> = due.filter(|e| !self.in_hand.contains(&e.id)).collect();
        self.more_due = asked > 0 && found >= ROOM && !fresh.is_empty();
        if fresh.is_empty() {
            return Ok(());
        }
        if self.queue.in_order {
            for entry in fresh {
                let lane = (entry.replay.map_or(entry.subscription.0, |replay| replay.0), entry.key.clone());
                if !self.lanes.holds(&lane) {
                    self.load_lane(&lane).await.map_err(Stop::Failed)?;
                }
            }
        } else {
            for job in self.jobs(fresh).await.map_err(Stop::Failed)? {
                self.ready(job);
            }
        }
        Ok(())
    }

    /// Jobs of ledger entries, with their events. An entry whose subscription is gone is given up on.
    async fn jobs(&mut self, entries: Vec<Entry>) -> Result<Vec<Job>, String> {
        let ids: Vec<EventId> = entries.iter().map(|e| e.event).collect();
        let events: HashMap<EventId, Arc<Event>> =
            self.engine.ledger.events(&ids).await?.into_iter().map(|e| (e.id, Arc::new(e))).collect();
        let mut jobs = Vec::with_capacity(entries.len());
        for mut entry in entries {
            let subscription = self.queue.subscriptions.iter().find(|s| s.id == entry.subscription).cloned();
            match (events.get(&entry.event).cloned(), subscription) {
                (Some(event), Some(subscription)) => {
                    self.in_hand.insert(entry.id);
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
        Ok(jobs)
    }
}
