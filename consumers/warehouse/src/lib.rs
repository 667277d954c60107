//! The warehouse: every event once, as rows in Parquet files that any analytical engine reads.
//!
//! Called by the delivery engine's bulk loop, through [`BulkSink`]; `server` makes the [`Warehouse`] and implements
//! [`BatchStore`] over SQL. It never touches SQL or NATS itself, never reads the clock, and never changes a file that is there.
//! It exists so that the one promise other channels do not make, exactly once, is kept in one place: what a row is
//! ([`row`], pure), how a file comes to be ([`client`], the only IO), what is known of batches ([`batch_store`]).
//!
//! # Why exactly once
//!
//! 1. SQL gives every event to exactly one batch, in one committed statement ([`BatchStore::assign`]). An event that comes a
//!    second time (redelivered, replayed, offered by another process) already has its batch and gets no other.
//! 2. The rows of a batch are a pure function of its events, and its file has one name, made of the batch's number.
//! 3. That file appears whole or not at all: it is written elsewhere, synced, and renamed to its name.
//!
//! So a crash can leave two things behind. A batch without a file: it is still unwritten in SQL, and is written before
//! anything else when loading goes on, or by the process that is offered its events next. Or a whole file that SQL does not know of yet:
//! the same file is written again in its place, with the same rows. In neither case is a row lost or doubled, and no reader ever sees half
//! a file. For the same reason two processes may load at once: at worst both write the same file.

pub mod batch_store;
pub mod client;
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

/// Loads events into a directory of Parquet files.
#[derive(Debug)]
pub struct Warehouse<L> {
    batch_store: L,
    directory: Directory,
    /// Whether every batch below the newest is known to be written. Held while loading: one load at a time.
    settled: Mutex<bool>,
}

impl<L: BatchStore> Warehouse<L> {
    /// A warehouse in `directory` whose batches stand in `batch_store`.
    pub fn new(batch_store: L, directory: Directory) -> Self {
        Self { batch_store, directory, settled: Mutex::new(false) }
    }

    /// Writes what was assigned before a crash or failure and has no file for certain.
    async fn settle(&self) -> Result<(), String> {
        for (batch, events) in self.batch_store.unwritten().await? {
            tracing::info!(batch, events = events.len(), "writing a batch of the warehouse that was left unfinished");
            self.write(batch, events.iter().collect()).await?;
        }
        Ok(())
    }

    async fn write(&self, batch: i64, mut events: Vec<&Event>) -> Result<(), String> {
        // The order, too, must not depend on how the events came here.
        events.sort_by_key(|event| (event.position, event.id));
        let rows = row::rows(&events).map_err(|error| format!("batch {batch} of the warehouse: {error}"))?;
        let unreadable = rows.column(row::OBJECT_ID).null_count();
        if unreadable > 0 {
            tracing::warn!(batch, unreadable, "events that are not in our envelope were loaded with their payload only");
        }
        self.directory.write(batch, rows).await.map_err(|error| format!("batch {batch} of the warehouse: {error}"))?;
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
        let members: Option<Vec<&Event>> = taken.iter().map(|id| by_id.get(id).copied()).collect();
        let members = members.ok_or_else(|| format!("batch {batch} of the warehouse was assigned an event nobody offered"))?;
        self.write(batch, members).await?;
        // Some had their batch already. Whoever assigned it may have died before writing it, and will not come back for it.
        if taken.len() < ids.len() { self.settle().await } else { Ok(()) }
    }
}

#[async_trait]
impl<L: BatchStore> BulkSink for Warehouse<L> {
    async fn load(&self, events: &[Event]) -> Result<(), String> {
        let mut settled = self.settled.lock().await;
        // Stays false if what follows fails, or is dropped half way.
        if !std::mem::replace(&mut *settled, false) {
            self.settle().await?;
        }
        self.add(events).await?;
        *settled = true;
        Ok(())
    }
}
