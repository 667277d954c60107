//! Intake of messages: which deliveries each message causes, and which of them are new.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use billwire_bus::Received;
use billwire_schemas::{
    delivery::LaneKey,
    ids::{DeliveryId, QueueId, Slot},
};
use tokio::time::Instant;

use crate::{
    authenticity,
    event::Event,
    matching::Matches,
    partition::{Partition, Stop, job::Job, lanes::Offer, writes::Write},
    routing::filter_failed,
    store::InStore,
};

/// Deliveries that one step of the intake causes, unless a single message causes more.
const DELIVERIES_AT_ONCE: usize = 1024;

/// An event, the message it came with, and what it matches. An event that was missing on the stream has no message.
struct Arrival {
    message: Option<Received>,
    event: Arc<Event>,
    matches: Matches,
}

impl Partition {
    /// Receives messages, in their order: those already in the inbox after `received` are put there. Takes in as many as fit into memory.
    pub async fn receive(&mut self, received: Vec<Received>) -> Result<(), Stop> {
        self.throughput.pending = received.iter().rev().find_map(|message| message.pending).unwrap_or(self.throughput.pending);
        // First of all: a forged sequence would make an authentic event look like a repeated one.
        let received =
            authenticity::genuine(&self.engine.bus, self.engine.delivery_store.as_ref(), received).await.map_err(Stop::Failed)?;
        let mut hole = false;
        for message in &received {
            hole |= self.receipts.arrive(message.stream_sequence, message.previous);
        }
        self.arrived(received, hole).await?;
        self.take_in().await
    }

    /// Takes in messages from the inbox.
    pub async fn take_in(&mut self) -> Result<(), Stop> {
        let mut arrivals = self.next_arrivals().await?;
        let reached = arrivals.iter().map(|arrival| arrival.event.position).max();
        let in_store = self.route_all(&mut arrivals).await?;
        self.admit_all(arrivals, &in_store).await;
        if self.reached.is_some() {
            self.reached = self.reached.max(reached);
            if self.throughput.pending == 0 && self.inbox.is_empty() {
                self.reached = None;
                self.reads.repair_lanes(&self.engine, self.slot, &self.routing);
            }
        }
        Ok(())
    }

    /// The next messages of the inbox with their events, and events that are missing before them; as many as cause a limited number of
    /// deliveries.
    async fn next_arrivals(&mut self) -> Result<Vec<Arrival>, Stop> {
        let (mut arrivals, mut deliveries) = (Vec::new(), 0);
        while deliveries < DELIVERIES_AT_ONCE {
            let Some(message) = self.inbox.pop_front() else { break };
            let event = Event::of(&message).filter(|event| Slot::of(&event.tenant, &event.key) == self.slot);
            let Some(event) = event else {
                self.engine.bus.ack(&message).await;
                continue;
            };
            for missing in self.missing_before(&event).await? {
                arrivals.push(self.arrival(None, missing));
            }
            let arrival = self.arrival(Some(message), event);
            deliveries += arrival.matches.matches.len();
            arrivals.push(arrival);
        }
        Ok(arrivals)
    }

    fn arrival(&self, message: Option<Received>, event: Event) -> Arrival {
        Arrival { message, matches: self.matches(&event), event: Arc::new(event) }
    }

    fn matches(&self, event: &Event) -> Matches {
        self.routing.tenants.get(&event.tenant).map(|tenant| tenant.matching.matches(event)).unwrap_or_default()
    }

    /// The events of the ordering key that are missing on the stream before this one; SQL has them.
    async fn missing_before(&mut self, event: &Event) -> Result<Vec<Event>, Stop> {
        let Some(mut last) = self.seen.gap_before(event) else { return Ok(Vec::new()) };
        tracing::warn!(key = %event.key, after = last, before = event.sequence, "a gap in the stream is filled from SQL");
        let mut missing = Vec::new();
        while last + 1 < event.sequence {
            let page = self.engine.delivery_store.events_between(&event.tenant, &event.key, last, event.sequence).await;
            let page = page.map_err(Stop::Failed)?;
            let Some(end) = page.last() else { break };
            last = end.sequence;
            missing.extend(page);
        }
        Ok(missing)
    }

