//! The audit of the stream: the relay knows at which sequence each event stands, and compares that with what the stream holds. What the stream
//! has lost is published again.

use std::{collections::HashMap, time::Duration};

use billwire_app::CONSUMER;
use billwire_bus::{
    Bus, Message, Received,
    topology::{SUBJECTS, State},
};
use billwire_delivery::consumer_name;
use billwire_monitoring::{
    metrics::{Finding, METRICS},
    parts::{Part, Status},
};
use billwire_schemas::{
    clock::{Clock, SystemClock},
    delivery::Published,
    events::envelope::subject,
    ids::{Slot, fresh},
    lease::Lease,
    trace,
};
use billwire_store::{
    Store, Unpublished,
    published::{EPOCH, HIGHEST, Lost},
};
use chrono::TimeDelta;
use tokio::time::Instant;

use crate::{
    adapters::delivery_store::text,
    roles::{
        consumers::WAREHOUSE,
        restored::{Guard, READ_MAX, event_of, missing_event},
    },
};

/// How often the stream is compared with SQL.
const EVERY: Duration = Duration::from_secs(10);
/// Lost events put back into the outbox at once, so that new ones do not wait long behind them.
const PUT_BACK_MAX: u64 = 2_000;
/// How often it is left on the stream how far the database knows it.
const MARK_EVERY: Duration = Duration::from_secs(60);
/// For how long it is remembered at least where an event stands on the stream: what the stream loses within this time after its publication is
/// published again, even if all readers of the gateway have settled it.
const REMEMBERED: TimeDelta = TimeDelta::hours(1);
/// Rows forgotten at once.
const FORGET_MAX: u64 = 5_000;

/// What the relay knows of the stream.
pub(crate) struct Audit {
    /// The stream's last sequence, as far as this relay knows.
    pub last: u64,
    /// The last sequence of each slot.
    slots: HashMap<Slot, u64>,
    /// The state at which nothing was found to be lost.
    clean: Option<State>,
    /// Whether lost events may be left to put back.
    more: bool,
    next: Instant,
    epoch: String,
    marked: Option<Instant>,
    guard: Guard,
}

impl Audit {
    /// Compares the stream with SQL for the first time, and marks what an earlier relay published and did not mark.
    ///
    /// # Errors
    /// When NATS or the database fails, the lease is lost, or the database was restored to an older moment.
    pub async fn start(store: &Store, bus: &Bus, lease: &Lease, guard: Guard) -> Result<Self, String> {
        let known = store.setting(EPOCH).await.map_err(text)?;
        let last = store.stream_end().await.map_err(text)?.unwrap_or(0);
        let first_time = known.is_none();
        let slots = store.last_of_slots().await.map_err(text)?;
        let mut audit =
            Self { last, slots, clean: None, more: false, next: Instant::now(), epoch: known.unwrap_or_default(), marked: None, guard };
        if first_time {
            let State { epoch, last_sequence, .. } = bus.ensure_stream(&fresh().to_string()).await.map_err(text)?;
            store.set(HIGHEST, &last_sequence.to_string()).await.map_err(text)?;
            store.set(EPOCH, &epoch).await.map_err(text)?;
            (audit.epoch, audit.last) = (epoch, last_sequence);
        }
        audit.catch_up(store, bus, lease).await?;
        Ok(audit)
    }

    /// The messages of events that are published next, one behind the other.
    pub fn messages(&self, events: &[Unpublished]) -> Vec<Message> {
        let mut slots = self.slots.clone();
        let message = |(event, sequence): (&Unpublished, u64)| {
            let previous = slots.insert(Slot::of(&event.tenant, &event.key), sequence);
            message(event, previous)
        };
        events.iter().zip(self.last + 1..).map(message).collect()
    }

    /// Records that these events were published one behind the other, the first at `first`.
    ///
    /// # Errors
    /// When the database fails, or the lease is lost.
    pub async fn published(&mut self, store: &Store, lease: &Lease, events: &[Unpublished], first: u64) -> Result<(), String> {
        let stands = |(event, sequence): (&Unpublished, u64)| Published {
            sequence,
            position: event.position,
            slot: Slot::of(&event.tenant, &event.key),
        };
        let published: Vec<Published> = events.iter().zip(first..).map(stands).collect();
        let last = published.last().map_or(self.last, |one| one.sequence);
        self.mark(store, lease, &published, last).await
    }

