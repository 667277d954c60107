//! What a slot has received of the stream, compared with what SQL says was published: whatever happens to the stream or to the consumer, what
//! did not arrive is taken in from SQL.

use std::collections::{BTreeSet, HashMap, VecDeque};

use billwire_bus::{ConsumerConfig, Pull, Received};
use billwire_monitoring::metrics::{Finding, METRICS};
use billwire_schemas::{
    delivery::{Published, Reader, Settled},
    events::envelope::subject,
};

use crate::{
    event::Event,
    partition::{INTAKE_MAX, Partition, Stop, consumer_filter, consumer_name},
};

/// Published events looked at in one step.
const CHECK_MAX: u64 = 10_000;
/// Missing events taken in by one step.
const TAKE_IN_MAX: u64 = 2_000;

/// The receipts of a slot since the sequence that SQL knows as settled.
#[derive(Debug, Default)]
pub(crate) struct Receipts {
    settled: Settled,
    received: BTreeSet<u64>,
    /// The highest sequence received.
    last: u64,
    /// Whether the consumer did not deliver what it should have: a new one does, once all that is taken in from SQL is settled.
    silent: bool,
    /// At the check before, without work: the highest sequence received, and the last one published.
    before: Option<(u64, u64)>,
}

/// A hole in what has arrived. What belongs there is taken in first, from SQL.
pub(crate) struct Hole {
    /// What has arrived behind it.
    behind: VecDeque<Received>,
    /// The position up to which it is filled.
    filled: i64,
    /// The position at which it ends.
    end: i64,
}

/// The result of a check.
#[derive(Debug, PartialEq, Eq)]
struct Checked {
    /// What should have arrived and did not.
    missing: Vec<Published>,
    /// Up to where the stream is settled.
    settled: u64,
}

impl Receipts {
    /// Of a slot that begins after `settled`.
    fn from(settled: Settled) -> Self {
        Self { settled, last: settled.sequence, ..Self::default() }
    }

    /// Notes that a message has arrived; `previous`: the sequence of the slot's message before it. Gives whether that one is missing.
    pub fn arrive(&mut self, sequence: u64, previous: u64) -> bool {
        let hole = previous > self.last;
        self.receive(sequence);
        hole
    }

    fn receive(&mut self, sequence: u64) {
        if sequence > self.settled.sequence {
            self.received.insert(sequence);
            self.last = self.last.max(sequence);
        }
    }

    /// Forgets that: the message was dropped in favour of another copy that may not be settled.
    pub fn forget(&mut self, sequence: u64) {
        self.received.remove(&sequence);
    }

    /// Compares with the events of the slot that were published after what is settled, in order. `open`: the lowest sequence received whose
    /// deliveries are not all recorded. `idle`: nothing received waits, and there is room for more.
    ///
    /// Messages arrive in order, so whatever was published before the last one received must have arrived. What was published later must
    /// have arrived by the second check in a row at which there was nothing to do.
    fn check(&mut self, published: &[Published], open: Option<u64>, idle: bool) -> Checked {
        let tail = self.before.filter(|(last, _)| idle && *last == self.last).map_or(0, |(_, tail)| tail);
        let due = self.last.max(tail);
        self.before = published.last().filter(|_| idle).map(|end| (self.last, end.sequence));
        let due = || published.iter().take_while(|one| one.sequence <= due);
        let missing: Vec<Published> = due().filter(|one| !self.received.contains(&one.sequence)).copied().collect();
        let end = open.into_iter().chain(missing.first().map(|one| one.sequence)).min().unwrap_or(u64::MAX);
        let settled = due().take_while(|one| one.sequence < end).last().map_or(self.settled.sequence, |one| one.sequence);
        Checked { missing, settled }
    }

    fn settle(&mut self, settled: u64) {
        self.settled.sequence = settled;
        self.received = self.received.split_off(&(settled + 1));
    }
}

