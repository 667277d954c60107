//! The record of batches. `server` implements it over SQL.

use async_trait::async_trait;
use billwire_delivery::event::Event;
use billwire_schemas::ids::EventId;

/// Records which event belongs to which batch, and which batches are written. A batch number is never used twice.
#[async_trait]
pub trait BatchStore: Send + Sync + 'static {
    /// The batches that are assigned but not marked as written, each with all of its events in position order.
    ///
    /// # Errors
    /// Text for the log; loading is retried later.
    async fn unwritten(&self) -> Result<Vec<(i64, Vec<Event>)>, String>;

    /// Assigns those of `ids` that have no batch yet to a new batch; returns its number and these ids, or `None` if all have a batch. The
    /// assignment is atomic, also with respect to other processes, and committed on return.
    ///
    /// # Errors
    /// Text for the log; the assignment may nevertheless be committed.
    async fn assign(&self, ids: &[EventId]) -> Result<Option<(i64, Vec<EventId>)>, String>;

    /// Marks a batch as written.
    ///
    /// # Errors
    /// Text for the log; the batch will be written again.
    async fn written(&self, batch: i64) -> Result<(), String>;
}
