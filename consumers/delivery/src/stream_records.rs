//! What SQL records of the stream: where each event stands, and up to where each reader has settled it. `server` implements it over `store`.

use std::collections::HashSet;

use async_trait::async_trait;
use billwire_schemas::{
    delivery::{Published, Reader, Settled},
    ids::Slot,
};

use crate::event::Event;

/// The records of the stream. Errors are texts for the log; every call may be repeated.
#[async_trait]
pub trait StreamRecords: Send + Sync {
    /// Events by outbox position, in any order.
    async fn events_at(&self, positions: &[i64]) -> Result<Vec<Event>, String>;
    /// Up to where a reader has settled the stream; `None`: it has never run.
    async fn settled(&self, reader: Reader) -> Result<Option<Settled>, String>;
    /// Records that. `false`: the stream was rolled back meanwhile, and the reader must start again.
    async fn save_settled(&self, reader: Reader, settled: Settled) -> Result<bool, String>;
    /// The slots with events on the stream that they have not settled.
    async fn unsettled_slots(&self) -> Result<HashSet<Slot>, String>;
    /// The events of a slot that stand, or stood, on the stream after this sequence, in order, up to `limit`.
    async fn published_after(&self, slot: Slot, after: u64, limit: u64) -> Result<Vec<Published>, String>;
    /// The events of a slot with positions between two that are not settled at the stream sequence `settled`, wherever they are: on the stream,
    /// lost, or not published (sequence 0). In the order of positions, some of them; and the position to continue after, `None` at the end.
    async fn unsettled_between(
        &self,
        slot: Slot,
        settled: u64,
        positions: (i64, i64),
        limit: u64,
    ) -> Result<(Vec<Published>, Option<i64>), String>;
    /// The last sequence at which an event stands on the stream.
    async fn last_published(&self) -> Result<u64, String>;
    /// The events on the stream after one sequence and up to another that the warehouse has not loaded, in order, up to `limit`; and the last
    /// sequence among all between those two.
    async fn unloaded(&self, after: u64, to: u64, limit: u64) -> Result<(Vec<Event>, Option<u64>), String>;
}