    async fn mark(&mut self, store: &Store, lease: &Lease, published: &[Published], last: u64) -> Result<(), String> {
        if !store.mark_published(lease, published, last).await.map_err(text)? {
            return Err(LEASE_LOST.to_owned());
        }
        self.last = last;
        self.slots.extend(published.iter().map(|one| (one.slot, one.sequence)));
        Ok(())
    }

    /// Reads what the stream holds behind the last sequence known, and marks the gateway's own messages there as published: those of an
    /// earlier relay, or of this one without an acknowledgement. Gives whether anything was found.
    ///
    /// # Errors
    /// When NATS or the database fails, the lease is lost, or the stream has events that the database has never had.
    pub async fn catch_up(&mut self, store: &Store, bus: &Bus, lease: &Lease) -> Result<bool, String> {
        self.compare(store, bus, lease).await?;
        let mut found = false;
        loop {
            let (messages, end) = bus.after(SUBJECTS.to_owned(), Some(self.last), (READ_MAX, None), Duration::ZERO).await.map_err(text)?;
            if end <= self.last {
                return Ok(found);
            }
            found = true;
            let events: Vec<_> = messages.iter().filter_map(event_of).collect();
            if let Some(missing) = store.missing_events(&events).await.map_err(text)?.first() {
                self.guard.restored(&missing_event(missing)).await;
                return Err("the database was restored to an older moment".to_owned());
            }
            let published: Vec<Published> = messages.iter().filter_map(own).collect();
            let strangers = messages.len() - published.len();
            if strangers > 0 {
                self.found("foreign_messages", strangers as u64);
                tracing::warn!(messages = strangers, "somebody else has published on the stream");
            }
            self.mark(store, lease, &published, end).await?;
        }
    }

    /// Compares the stream with SQL if it is time to.
    ///
    /// # Errors
    /// When NATS or the database fails, or the lease is lost.
    pub async fn step(&mut self, store: &Store, bus: &Bus, lease: &Lease) -> Result<(), String> {
        if Instant::now() < self.next && !(self.more && store.backlog(1).await.map_err(text)? == 0) {
            return Ok(());
        }
        self.compare(store, bus, lease).await?;
        bus.delete_replaced_consumers(&readers()).await.map_err(text)?;
        let before = SystemClock.now() - REMEMBERED;
        while store.forget_published(before, FORGET_MAX).await.map_err(text)? == FORGET_MAX {}
        Ok(())
    }

    fn found(&self, finding: &'static str, count: u64) {
        METRICS.audit_findings.get_or_create(&Finding { finding }).inc_by(count);
    }

    async fn compare(&mut self, store: &Store, bus: &Bus, lease: &Lease) -> Result<(), String> {
        self.ensure_same_end(store.stream_end().await.map_err(text)?)?;
        let state = bus.ensure_stream(&fresh().to_string()).await.map_err(text)?;
        self.next = Instant::now() + EVERY;
        if state.put_back {
            self.found("settings_put_back", 1);
        }
        let replaced = state.epoch != self.epoch;
        if replaced || state.last_sequence < self.last {
            let last = if replaced { 0 } else { state.last_sequence };
            tracing::error!(last_sequence = state.last_sequence, known = self.last, replaced, "the stream was lost or rolled back");
            self.found("rolled_back", 1);
            self.rolled_back(store, bus, lease, &state, last).await?;
        }
        self.leave_mark(bus, &state).await?;
        let same =
            |clean: &State| (clean.first_sequence, &clean.deleted, &clean.epoch) == (state.first_sequence, &state.deleted, &state.epoch);
        if !self.more && self.clean.as_ref().is_some_and(same) {
            self.guard.parts.ok(Part::Stream, SystemClock.now());
            return Ok(());
        }
        let lost = Lost { before: state.first_sequence, after: self.last, deleted: state.deleted.clone() };
        let put_back = store.put_back_lost(lease, &lost, PUT_BACK_MAX).await.map_err(text)?.ok_or(LEASE_LOST)?;
        let now = SystemClock.now();
        if put_back > 0 {
            tracing::error!(events = put_back, "the stream has lost events; they are published again");
            self.found("lost_events", put_back);
            METRICS.audit_republished_events.inc_by(put_back);
            self.guard.parts.report(Part::Stream, Status::Degraded, "the stream has lost events; they are published again", now);
        } else {
            self.guard.parts.ok(Part::Stream, now);
        }
        self.more = put_back == PUT_BACK_MAX;
        self.clean = (!self.more).then_some(state);
        Ok(())
    }

