//! Recognises a database that was restored to an older moment than the stream knows, and stops what would make it worse.
//!
//! Ordering keys would count again from an older number, warehouse batches would be numbered again, and events of operations that SQL no
//! longer has would be delivered. So nothing is accepted, published, delivered or performed until a person has run `billwire recover`. The
//! process stays up: what the database has can be read.

use std::{collections::HashSet, sync::Arc, time::Duration};

use billwire_bus::{Authenticity, Bus, Received, topology::SUBJECTS};
use billwire_monitoring::parts::{Part, Parts, Status};
use billwire_schemas::{
    clock::{Clock, SystemClock},
    events::envelope::parts_of_subject,
    ids::{EventId, fresh},
};
use billwire_store::{Store, published::EPOCH, restored::OnStream};
use billwire_warehouse::Directory;
use tokio::{sync::watch, time::interval};

use crate::adapters::delivery_store::text;

/// How often a process reads whether another one has recognised a restored database.
const EVERY: Duration = Duration::from_secs(1);
/// Messages read at once from the stream.
pub(crate) const READ_MAX: usize = 1_000;

/// Refuses operations and ends the roles that write, once the database is known to be restored.
#[derive(Clone)]
pub(crate) struct Guard {
    store: Store,
    pub parts: Arc<Parts>,
    halt: Arc<watch::Sender<bool>>,
}

impl Guard {
    /// A guard, and what turns true when the roles that write must end.
    pub fn new(store: Store, parts: Arc<Parts>) -> (Self, watch::Receiver<bool>) {
        let (halt, halted) = watch::channel(false);
        (Self { store, parts, halt: Arc::new(halt) }, halted)
    }

    /// Refuses operations if a restored database was recognised before this start.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn recall(&self) -> Result<(), String> {
        if self.store.noted_restored().await.map_err(text)? {
            self.refuse("it was recognised before this start");
        }
        Ok(())
    }

    /// Ends the roles that write.
    fn halt(&self) {
        self.halt.send_replace(true);
    }

    /// The database was restored, as `evidence` shows: refuses operations here, and lets the other processes know.
    pub async fn restored(&self, evidence: &str) {
        self.refuse(evidence);
        if let Err(error) = self.store.note_restored().await {
            tracing::warn!(%error, "other processes do not know yet that the database was restored");
        }
    }

    fn refuse(&self, why: &str) {
        if !self.store.is_restored() {
            let detail = format!(
                "the database was restored to an older moment than the stream; operations are refused, and nothing is published or delivered: \
                 stop every process of the gateway and run `billwire recover` ({why})"
            );
            self.parts.report(Part::Database, Status::Down, detail, SystemClock.now());
        }
        self.store.refuse_as_restored();
        self.halt();
    }

    /// Follows what other processes have recognised, and passes on that `stop` has turned true.
    pub async fn follow(self, mut stop: watch::Receiver<bool>) {
        let mut tick = interval(EVERY);
        loop {
            tokio::select! {
                _ = stop.changed() => break,
                _ = tick.tick() => {}
            }
            match self.store.noted_restored().await {
                Ok(true) => self.refuse("another process has recognised it"),
                Ok(false) => {}
                Err(error) => tracing::warn!(%error, "cannot read whether the database was restored"),
            }
        }
        self.halt();
    }
}

/// Reads the stream where SQL does not know what is published, page by page, and compares it with SQL.
///
/// What a relay has published and not marked is nothing that is missing: SQL has it.
pub(crate) struct Comparison {
    after: u64,
    /// The end of the stream at the beginning: what is published later, SQL has had.
    until: u64,
    /// How far SQL has known the stream once, if that is further than now.
    known_once: Option<u64>,
}

/// Messages that the gateway has published, in their order.
pub(crate) struct Page {
    pub messages: Vec<Compared>,
    /// The stream sequence up to which the page goes.
    pub end: u64,
}

/// A message of the gateway.
pub(crate) struct Compared {
    pub message: Received,
    pub event: OnStream,
    /// Whether SQL has never had the event.
    pub missing: bool,
}