    /// Makes sure that the matches are those of the configuration as it was when the events were committed or later, and that held queues know
    /// from where they are behind. Gives what the delivery store holds.
    async fn route_all(&mut self, arrivals: &mut [Arrival]) -> Result<InStore, Stop> {
        loop {
            // After the messages have arrived: the revision then covers all that was configured before the events were committed.
            let in_store = self.in_store(arrivals).await.map_err(Stop::Failed)?;
            if in_store.revision == self.routing.revision {
                let held = held_from(arrivals);
                if held.is_empty() || self.engine.delivery_store.hold_back(&held).await.map_err(Stop::Failed)? {
                    self.outdated.retain(|(owner, key)| {
                        !arrivals.iter().any(|one| {
                            one.event.key == *key && one.matches.matches.iter().any(|(route, _)| route.subscription.id.0 == *owner)
                        })
                    });
                    return Ok(in_store);
                }
            }
            self.reload().await?;
            for arrival in arrivals.iter_mut() {
                arrival.matches = self.matches(&arrival.event);
            }
        }
    }

    /// What the delivery store holds of the deliveries these events cause, and of their lanes.
    async fn in_store(&self, arrivals: &[Arrival]) -> Result<InStore, String> {
        let each = || arrivals.iter().flat_map(|one| one.matches.matches.iter().map(move |(route, _)| (&one.event, route)));
        let ids: Vec<DeliveryId> = each().map(|(event, route)| DeliveryId::of(event.id, route.subscription.id)).collect();
        let lanes: HashSet<LaneKey> = each()
            .filter(|(_, route)| route.queue.in_order)
            .map(|(event, route)| (route.subscription.id.0, event.key.clone()))
            .filter(|lane| !self.lanes.contains(lane) || self.outdated.contains(lane))
            .collect();
        self.engine.shared_store.in_store(ids, lanes.into_iter().collect()).await
    }

    /// Admits the new deliveries of these events and drops those that are stored already.
    async fn admit_all(&mut self, arrivals: Vec<Arrival>, in_store: &InStore) {
        let (mut jobs, now) = (Vec::new(), self.engine.clock.now());
        for Arrival { message, event, matches } in arrivals {
            let ids: Vec<DeliveryId> = matches.matches.iter().map(|(route, _)| DeliveryId::of(event.id, route.subscription.id)).collect();
            if ids.iter().all(|id| in_store.known.contains(id)) {
                if let Some(message) = message {
                    self.engine.bus.ack(&message).await;
                }
                continue;
            }
            // In memory already: this is a second copy, which is acknowledged with the first.
            if ids.iter().any(|id| self.in_flight.contains(*id)) {
                if let Some(message) = message {
                    let sequence = message.stream_sequence;
                    if !self.messages.add_copy(message) {
                        self.receipts.forget(sequence);
                    }
                }
                continue;
            }
            let deliveries = matches.matches.into_iter().map(|(route, fault)| {
                let delivery = route.queue.delivery(&event, route.subscription.id, None, now);
                (delivery, route, fault)
            });
            let new: Vec<_> = deliveries.filter(|(delivery, ..)| !in_store.known.contains(&delivery.id)).collect();
            let message = message.map(|received| {
                let held_bytes = self.engine.in_flight_bytes.hold(event.body.len());
                self.messages.insert(received, new.len(), held_bytes)
            });
            let held_bytes = message.is_none().then(|| Arc::new(self.engine.in_flight_bytes.hold(event.body.len())));
            for (delivery, route, fault) in new {
                self.in_flight.insert(delivery.id, delivery.owner());
                let (event, held_bytes) = (event.clone(), held_bytes.clone());
                jobs.push(Job { delivery, event, route, fault, message, held_bytes, since: Instant::now() });
            }
        }
        for job in jobs {
            self.admit(job, &in_store.waiting);
        }
    }

    /// Admits one new delivery.
    fn admit(&mut self, job: Job, waiting: &HashSet<LaneKey>) {
        if let Some(fault) = &job.fault {
            let delivery = filter_failed(job.delivery.clone(), fault);
            return self.writes.add(Write { delivery, message: job.message, lane: None, _held_bytes: job.held_bytes });
        }
        let over_share = self.over_share(job.delivery.subscription);
        if !job.route.queue.in_order {
            return if over_share { self.park(&job, false) } else { self.ready_queues.push(job) };
        }
        let lane = job.delivery.lane();
        let waits = waiting.contains(&lane);
        let new_over_share = over_share && !waits && !self.lanes.contains(&lane);
        match self.lanes.offer(&lane, job, waits || new_over_share, over_share) {
            Offer::Attempt(job) => self.ready_queues.push(job),
            Offer::Queued => {}
            Offer::Park(job) => self.park(&job, !new_over_share),
        }
    }
}

/// The held queues that these events are for, each with the lowest outbox position among its events.
fn held_from(arrivals: &[Arrival]) -> HashMap<QueueId, i64> {
    let mut held = HashMap::new();
    for Arrival { event, matches, .. } in arrivals {
        for queue in &matches.held {
            held.entry(*queue).and_modify(|from: &mut i64| *from = event.position.min(*from)).or_insert(event.position);
        }
    }
    held
}
