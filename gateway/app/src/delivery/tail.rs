//! `tailEvents`: the stream from a place on.

use std::time::Duration;

use async_trait::async_trait;
use billwire_domain::Rejected;
use billwire_schemas::{events::selection::Selection, ids::TenantId};
use billwire_store::{Error, commit::Failure};

use crate::App;

/// The stream, as far as one looks at it; `server` has it over the bus.
#[async_trait]
pub trait Stream: Send + Sync + 'static {
    /// Up to `limit` messages of a tenant behind the place `after`, JSON each, and the place to go on behind; without `after` none, and the
    /// present end. `pattern`: only of these types. Waits up to `wait` for the first.
    ///
    /// # Errors
    /// Text for people: the stream cannot be read now.
    async fn after(
        &self,
        tenant: &TenantId,
        pattern: Option<&str>,
        after: Option<u64>,
        limit: usize,
        wait: Duration,
    ) -> Result<(Vec<String>, u64), String>;
}

impl App {
    /// Messages of the stream; see [`Stream::after`].
    ///
    /// # Errors
    /// `event_type_unknown`; or the stream cannot be read now.
    pub async fn tail_events(
        &self,
        tenant: &TenantId,
        pattern: Option<&str>,
        after: Option<u64>,
        limit: usize,
        wait: Duration,
    ) -> Result<(Vec<String>, u64), Failure> {
        // Also keeps what is no type out of the stream's subjects.
        let unknown = match pattern {
            Some(pattern) => self.catalogue(tenant).await?.unknown(&Selection::of_types(&[pattern])).into_iter().next(),
            None => None,
        };
        if let Some(unknown) = unknown {
            return Err(Rejected::violation("", unknown.code, unknown.message).into());
        }
        let stream = self.stream.as_ref().ok_or_else(|| Error::Unavailable("the stream cannot be read from here".into()))?;
        stream.after(tenant, pattern, after, limit, wait).await.map_err(|why| Error::Unavailable(why).into())
    }
}
