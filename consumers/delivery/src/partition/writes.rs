//! Results to record in the delivery store: one record of the slot at a time, each with all that has gathered meanwhile.

use std::{sync::Arc, time::Duration};

use billwire_schemas::delivery::{Delivery, LaneKey};
use tokio::task::JoinHandle;

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

/// What one record contained, and whether it succeeded.
pub(crate) type Written = (Vec<Write>, Result<(), String>);

/// Deliveries of one record.
const RECORD_MAX: usize = 512;
/// The wait after a failed record.
const RECORD_AGAIN: Duration = Duration::from_millis(250);

/// Writes that gather, and the one record in progress.
#[derive(Default)]
pub(crate) struct Writes {
    pending: Vec<Write>,
    record: Option<JoinHandle<Written>>,
}

impl Writes {
    /// Adds a delivery to record.
    pub fn add(&mut self, write: Write) {
        self.pending.push(write);
    }

    /// Puts back what could not be recorded, before what has been added since.
    pub fn put_back(&mut self, writes: Vec<Write>) {
        self.pending.splice(0..0, writes);
    }

    /// Starts the next record if none is in progress; `now`: without waiting for those of other slots.
    pub fn start(&mut self, engine: &Arc<Engine>, now: bool) {
        if self.record.is_some() || self.pending.is_empty() {
            return;
        }
        let writes: Vec<Write> = self.pending.drain(..self.pending.len().min(RECORD_MAX)).collect();
        let shared_store = engine.shared_store.clone();
        self.record = Some(tokio::spawn(async move {
            let written = shared_store.record(writes, now).await;
            if written.1.is_err() {
                tokio::time::sleep(RECORD_AGAIN).await;
            }
            written
        }));
    }

    /// Whether anything is not recorded yet.
    pub fn busy(&self) -> bool {
        self.record.is_some() || !self.pending.is_empty()
    }

    /// Resolves when the record in progress is done.
    pub async fn done(&mut self) -> Written {
        match &mut self.record {
            None => std::future::pending().await,
            Some(record) => {
                let done = record.await;
                self.record = None;
                // A panic loses the writes; the partition then starts again.
                done.unwrap_or_else(|panic| (Vec::new(), Err(panic.to_string())))
            }
        }
    }
}