impl Partition {
    /// Starts to pull, under the lease with this fence, after what SQL knows as settled.
    pub async fn start(&mut self, fence: i64) -> Result<Pull, String> {
        self.routing = self.engine.routing().await?;
        let (options, store, reader) = (&self.engine.options, &self.engine.delivery_store, Reader::Slot(self.slot));
        let settled = match store.settled(reader).await? {
            Some(settled) => settled,
            None => {
                let sequence = self.engine.bus.acknowledged(&consumer_name(self.slot)).await.map_err(|e| e.to_string())?;
                let settled = Settled { sequence, generation: 0 };
                store.save_settled(reader, settled).await?;
                settled
            }
        };
        self.receipts = Receipts::from(settled);
        let consumer = ConsumerConfig {
            name: consumer_name(self.slot),
            fence: Some(fence),
            filter: consumer_filter(self.slot),
            ack_wait: options.ack_wait,
            // What is in memory, and what waits in the inbox.
            ack_pending_max: i64::try_from(options.in_flight_max + 2 * INTAKE_MAX).unwrap_or(i64::MAX),
            settled: settled.sequence,
        };
        self.engine.bus.pull(&consumer).await.map_err(|e| e.to_string())
    }

    /// Compares what was received with what was published, takes in what is missing, and records up to where the stream is settled.
    pub async fn settle_stream(&mut self) -> Result<(), Stop> {
        if self.receipts.received.is_empty() && !self.engine.unsettled.borrow().contains(&self.slot) {
            return Ok(());
        }
        let store = self.engine.delivery_store.clone();
        let published = match store.published_after(self.slot, self.receipts.settled.sequence, CHECK_MAX).await {
            Ok(published) => published,
            Err(error) => {
                tracing::debug!(error, "what was published could not be read");
                return Ok(());
            }
        };
        let behind = self.hole.iter().flat_map(|hole| &hole.behind);
        let waiting = self.inbox.iter().chain(behind).map(|message| message.stream_sequence).min();
        let open = waiting.into_iter().chain(self.messages.first_sequence()).min();
        let idle = self.inbox.is_empty() && self.hole.is_none() && self.has_room(true);
        let all = published.last().map_or(0, |one| one.sequence);
        let Checked { missing, settled } = self.receipts.check(&published, open, idle);
        if settled > self.receipts.settled.sequence {
            let now = Settled { sequence: settled, ..self.receipts.settled };
            match store.save_settled(Reader::Slot(self.slot), now).await {
                Ok(true) => self.receipts.settle(settled),
                Ok(false) => return Err(Stop::Failed("the stream was rolled back".to_owned())),
                Err(error) => tracing::debug!(error, "what is settled could not be recorded"),
            }
        }
        if missing.is_empty() && self.receipts.silent && idle && open.is_none() && settled >= all {
            METRICS.audit_findings.get_or_create(&Finding { finding: "silent_consumer" }).inc();
            return Err(Stop::Failed("the consumer did not deliver everything".to_owned()));
        }
        self.receipts.silent |= idle && !missing.is_empty();
        if self.hole.is_none()
            && let Some(end) = missing.iter().map(|one| one.position).max()
        {
            self.hole = Some(Hole { behind: VecDeque::new(), filled: 0, end: end + 1 });
        }
        Ok(())
    }

    /// Takes in what arrived, behind what is missing before it. Whatever is not settled and comes before it in the outbox belongs there: of the
    /// same ordering key nothing later may be delivered first, even if the stream has it, published again, only behind.
    pub async fn arrived(&mut self, received: Vec<Received>, hole: bool) -> Result<(), Stop> {
        self.inbox.extend(received);
        if hole {
            let mut behind = std::mem::take(&mut self.inbox);
            behind.make_contiguous().sort_by_key(|message| message.position);
            let end = behind.iter().map(|message| message.position).max().unwrap_or(0);
            self.hole = Some(Hole { behind, filled: 0, end });
            self.fill_hole().await?;
        }
        Ok(())
    }

    /// Puts the next events that belong into the hole into the inbox, and at its end what arrived behind it.
    pub async fn fill_hole(&mut self) -> Result<(), Stop> {
        let Some(Hole { filled, end, .. }) = self.hole else { return Ok(()) };
        let (store, settled) = (self.engine.delivery_store.clone(), self.receipts.settled.sequence);
        let found = store.unsettled_between(self.slot, settled, (filled, end), TAKE_IN_MAX).await;
        let (found, continued) = found.map_err(Stop::Failed)?;
        let missing: Vec<Published> = found.into_iter().filter(|one| !self.receipts.received.contains(&one.sequence)).collect();
        let missing = self.read_missing(&missing).await.map_err(Stop::Failed)?;
        let Some(hole) = &mut self.hole else { return Ok(()) };
        // What the stream has of it, published again, comes in between.
        let arrived = continued.map_or(hole.behind.len(), |to| hole.behind.partition_point(|message| message.position <= to));
        let mut next: Vec<Received> = hole.behind.drain(..arrived).chain(missing).collect();
        next.sort_by_key(|message| message.position);
        self.inbox.extend(next);
        match continued {
            Some(filled) => hole.filled = filled,
            None => self.hole = None,
        }
        Ok(())
    }

