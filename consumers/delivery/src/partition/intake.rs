//! Intake of messages: which deliveries each message causes, and which of them are new.

use std::{collections::HashSet, sync::Arc, time::Duration};

use billwire_bus::Received;
use billwire_schemas::{
    delivery::{AttemptRecord, Delivery, DeliveryState, LaneKey},
    ids::DeliveryId,
};
use tokio::time::Instant;

use crate::{
    authenticity,
    channel::Report,
    event::Event,
    matching::Match,
    partition::{Partition, Pending, Stop, job::Job, lanes::Offer, writes::Write},
};

/// Ordering keys whose last sequence is remembered; beyond that, all are forgotten.
const SEEN_MAX: usize = 200_000;

/// An event and the subscriptions it matches.
type EventMatches = (Arc<Event>, Vec<Match>);

/// What the delivery store holds.
struct InStore {
    /// Deliveries that are stored.
    known: HashSet<DeliveryId>,
    /// Lanes with waiting deliveries.
    waiting: HashSet<LaneKey>,
}

impl Partition {
    /// Receives messages, in their order.
    pub async fn receive(&mut self, received: Vec<Received>) -> Result<(), Stop> {
        self.throughput.pending = received.iter().rev().find_map(|message| message.pending).unwrap_or(self.throughput.pending);
        // First of all: a forged sequence would make an authentic event look like a repeated one.
        let received =
            authenticity::genuine(&self.engine.bus, self.engine.delivery_store.as_ref(), received).await.map_err(Stop::Failed)?;
        let reached = received.iter().map(|message| message.position).max();
        let mut fresh: Vec<(Option<Received>, Arc<Event>)> = Vec::with_capacity(received.len());
        for message in received {
            let Some(event) = Event::of(&message) else {
                self.engine.bus.ack(&message).await;
                continue;
            };
            if event.key.partition(self.queue.partitions) != self.number {
                self.engine.bus.ack(&message).await;
                continue;
            }
            for missing in self.gap_before(&event).await? {
                fresh.push((None, Arc::new(missing)));
            }
            fresh.push((Some(message), Arc::new(event)));
        }
        let mut matched = self.match_all(&fresh);
        let delivery_store = self.engine.delivery_store.clone();
        // After the messages have arrived: the revision then covers all that was configured before the events were committed.
        let (revision, mut in_store) = tokio::try_join!(delivery_store.revision(), self.in_store(&matched)).map_err(Stop::Failed)?;
        if revision != self.revision {
            self.reload().await?;
            matched = self.match_all(&fresh);
            in_store = self.in_store(&matched).await.map_err(Stop::Failed)?;
        }
        let messages = self.admit_all(fresh, matched, &in_store).await;
        self.reached = self.reached.max(reached);
        if !self.caught_up && self.throughput.pending == 0 {
            self.caught_up = true;
            self.reads.repair_lanes(&self.engine, self.partition_id(), self.queue.in_order);
        }
        for number in messages {
            // A message without a new delivery is finished at once.
            if self.messages.get(&number).is_some_and(|p| p.left == 0) {
                self.settle(number).await;
            }
        }
        Ok(())
    }

    /// The events of the ordering key that are missing on the stream before this one. An in-order queue sees every event of its keys, so
    /// a jump in the sequence is a gap in the stream; SQL has the missing events.
    async fn gap_before(&mut self, event: &Event) -> Result<Vec<Event>, Stop> {
        if !self.queue.in_order {
            return Ok(Vec::new());
        }
        if self.seen.len() >= SEEN_MAX {
            self.seen.clear();
        }
        let last = self.seen.get(&event.key).copied();
        self.seen.insert(event.key.clone(), last.unwrap_or(0).max(event.sequence));
        match last {
            Some(last) if event.sequence > last + 1 => {
                tracing::warn!(key = %event.key, after = last, before = event.sequence, "a gap in the stream is filled from SQL");
                let (mut missing, mut last) = (Vec::new(), last);
                while last + 1 < event.sequence {
                    let page = self.engine.delivery_store.events_between(&event.tenant, &event.key, last, event.sequence).await;
                    let page = page.map_err(Stop::Failed)?;
                    let Some(end) = page.last() else { break };
                    last = end.sequence;
                    missing.extend(page);
                }
                Ok(missing)
            }
            _ => Ok(Vec::new()),
        }
    }

