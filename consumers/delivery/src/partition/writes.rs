//! Writing results to the delivery store: one commit at a time, each with all that has gathered meanwhile.

use std::{sync::Arc, time::Duration};

use billwire_schemas::ids::DeliveryId;
use tokio::{
    task::JoinHandle,
    time::{Instant, sleep_until},
};
use uuid::Uuid;

use crate::{
    store::{Entry, LaneKey},
    supervisor::Engine,
};

/// What is to be done when an entry has been recorded.
pub(crate) struct Effect {
    /// The message it came with.
    pub message: Option<u64>,
    /// Its lane, in an in-order queue.
    pub lane: Option<LaneKey>,
    /// The delivery.
    pub id: DeliveryId,
    /// Whose it is: a subscription or a replay.
    pub owner: Uuid,
}

/// What was to be recorded, the effects of that, and whether it was.
pub(crate) type Written = (Vec<Entry>, Vec<Effect>, Result<(), String>);

/// Entries written in one commit.
const RECORD_MAX: usize = 512;
/// With so many gathered a commit starts at once.
const RECORD_SOON: usize = 256;
/// How long entries gather before a commit otherwise. Nothing waits for a record but the acknowledgement of its message, and a
/// commit costs the same for one entry as for fifty.
const GATHER: Duration = Duration::from_millis(25);
/// Wait after a failed record.
const RECORD_AGAIN: Duration = Duration::from_millis(250);

/// Entries that gather, and the one record under way.
#[derive(Default)]
pub(crate) struct Writes {
    entries: Vec<Entry>,
    effects: Vec<Effect>,
    /// When the first of them came.
    since: Option<Instant>,
    under_way: Option<JoinHandle<Written>>,
}

impl Writes {
    /// Takes an entry to be recorded.
    pub fn add(&mut self, entry: Entry, effect: Effect) {
        self.entries.push(entry);
        self.effects.push(effect);
        self.since.get_or_insert_with(Instant::now);
    }

    /// Takes back what could not be recorded, before what has come since.
    pub fn put_back(&mut self, entries: Vec<Entry>, effects: Vec<Effect>) {
        self.entries.splice(0..0, entries);
        self.effects.splice(0..0, effects);
        self.since.get_or_insert_with(Instant::now);
    }

    /// Starts the next record, if none is under way and enough has gathered, or all the same when `now`.
    pub fn start(&mut self, engine: &Arc<Engine>, now: bool) {
        let Some(since) = self.since else { return };
        if self.under_way.is_some() || !(now || self.entries.len() >= RECORD_SOON || since.elapsed() >= GATHER) {
            return;
        }
        let count = self.entries.len().min(RECORD_MAX);
        let entries: Vec<Entry> = self.entries.drain(..count).collect();
        let effects: Vec<Effect> = self.effects.drain(..count).collect();
        self.since = (!self.entries.is_empty()).then(Instant::now);
        let delivery_store = engine.delivery_store.clone();
        self.under_way = Some(tokio::spawn(async move {
            let result = delivery_store.record(&entries).await;
            if result.is_err() {
                tokio::time::sleep(RECORD_AGAIN).await;
            }
            (entries, effects, result)
        }));
    }

    /// Whether anything is not recorded yet.
    pub fn busy(&self) -> bool {
        self.under_way.is_some() || !self.entries.is_empty()
    }

    /// Resolves when the one under way is done, or with nothing when it is time to start the next.
    pub async fn done(&mut self) -> Option<Written> {
        match (&mut self.under_way, self.since) {
            (None, None) => std::future::pending().await,
            (None, Some(since)) => {
                sleep_until(since + GATHER).await;
                None
            }
            (Some(attempt), _) => {
                let done = attempt.await;
                self.under_way = None;
                // A panic takes the batch along; the partition then starts afresh.
                Some(done.unwrap_or_else(|panic| (Vec::new(), Vec::new(), Err(panic.to_string()))))
            }
        }
    }
}