    /// Events that did not arrive, from SQL. One that SQL does not have any more counts as received.
    async fn read_missing(&mut self, missing: &[Published]) -> Result<Vec<Received>, String> {
        let positions: Vec<i64> = missing.iter().map(|one| one.position).collect();
        let events = self.engine.delivery_store.events_at(&positions).await?;
        if !events.is_empty() {
            METRICS.audit_taken_in_events.inc_by(events.len() as u64);
            tracing::warn!(slot = %self.slot, events = events.len(), "events that did not arrive over the stream are taken in from SQL");
        }
        missing.iter().for_each(|one| self.receipts.receive(one.sequence));
        let mut events: HashMap<i64, Event> = events.into_iter().map(|event| (event.position, event)).collect();
        let received = |one: &Published| {
            let event = events.remove(&one.position)?;
            let subject = subject(&event.tenant, &event.kind, &event.key);
            Some(Received::from_sql(one.sequence, subject, event.id.to_string(), (event.position, event.sequence), event.body))
        };
        Ok(missing.iter().filter_map(received).collect())
    }
}

#[cfg(test)]
mod tests {
    use billwire_schemas::ids::Slot;

    use super::*;

    fn published(sequences: &[u64]) -> Vec<Published> {
        let slot = Slot::all().next().expect("a slot");
        sequences.iter().map(|sequence| Published { sequence: *sequence, position: 1, slot }).collect()
    }

    fn receipts(settled: u64, received: &[u64]) -> Receipts {
        let mut receipts = Receipts::from(Settled { sequence: settled, generation: 0 });
        received.iter().for_each(|sequence| receipts.receive(*sequence));
        receipts
    }

    #[track_caller]
    fn checked(receipts: &mut Receipts, of: &[u64], open: Option<u64>, idle: bool, missing: &[u64], settled: u64) {
        assert_eq!(receipts.check(&published(of), open, idle), Checked { missing: published(missing), settled });
    }

    #[test]
    fn what_has_arrived_is_settled_up_to_the_first_that_is_not_recorded() {
        checked(&mut receipts(2, &[3, 5, 8]), &[3, 5, 8], None, true, &[], 8);
        checked(&mut receipts(2, &[3, 5, 8]), &[3, 5, 8], Some(5), false, &[], 3);
        checked(&mut receipts(2, &[3, 5, 8]), &[3, 5, 8], Some(3), false, &[], 2);
        checked(&mut receipts(2, &[3, 5, 8]), &[3], None, true, &[], 3);
        checked(&mut receipts(2, &[]), &[], None, true, &[], 2);
    }

    #[test]
    fn what_was_published_before_the_last_arrival_and_did_not_arrive_is_missing() {
        checked(&mut receipts(2, &[3, 8]), &[3, 5, 8], None, false, &[5], 3);
        checked(&mut receipts(2, &[8]), &[3, 5, 8], None, false, &[3, 5], 2);
        let mut one = receipts(2, &[3, 5, 8]);
        one.forget(5);
        checked(&mut one, &[3, 5, 8], None, false, &[5], 3);
    }

    #[test]
    fn what_was_published_after_it_is_missing_at_the_second_check_without_work() {
        let mut one = receipts(2, &[3]);
        checked(&mut one, &[3, 5], None, false, &[], 3);
        checked(&mut one, &[3, 5], None, true, &[], 3);
        checked(&mut one, &[3, 5, 6], None, true, &[5], 3);
        one.receive(5);
        checked(&mut one, &[3, 5, 6], None, true, &[], 5);
        checked(&mut one, &[3, 5, 6], None, true, &[6], 5);
    }

    #[test]
    fn nothing_is_kept_of_what_is_settled() {
        let mut one = receipts(2, &[3, 5, 8]);
        one.settle(5);
        one.receive(4);
        assert_eq!(one.received.into_iter().collect::<Vec<_>>(), [8]);
    }
}