    /// Records a dead letter for a delivery whose filter failed: a person can correct the filter and redrive it.
    fn filter_failed(&mut self, job: &Job, fault: &str) {
        let last = AttemptRecord { number: 0, at: job.delivery.created_at, latency: Duration::ZERO, report: Report::new(None, fault) };
        let delivery = Delivery { last: Some(last), ..job.delivery_in(DeliveryState::Dead, None) };
        self.writes.add(Write { delivery, message: job.message, lane: None });
    }

    /// The matches of each of these events.
    fn match_all(&mut self, events: &[(Option<Received>, Arc<Event>)]) -> Vec<EventMatches> {
        events.iter().map(|(_, event)| (event.clone(), self.matching.matches(event))).collect()
    }

    /// What the delivery store holds of the deliveries these events cause, and of their lanes.
    async fn in_store(&self, matched: &[EventMatches]) -> Result<InStore, String> {
        let each = || matched.iter().flat_map(|(event, matches)| matches.iter().map(move |(subscription, _)| (event, subscription.id)));
        let ids: Vec<DeliveryId> = each().map(|(event, subscription)| DeliveryId::of(event.id, subscription)).collect();
        let lanes: HashSet<LaneKey> = if self.queue.in_order {
            each().map(|(event, subscription)| (subscription.0, event.key.clone())).filter(|lane| !self.lanes.contains(lane)).collect()
        } else {
            HashSet::new()
        };
        let lanes: Vec<LaneKey> = lanes.into_iter().collect();
        // In this order: a delivery that another process parks in between then counts as waiting, and no later one overtakes it. In the
        // other order it would be known, and dropped here, but later ones would not wait for it.
        let known = self.engine.delivery_store.known(&ids).await?;
        let waiting = self.engine.delivery_store.waiting_lanes(&lanes).await?;
        Ok(InStore { known, waiting })
    }

    /// Admits the new deliveries of these events and drops those that are stored already. Gives the numbers of the messages.
    async fn admit_all(&mut self, events: Vec<(Option<Received>, Arc<Event>)>, matched: Vec<EventMatches>, in_store: &InStore) -> Vec<u64> {
        let (mut jobs, mut numbers) = (Vec::new(), Vec::new());
        let now = self.engine.clock.now();
        for ((received, event), (_, matches)) in events.into_iter().zip(matched) {
            // In memory already: this is a second copy, and the acknowledgement of the first covers both.
            if matches.iter().any(|(s, _)| self.in_flight.contains(DeliveryId::of(event.id, s.id))) {
                continue;
            }
            let message = match received {
                Some(received) if matches.is_empty() => {
                    self.engine.bus.ack(&received).await;
                    continue;
                }
                Some(received) => {
                    self.next_message += 1;
                    let new = matches.iter().filter(|(s, _)| !in_store.known.contains(&DeliveryId::of(event.id, s.id))).count();
                    self.messages.insert(self.next_message, Pending { received, left: new });
                    numbers.push(self.next_message);
                    Some(self.next_message)
                }
                None => None,
            };
            for (subscription, fault) in matches {
                let delivery = self.queue.delivery(&event, subscription.id, None, now);
                if in_store.known.contains(&delivery.id) {
                    continue;
                }
                self.in_flight.insert(delivery.id, delivery.owner());
                jobs.push(Job { delivery, event: event.clone(), subscription, fault, message, since: Instant::now() });
            }
        }
        for job in jobs {
            self.admit(job, &in_store.waiting);
        }
        numbers
    }

    /// Admits one new delivery.
    fn admit(&mut self, job: Job, waiting: &HashSet<LaneKey>) {
        if let Some(fault) = &job.fault {
            return self.filter_failed(&job, fault);
        }
        let over_share = self.over_share(job.subscription.id);
        if !self.queue.in_order {
            return if over_share { self.park(&job, false) } else { self.ready(job) };
        }
        let lane = job.delivery.lane();
        let waits = waiting.contains(&lane);
        let new_over_share = over_share && !waits && !self.lanes.contains(&lane);
        match self.lanes.offer(&lane, job, waits || new_over_share, over_share) {
            Offer::Attempt(job) => self.ready(job),
            Offer::Queued => {}
            Offer::Park(job) => self.park(&job, !new_over_share),
        }
    }
}
