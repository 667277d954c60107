//! The relay: from the outbox to the stream.
//!
//! One process at a time, under a lease whose fence is checked whenever events are marked. It publishes all unpublished rows it
//! sees, transaction by transaction, and never by a cursor (reliability notes, section 2.1). A wake-up carries no data:
//! there is one code path, whether a commit or the clock woke it.

use std::{collections::HashSet, sync::Arc, time::Duration};

use billwire_bus::{BATCH_MAX, Bus, Error, Message, PublishOutcome, topology::State};
use billwire_delivery::lease::{self, Leases};
use billwire_schemas::{events::envelope::subject, ids::fresh, lease::Lease};
use billwire_store::{HIGHEST_SEQUENCE, Store, Unpublished};
use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout},
};

use crate::roles::set_aside::SetAside;

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
/// How often the stream is checked against what was published.
const CHECK_EVERY: Duration = Duration::from_secs(30);
/// The setting with the epoch of the stream.
const EPOCH: &str = "stream_epoch";

/// Publishes until `stop` turns true.
pub async fn run(store: Store, bus: Bus, leases: Arc<dyn Leases>, ttl: Duration, stop: watch::Receiver<bool>) {
    lease::run(&leases, "relay", ttl, stop, |lease| publish_outbox(&store, &bus, lease)).await;
}

/// Works as the one relay until something fails.
async fn publish_outbox(store: &Store, bus: &Bus, lease: Lease) -> Result<(), String> {
    let mut highest = adopt_stream(store, bus).await?;
    let mut set_aside = SetAside::of(store).await?;
    let mut page = Page { rows: PAGE_MIN };
    let mut checked = Instant::now();
    loop {
        if checked.elapsed() > CHECK_EVERY {
            highest = highest.max(adopt_stream(store, bus).await?);
            checked = Instant::now();
        }
        set_aside.follow(store, bus, &lease).await?;
        let events = page.read(store).await?;
        if events.is_empty() {
            let _ = timeout(POLL, store.committed()).await;
            continue;
        }
        let events = set_aside.sort_out(store, &lease, events).await?;
        if events.is_empty() {
            continue;
        }
        let (published, last) = publish(bus, &events).await?;
        let higher = (last > highest).then_some(last);
        if !store.mark_published(&lease, &published, higher).await.map_err(|e| e.to_string())? {
            return Err("another process is the relay now".into());
        }
        highest = highest.max(last);
        if published.len() < events.len() {
            sleep(AGAIN).await;
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
    /// When the database fails.
    async fn read(&mut self, store: &Store) -> Result<Vec<Unpublished>, String> {
        loop {
            let mut events = store.unpublished(self.rows).await.map_err(|e| e.to_string())?;
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

/// Makes sure the stream is the one that was published to, and as long as it was. If it was lost, created again or rolled back,
/// every retained event is published again: consumers know events by id, so events they have had already change nothing.
async fn adopt_stream(store: &Store, bus: &Bus) -> Result<u64, String> {
    let State { epoch, last_sequence, .. } = bus.ensure_stream(&fresh().to_string()).await.map_err(|e| e.to_string())?;
    let known = store.setting(EPOCH).await.map_err(|e| e.to_string())?;
    let highest: u64 = store.setting(HIGHEST_SEQUENCE).await.map_err(|e| e.to_string())?.and_then(|t| t.parse().ok()).unwrap_or(0);
    let lost = known.as_ref().is_some_and(|known| *known != epoch) || last_sequence < highest;
    if lost {
        bus.delete_all_consumers().await.map_err(|e| e.to_string())?;
        let events = store.publish_all_again().await.map_err(|e| e.to_string())?;
        tracing::warn!(events, last_sequence, highest, "the stream was lost or rolled back; it is filled again from SQL");
    }
    if lost || known.is_none() {
        store.set(EPOCH, &epoch).await.map_err(|e| e.to_string())?;
        store.set(HIGHEST_SEQUENCE, &last_sequence.to_string()).await.map_err(|e| e.to_string())?;
        return Ok(last_sequence);
    }
    Ok(highest)
}

fn message(event: &Unpublished) -> Message {
    // The business transaction is the trace, the event is the span: no further data is needed to join them later.
    let span: String = event.id.0.simple().to_string().chars().skip(16).collect();
    Message {
        subject: subject(&event.tenant, &event.kind, &event.key),
        id: event.id.to_string(),
        position: event.position,
        sequence: event.sequence,
        traceparent: format!("00-{}-{span}-00", event.transaction.0.simple()),
        body: event.body.clone().into(),
    }
}

/// Up to this many events are published one by one; more share a batch: a stream that syncs to disk pays for each single message, and for
/// a batch only once.
const APART_MAX: usize = 16;

/// Publishes `events`; gives the positions that the stream certainly holds, and the highest sequence seen.
async fn publish(bus: &Bus, events: &[Unpublished]) -> Result<(Vec<i64>, u64), String> {
    let several = events.windows(2).any(|pair| pair[0].transaction == pair[1].transaction);
    if several || events.len() > APART_MAX { publish_batch(bus, events).await } else { publish_waves(bus, events).await }
}

/// Whole transactions share a batch, which becomes visible together or not at all.
async fn publish_batch(bus: &Bus, events: &[Unpublished]) -> Result<(Vec<i64>, u64), String> {
    let messages: Vec<Message> = events.iter().map(message).collect();
    match bus.publish_batch(&messages).await.map_err(|e| e.to_string())? {
        PublishOutcome::Stored(last) => Ok((events.iter().map(|e| e.position).collect(), last)),
        PublishOutcome::Unknown => {
            // Some may be stored: the answer to an earlier attempt was lost. Those are marked; the rest is published next time.
            let (mut stored, mut highest) = (Vec::new(), 0);
            for (event, message) in events.iter().zip(&messages) {
                if let Some(last) = read_back(bus, message).await? {
                    stored.push(event.position);
                    highest = highest.max(last);
                }
            }
            Ok((stored, highest))
        }
    }
}

/// A few transactions with one message each: pipelined, but with only one message of an ordering key in flight, so that its successor
/// cannot overtake one that fails.
async fn publish_waves(bus: &Bus, events: &[Unpublished]) -> Result<(Vec<i64>, u64), String> {
    let (mut stored, mut highest) = (Vec::new(), 0);
    let mut rest: Vec<&Unpublished> = events.iter().collect();
    while !rest.is_empty() {
        let mut keys = HashSet::new();
        let (wave, later): (Vec<_>, Vec<_>) = rest.into_iter().partition(|e| keys.insert((e.tenant.clone(), e.key.clone())));
        let messages: Vec<Message> = wave.iter().map(|e| message(e)).collect();
        let mut failed = false;
        for ((event, message), verdict) in wave.iter().zip(&messages).zip(bus.publish_each(&messages).await) {
            let last = match verdict {
                PublishOutcome::Stored(last) => Some(last),
                PublishOutcome::Unknown => read_back(bus, message).await?,
            };
            match last {
                Some(last) => {
                    stored.push(event.position);
                    highest = highest.max(last);
                }
                None => failed = true,
            }
        }
        if failed {
            break;
        }
        rest = later;
    }
    Ok((stored, highest))
}

async fn read_back(bus: &Bus, message: &Message) -> Result<Option<u64>, String> {
    bus.stored(message).await.map_err(|e: Error| e.to_string())
}

#[cfg(test)]
mod tests {
    use billwire_schemas::ids::{EventId, OrderingKey, TenantId, TransactionId};

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