impl Comparison {
    /// Finds out where to begin. A database that has never been compared with a stream is compared with this many of the last messages.
    ///
    /// # Errors
    /// When NATS or the database fails.
    pub async fn start(store: &Store, bus: &Bus, messages: u64) -> Result<Self, String> {
        let state = bus.ensure_stream(&fresh().to_string()).await.map_err(text)?;
        let epoch = store.setting(EPOCH).await.map_err(text)?;
        let end = store.stream_end().await.map_err(text)?;
        let epoch_is_same = epoch.as_ref() == Some(&state.epoch);
        let after = match epoch {
            None => state.last_sequence.saturating_sub(messages),
            Some(epoch) if epoch != state.epoch => 0,
            Some(_) => end.unwrap_or(0).min(state.last_sequence),
        };
        // A mark beyond the end of the stream is of messages that the stream has lost.
        let ahead = |mark: &u64| epoch_is_same && *mark > after && *mark <= state.last_sequence;
        Ok(Self { after, until: state.last_sequence, known_once: state.mark.filter(ahead) })
    }

    /// How far SQL has known the stream once, if that is further than now.
    pub fn known_once(&self) -> Option<u64> {
        self.known_once
    }

    /// The stream sequence behind which the next page begins.
    pub fn after(&self) -> u64 {
        self.after
    }

    /// Begins the next page behind another sequence.
    pub fn continue_after(&mut self, after: u64) {
        self.after = after;
    }

    /// The next page; `None` at the end.
    ///
    /// # Errors
    /// When NATS or the database fails.
    pub async fn next(&mut self, store: &Store, bus: &Bus) -> Result<Option<Page>, String> {
        if self.after >= self.until {
            return Ok(None);
        }
        let (messages, end) = bus.after(SUBJECTS.to_owned(), Some(self.after), (READ_MAX, None), Duration::ZERO).await.map_err(text)?;
        if end <= self.after {
            return Ok(None);
        }
        self.after = end;
        let own: Vec<(Received, OnStream)> = messages.into_iter().filter_map(|one| event_of(&one).map(|event| (one, event))).collect();
        let events: Vec<OnStream> = own.iter().map(|(_, event)| event.clone()).collect();
        let missing: HashSet<EventId> = store.missing_events(&events).await.map_err(text)?.into_iter().map(|event| event.id).collect();
        let messages = own.into_iter().map(|(message, event)| Compared { missing: missing.contains(&event.id), message, event }).collect();
        Ok(Some(Page { messages, end }))
    }
}

/// Compares the stream and the warehouse with SQL. Gives what shows that SQL was restored to an older moment.
///
/// # Errors
/// When NATS, the database or the warehouse fails.
pub(crate) async fn compare(store: &Store, bus: &Bus, warehouse: Option<&Directory>) -> Result<Option<String>, String> {
    let mut comparison = Comparison::start(store, bus, READ_MAX as u64).await?;
    while let Some(page) = comparison.next(store, bus).await? {
        if let Some(first) = page.messages.into_iter().find(|one| one.missing) {
            return Ok(Some(missing_event(&first.event)));
        }
    }
    if let Some(mark) = comparison.known_once() {
        return Ok(Some(format!("the database has known the stream up to sequence {mark} before, and does not now")));
    }
    let Some(warehouse) = warehouse else { return Ok(None) };
    let unknown = unknown_batches(store, warehouse).await?;
    Ok(unknown.first().map(|batch| format!("the warehouse has batch {batch}, which the database has never assigned")))
}

/// The batches of the warehouse that SQL has never assigned.
///
/// # Errors
/// When the database or the warehouse fails.
pub(crate) async fn unknown_batches(store: &Store, warehouse: &Directory) -> Result<Vec<i64>, String> {
    let last = store.last_batch().await.map_err(text)?;
    let mut batches = warehouse.batches_after(last).await.map_err(text)?;
    if !batches.is_empty() {
        // Another process may have assigned and written them meanwhile.
        let last = store.last_batch().await.map_err(text)?;
        batches.retain(|batch| *batch > last);
    }
    Ok(batches)
}

/// Says that SQL has never had an event.
pub(crate) fn missing_event(event: &OnStream) -> String {
    format!("the stream has the event {} of tenant {}, which the database has never had", event.id, event.tenant)
}

/// The event of a message that the gateway published; `None`: somebody else published it.
pub(crate) fn event_of(message: &Received) -> Option<OnStream> {
    if message.authenticity != Authenticity::Genuine {
        return None;
    }
    let (tenant, _, key) = parts_of_subject(&message.subject)?;
    let (tenant, key) = (tenant.parse().ok()?, key.parse().ok()?);
    Some(OnStream { id: message.id.parse().ok()?, tenant, key, sequence: message.sequence })
}