    /// Leaves on the stream how far the database knows it: a database that knows less, later, was restored. A mark beyond that, which a stream
    /// keeps that has lost its last messages, is corrected before anything is published.
    async fn leave_mark(&mut self, bus: &Bus, state: &State) -> Result<(), String> {
        let due = state.mark != Some(self.last) && self.marked.is_none_or(|marked| marked.elapsed() >= MARK_EVERY);
        if due || state.mark.is_some_and(|mark| mark > self.last) {
            bus.set_mark(self.last).await.map_err(text)?;
            self.marked = Some(Instant::now());
        }
        Ok(())
    }

    /// Checks that the database has what this relay has marked, by the highest sequence that it knows. If not, it is an older one, or another
    /// relay is at work: this one must start again and compare everything.
    ///
    /// # Errors
    /// When it is another sequence.
    pub fn ensure_same_end(&self, end: Option<u64>) -> Result<(), String> {
        match end.unwrap_or(0) {
            end if end == self.last => Ok(()),
            end => Err(format!("the database knows the stream up to {end}, and this relay up to {}", self.last)),
        }
    }

    /// The stream ends at `last`, where it had more, or is another one: its readers start again from there.
    async fn rolled_back(&mut self, store: &Store, bus: &Bus, lease: &Lease, state: &State, last: u64) -> Result<(), String> {
        if !store.stream_rolled_back(lease, last).await.map_err(text)? {
            return Err(LEASE_LOST.to_owned());
        }
        bus.delete_consumers(&readers()).await.map_err(text)?;
        bus.move_back_consumers(CONSUMER, last).await.map_err(text)?;
        store.set(EPOCH, &state.epoch).await.map_err(text)?;
        self.epoch.clone_from(&state.epoch);
        // What stands behind that was not published by this relay: it is read next.
        (self.last, self.clean) = (last, None);
        self.slots = store.last_of_slots().await.map_err(text)?;
        Ok(())
    }
}

/// The names of the gateway's consumers.
fn readers() -> Vec<String> {
    Slot::all().map(consumer_name).chain([WAREHOUSE.to_owned()]).collect()
}

const LEASE_LOST: &str = "another process is the relay now";

fn message(event: &Unpublished, previous: Option<u64>) -> Message {
    // Without a caller's trace, the business transaction is the trace: no further data is needed to join its events later.
    let trace = || trace::traceparent(&event.transaction.0.simple().to_string(), event.id, "00");
    Message {
        subject: subject(&event.tenant, &event.kind, &event.key),
        id: event.id.to_string(),
        position: event.position,
        sequence: event.sequence,
        previous,
        traceparent: trace::of_message(&event.body).unwrap_or_else(trace),
        body: event.body.clone().into(),
    }
}

/// Where an authentic message stands; `None`: the gateway did not publish it.
fn own(message: &Received) -> Option<Published> {
    let event = event_of(message)?;
    let slot = Slot::of(&event.tenant, &event.key);
    Some(Published { sequence: message.stream_sequence, position: message.position, slot })
}

#[cfg(test)]
mod tests {
    use billwire_schemas::ids::{EventId, OrderingKey, TenantId, TransactionId};

    use super::*;

    #[test]
    fn a_message_belongs_to_the_callers_trace_or_else_to_that_of_its_business_transaction() {
        let callers = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let event = |body: &str| Unpublished {
            position: 1,
            id: EventId(fresh()),
            tenant: TenantId::default_tenant(),
            kind: "account.created".to_owned(),
            key: OrderingKey::from(fresh()),
            sequence: 1,
            transaction: TransactionId(fresh()),
            body: body.to_owned(),
        };
        let with = event(&format!(r#"{{"id":"1","traceparent":"{callers}","data":{{}}}}"#));
        assert_eq!(message(&with, None).traceparent, callers);
        let without = event(r#"{"id":"1","data":{"a":1,"traceparent":"00-x"}}"#);
        let (trace, span) = (without.transaction.0.simple().to_string(), without.id.0.simple().to_string());
        assert_eq!(message(&without, None).traceparent, format!("00-{trace}-{}-00", &span[16..]));
    }
}
