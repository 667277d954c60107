//! `tailEvents`: reads the stream from a position.

use std::time::Duration;

use async_trait::async_trait;
use billwire_schemas::ids::TenantId;
use billwire_store::{Error, commit::Failure};

use crate::App;

/// Read access to the stream; `server` implements it over the bus.
#[async_trait]
pub trait Stream: Send + Sync + 'static {
    /// Messages of a tenant after the position `after`, as JSON, up to `limit` in number and bytes but one at least, and the position to continue
    /// after. Without `after`, returns no messages and the current end. `pattern` selects event types. Waits up to `wait` for the first message.
    ///
    /// # Errors
    /// A message if the stream is currently unreadable.
    async fn after(
        &self,
        tenant: &TenantId,
        pattern: Option<&str>,
        after: Option<u64>,
        limit: (usize, usize),
        wait: Duration,
    ) -> Result<(Vec<String>, u64), String>;
}

impl App {
    /// Messages of the stream; see [`Stream::after`].
    ///
    /// # Errors
    /// `event_type_unknown`, or the stream is currently unreadable.
    pub async fn tail_events(
        &self,
        tenant: &TenantId,
        pattern: Option<&str>,
        after: Option<u64>,
        limit: (usize, usize),
        wait: Duration,
    ) -> Result<(Vec<String>, u64), Failure> {
        // Validating the pattern also keeps arbitrary text out of stream subjects.
        if let Some(pattern) = pattern {
            self.ensure_pattern(tenant, pattern).await?;
        }
        let stream = self.stream.as_ref().ok_or_else(|| Error::Unavailable("this process has no access to the stream".into()))?;
        stream.after(tenant, pattern, after, limit, wait).await.map_err(|why| Error::Unavailable(why).into())
    }
}
