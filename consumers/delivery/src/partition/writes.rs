//! Writing results to the delivery store: one commit at a time, each with all that has gathered meanwhile.

use std::{sync::Arc, time::Duration};

use billwire_schemas::delivery::{Delivery, LaneKey};
use tokio::{
    task::JoinHandle,
    time::{Instant, sleep_until},
};

use crate::engine::{Engine, HeldBytes};

/// A delivery to record.
pub(crate) struct Write {
    /// The delivery in its new state.
    pub delivery: Delivery,
    /// The message it came with: the delivery is then probably not stored yet.
    pub message: Option<u64>,
    /// Its lane, if the lane waits for this record.
    pub lane: Option<LaneKey>,
    /// The memory that its event still occupies.
    pub _held_bytes: Option<Arc<HeldBytes>>,
}

/// What one commit recorded, and whether it succeeded.
pub(crate) type Written = (Vec<Write>, Result<(), String>);

/// Deliveries recorded by one commit.
const RECORD_MAX: usize = 512;
/// With this many pending writes a commit starts at once.
const RECORD_SOON: usize = 256;
/// How long writes gather before a commit otherwise. Only the acknowledgement of a message waits for its record, and a commit costs the
/// same for one delivery as for fifty.
const GATHER: Duration = Duration::from_millis(25);
/// The wait after a failed commit.
const RECORD_AGAIN: Duration = Duration::from_millis(250);

/// Writes that gather, and the one commit in progress.
#[derive(Default)]
pub(crate) struct Writes {
    pending: Vec<Write>,
    /// When the first of the pending writes was added.
    since: Option<Instant>,
    commit: Option<JoinHandle<Written>>,
}

impl Writes {
    /// Adds a delivery to record.
    pub fn add(&mut self, write: Write) {
        self.pending.push(write);
        self.since.get_or_insert_with(Instant::now);
    }

    /// Puts back what could not be recorded, before what has been added since.
    pub fn put_back(&mut self, writes: Vec<Write>) {
        self.pending.splice(0..0, writes);
        self.since.get_or_insert_with(Instant::now);
    }

    /// Starts the next commit if none is in progress and enough has gathered, or in any case when `now`.
    pub fn start(&mut self, engine: &Arc<Engine>, now: bool) {
        let Some(since) = self.since else { return };
        if self.commit.is_some() || !(now || self.pending.len() >= RECORD_SOON || since.elapsed() >= GATHER) {
            return;
        }
        let writes: Vec<Write> = self.pending.drain(..self.pending.len().min(RECORD_MAX)).collect();
        self.since = (!self.pending.is_empty()).then(Instant::now);
        let delivery_store = engine.delivery_store.clone();
        self.commit = Some(tokio::spawn(async move {
            let new: Vec<&Delivery> = writes.iter().filter(|write| write.message.is_some()).map(|write| &write.delivery).collect();
            let known: Vec<&Delivery> = writes.iter().filter(|write| write.message.is_none()).map(|write| &write.delivery).collect();
            let result = delivery_store.record(&new, &known).await;
            if result.is_err() {
                tokio::time::sleep(RECORD_AGAIN).await;
            }
            (writes, result)
        }));
    }

    /// Whether anything is not recorded yet.
    pub fn busy(&self) -> bool {
        self.commit.is_some() || !self.pending.is_empty()
    }

    /// Resolves when the commit in progress is done, or with `None` when it is time to start the next.
    pub async fn done(&mut self) -> Option<Written> {
        match (&mut self.commit, self.since) {
            (None, None) => std::future::pending().await,
            (None, Some(since)) => {
                sleep_until(since + GATHER).await;
                None
            }
            (Some(commit), _) => {
                let done = commit.await;
                self.commit = None;
                // A panic loses the batch; the partition then starts again.
                Some(done.unwrap_or_else(|panic| (Vec::new(), Err(panic.to_string()))))
            }
        }
    }
}
