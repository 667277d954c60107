//! The relay: from the outbox to the stream.
//!
//! One process at a time, under a lease whose fence is checked whenever events are marked. It publishes all unpublished rows it
//! sees, transaction by transaction, and never by a cursor (reliability notes, section 2.1). A wake-up carries no data:
//! there is one code path, whether a commit or the clock woke it. What the stream holds, [`Audit`] knows.

use std::{sync::Arc, time::Duration};

use billwire_bus::{BATCH_MAX, Bus, PublishOutcome};
use billwire_delivery::lease::{self, Leases};
use billwire_schemas::lease::Lease;
use billwire_store::{Store, Unpublished};
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};

use crate::{
    adapters::delivery_store::text,
    roles::{restored::Guard, set_aside::SetAside, stream_audit::Audit},
};

/// Rows read at once, at most: JetStream's limit of one batch.
const PAGE: u64 = BATCH_MAX as u64;
/// Rows read at first, and again after a page of large events.
const PAGE_MIN: u64 = 256;
/// Bytes of messages published at once, unless one business transaction has more: what the server can store before the wait for its
/// acknowledgement times out.
const PAGE_BYTES: usize = 8 * 1024 * 1024;
/// How often the outbox is read without a wake-up.
const POLL: Duration = Duration::from_secs(1);
/// The wait after a failure.
const AGAIN: Duration = Duration::from_millis(500);
/// The lease of the relay.
pub(crate) const RELAY: &str = "relay";

/// Publishes until `stop` turns true.
pub async fn run(store: Store, bus: Bus, (leases, ttl): (Arc<dyn Leases>, Duration), guard: Guard, stop: watch::Receiver<bool>) {
    lease::run(&leases, RELAY, ttl, stop, |lease| publish_outbox(&store, &bus, lease, guard.clone())).await;
}

/// Works as the one relay until something fails.
async fn publish_outbox(store: &Store, bus: &Bus, lease: Lease, guard: Guard) -> Result<(), String> {
    let mut audit = Audit::start(store, bus, &lease, guard).await?;
    let mut set_aside = SetAside::of(store).await?;
    let mut page = Page { rows: PAGE_MIN };
    loop {
        audit.step(store, bus, &lease).await?;
        set_aside.follow(store, bus, &lease).await?;
        let events = page.read(store, &audit).await?;
        if events.is_empty() {
            let _ = timeout(POLL, store.committed()).await;
            continue;
        }
        let events = set_aside.sort_out(store, &lease, events).await?;
        if events.is_empty() {
            continue;
        }
        // Whole transactions share a batch, which becomes visible together or not at all.
        let messages = audit.messages(&events);
        match bus.publish(&messages, audit.last).await.map_err(text)? {
            PublishOutcome::Stored(first) => audit.published(store, &lease, &events, first).await?,
            PublishOutcome::Unknown => {
                if !audit.catch_up(store, bus, &lease).await? {
                    sleep(AGAIN).await;
                }
            }
        }
    }
}

/// How many rows are read next. Many only if few were not enough and were not large: a thousand of the largest would fill the memory,
/// and be a batch that no server stores in time.
struct Page {
    rows: u64,
}

impl Page {
    /// The first unpublished events, as whole business transactions, up to [`PAGE_BYTES`].
    ///
    /// # Errors
    /// When the database fails, or is not the one that `audit` knows.
    async fn read(&mut self, store: &Store, audit: &Audit) -> Result<Vec<Unpublished>, String> {
        loop {
            let (mut events, end) = store.unpublished_and_end(self.rows).await.map_err(|e| e.to_string())?;
            if !events.is_empty() {
                audit.ensure_same_end(end)?;
            }
            let one = events.windows(2).all(|pair| pair[0].transaction == pair[1].transaction);
            if one && events.len() as u64 == self.rows && self.rows < PAGE {
                // The transaction may continue behind the page, and its messages become visible together.
                self.rows = PAGE;
                continue;
            }
            let fitting = fitting(&events, PAGE_BYTES);
            let many = fitting == events.len() && fitting as u64 * 2 > self.rows;
            self.rows = if many { (self.rows * 4).min(PAGE) } else { PAGE_MIN };
            events.truncate(fitting);
            return Ok(events);
        }
    }
}

/// How many events go together, so that no business transaction is cut and all but the first stay within `bytes`.
fn fitting(events: &[Unpublished], bytes: usize) -> usize {
    let (mut total, mut whole) = (0, 0);
    for (at, event) in events.iter().enumerate() {
        if at > 0 && events[at - 1].transaction != event.transaction {
            whole = at;
        }
        total += event.body.len();
        if total > bytes && whole > 0 {
            return whole;
        }
    }
    events.len()
}

#[cfg(test)]
mod tests {
    use billwire_schemas::ids::{EventId, OrderingKey, TenantId, TransactionId, fresh};

    use super::*;

    /// How many of the events of (transaction, size) go together.
    fn together(of: &[(u128, usize)]) -> usize {
        let one = |&(transaction, size): &(u128, usize)| Unpublished {
            position: 1,
            id: EventId(fresh()),
            tenant: TenantId::default_tenant(),
            kind: "custom.noted".to_owned(),
            key: OrderingKey::CONFIGURATION,
            sequence: 1,
            transaction: TransactionId(uuid::Uuid::from_u128(transaction)),
            body: "x".repeat(size),
        };
        fitting(&of.iter().map(one).collect::<Vec<_>>(), 10)
    }

    #[test]
    fn a_page_ends_where_it_grows_too_large_and_cuts_no_business_transaction() {
        assert_eq!(together(&[]), 0);
        assert_eq!(together(&[(1, 5), (2, 5)]), 2);
        assert_eq!(together(&[(1, 5), (2, 6), (3, 1)]), 1);
        assert_eq!(together(&[(1, 5), (2, 3), (2, 3), (3, 1)]), 1);
        assert_eq!(together(&[(1, 5), (1, 6), (1, 7)]), 3, "one alone goes whole");
        assert_eq!(together(&[(1, 5), (1, 6), (2, 1)]), 2);
    }
}
