//! What is known of batches. `server` implements it over SQL.

use async_trait::async_trait;
use billwire_delivery::event::Event;
use billwire_schemas::ids::EventId;

/// The record of which event belongs to which batch, and which batches are written. Numbers of batches are never used twice.
#[async_trait]
pub trait BatchStore: Send + Sync + 'static {
    /// The batches that are assigned and not marked written, each with all of its events, in position order.
    ///
    /// # Errors
    /// Text for the log; loading goes on from here later.
    async fn unwritten(&self) -> Result<Vec<(i64, Vec<Event>)>, String>;

    /// Gives those of `ids` that no batch holds yet to a new batch, and tells its number and which they were; `None` if
    /// every one of them has its batch already. Committed when it returns, whole or not at all, also against other processes.
    ///
    /// # Errors
    /// Text for the log; it may nevertheless have been committed.
    async fn assign(&self, ids: &[EventId]) -> Result<Option<(i64, Vec<EventId>)>, String>;

    /// Marks a batch written.
    ///
    /// # Errors
    /// Text for the log; the batch will be written again.
    async fn written(&self, batch: i64) -> Result<(), String>;
}
