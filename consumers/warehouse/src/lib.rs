//! The warehouse: every event exactly once, as a row in Parquet files that any analytical engine can read.
//!
//! The delivery engine's bulk loop calls it through [`BulkSink`]; `server` creates the [`Warehouse`] and implements [`BatchStore`] over
//! SQL. This crate uses neither SQL nor NATS nor a clock, and never changes an existing file. [`row`] defines the columns (pure),
//! [`client`] writes the files and `files` reads them (the only IO), and [`batch_store`] records the batches.
//!
//! # Why exactly once
//!
//! 1. SQL assigns every event to exactly one batch, in one committed statement ([`BatchStore::assign`]). An event that arrives again
//!    (redelivered, replayed, or in another process) already has a batch and gets no second one.
//! 2. The rows of a batch are a pure function of its events, and the name of its file is made from the batch's number.
//! 3. The file appears atomically: it is written under a temporary name, synced, and renamed.
//!
//! A crash can leave one of two states. A batch without a file is still unwritten in SQL; it is written first when loading continues, or
//! by the process that receives its events next. A complete file that SQL does not record as written is written again with the same rows.
//! In both cases no row is lost or duplicated, and no reader sees a partial file. For the same reason two processes may load at the same
//! time: at worst both write the same file.

pub mod batch_store;
pub mod client;
mod files;
pub mod row;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};

use arrow_array::Array;
use async_trait::async_trait;
use billwire_delivery::{channel::BulkSink, event::Event};
use billwire_schemas::ids::EventId;
use tokio::sync::Mutex;

pub use batch_store::BatchStore;
pub use client::Directory;
pub use files::Loaded;

/// Loads events into a directory of Parquet files.
#[derive(Debug)]
pub struct Warehouse<L> {
    batch_store: L,
    directory: Directory,
    /// Whether all earlier batches are known to be written. The lock is held while loading, so that loads do not overlap.
    settled: Mutex<bool>,
}

impl<L: BatchStore> Warehouse<L> {
    /// A warehouse in `directory` whose batches are recorded in `batch_store`.
    pub fn new(batch_store: L, directory: Directory) -> Self {
        Self { batch_store, directory, settled: Mutex::new(false) }
    }

    /// Writes the batches that were assigned before a crash or failure and may have no file.
    async fn settle(&self) -> Result<(), String> {
        for (batch, events) in self.batch_store.unwritten().await? {
            tracing::info!(batch, events = events.len(), "writing an unfinished batch of the warehouse");
            self.write(batch, events).await?;
        }
        Ok(())
    }

    async fn write(&self, batch: i64, mut events: Vec<Event>) -> Result<(), String> {
        // The order of the rows must not depend on the order of arrival.
        events.sort_by_key(|event| (event.position, event.id));
        let failed = |error: &dyn std::fmt::Display| format!("batch {batch} of the warehouse: {error}");
        // Parsing thousands of events takes too long for a thread that others share.
        let rows = tokio::task::spawn_blocking(move || row::rows(&events)).await.map_err(|error| failed(&error))?;
        let rows = rows.map_err(|error| failed(&error))?;
        let unreadable = rows.column(row::OBJECT_ID).null_count();
        if unreadable > 0 {
            tracing::warn!(batch, unreadable, "events in an unknown envelope were loaded with their payload only");
        }
        self.directory.write(batch, rows).await.map_err(|error| failed(&error))?;
        self.batch_store.written(batch).await
    }

    async fn add(&self, events: &[Event]) -> Result<(), String> {
        let mut seen = HashSet::new();
        let ids: Vec<EventId> = events.iter().map(|event| event.id).filter(|id| seen.insert(*id)).collect();
        if ids.is_empty() {
            return Ok(());
        }
        let Some((batch, taken)) = self.batch_store.assign(&ids).await? else {
            return self.settle().await;
        };
        let by_id: HashMap<EventId, &Event> = events.iter().map(|event| (event.id, event)).collect();
        let members: Option<Vec<Event>> = taken.iter().map(|id| by_id.get(id).map(|event| (*event).clone())).collect();
        let members = members.ok_or_else(|| format!("batch {batch} of the warehouse was assigned an event that was not offered"))?;
        self.write(batch, members).await?;
        // Some events already had a batch. The process that assigned it may have crashed before it wrote the file.
        if taken.len() < ids.len() { self.settle().await } else { Ok(()) }
    }
}

#[async_trait]
impl<L: BatchStore> BulkSink for Warehouse<L> {
    async fn load(&self, events: &[Event]) -> Result<(), String> {
        let mut settled = self.settled.lock().await;
        // Stays false if the rest fails or is cancelled.
        if !std::mem::replace(&mut *settled, false) {
            self.settle().await?;
        }
        self.add(events).await?;
        *settled = true;
        Ok(())
    }
}
