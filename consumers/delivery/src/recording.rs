//! Writing results to the ledger: one commit at a time, each with all that has gathered meanwhile.

use std::{sync::Arc, time::Duration};

use billwire_schemas::ids::DeliveryId;

use crate::{
    ledger::{Entry, LaneKey},
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
}

/// What was to be recorded, and whether it was.
pub(crate) type Recorded = (Vec<(Entry, Effect)>, Result<(), String>);

/// Entries written in one commit.
const RECORD_MAX: usize = 512;
/// Wait after a failed record.
const RECORD_AGAIN: Duration = Duration::from_millis(250);
/// The one record under way.
#[derive(Default)]
pub(crate) struct Recording(Option<tokio::task::JoinHandle<Recorded>>);

impl Recording {
    /// Starts the next record, if none is under way.
    pub fn start(&mut self, engine: &Arc<Engine>, waiting: &mut Vec<(Entry, Effect)>) {
        if self.0.is_some() || waiting.is_empty() {
            return;
        }
        let batch: Vec<_> = waiting.drain(..waiting.len().min(RECORD_MAX)).collect();
        let ledger = engine.ledger.clone();
        self.0 = Some(tokio::spawn(async move {
            let entries: Vec<Entry> = batch.iter().map(|(entry, _)| entry.clone()).collect();
            let result = ledger.record(&entries).await;
            if result.is_err() {
                tokio::time::sleep(RECORD_AGAIN).await;
            }
            (batch, result)
        }));
    }

    /// Whether one is under way.
    pub fn busy(&self) -> bool {
        self.0.is_some()
    }

    /// Resolves when the one under way is done.
    pub async fn done(&mut self) -> Recorded {
        match &mut self.0 {
            None => std::future::pending().await,
            Some(task) => {
                let done = task.await;
                self.0 = None;
                // A panic takes the batch along; the partition then starts afresh.
                done.unwrap_or_else(|panic| (Vec::new(), Err(panic.to_string())))
            }
        }
    }
}
