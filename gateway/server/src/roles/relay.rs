//! The relay: from the outbox to the stream.
//!
//! One process at a time, by a lease whose fence is checked whenever events are marked. It publishes all unpublished rows it
//! sees, in the order of their positions, and never by a cursor (reliability notes, section 2.1). A wake-up carries no data:
//! there is one code path, whether it was woken by a commit or by the clock.

use std::{collections::HashSet, time::Duration};

use billwire_bus::{BATCH_MAX, Bus, Error, Message, PublishOutcome, topology::State};
use billwire_schemas::{events::envelope::subject, ids::fresh, lease::Lease};
use billwire_store::{Store, Unpublished};
use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout},
};

use crate::roles::set_aside::SetAside;

/// The relay's settings.
#[derive(Debug, Clone)]
pub struct Options {
    /// Which process this is.
    pub owner: String,
    /// How long the lease holds without being prolonged.
    pub lease: Duration,
}

/// Rows read at once, at most: JetStream's limit of one batch.
const PAGE: u64 = BATCH_MAX as u64;
/// Rows read at first, and again after a page of large events.
const PAGE_MIN: u64 = 256;
/// Bytes of messages published at once, but for a business transaction that has more: what the server is sure to take within the time
/// an acknowledgement is waited for.
const PAGE_BYTES: usize = 8 * 1024 * 1024;
/// How often the outbox is looked at without being woken.
const POLL: Duration = Duration::from_millis(200);
/// Wait after a failure.
const AGAIN: Duration = Duration::from_millis(500);
/// How often the stream is checked against what was published.
const CHECK_EVERY: Duration = Duration::from_secs(30);
/// Settings that hold the epoch of the stream, and the highest sequence it acknowledged.
const EPOCH: &str = "stream_epoch";
const HIGHEST: &str = "stream_last_sequence";

/// Publishes until `stop` turns true.
pub async fn run(store: Store, bus: Bus, options: Options, mut stop: watch::Receiver<bool>) {
    loop {
        match store.acquire_lease("relay", &options.owner, options.lease).await {
            Ok(Some(lease)) => {
                let ended = tokio::select! {
                    ended = lead(&store, &bus, &lease, &options) => ended,
                    _ = stop.changed() => Ok(()),
                };
                if let Err(error) = store.release_lease(&lease).await {
                    tracing::debug!(%error, "the relay's lease was not given back; it runs out by itself");
                }
                match ended {
                    Ok(()) => return,
                    Err(error) => tracing::warn!(error, "the relay stopped; it starts again"),
                }
            }
            Ok(None) => {}
            Err(error) => tracing::warn!(%error, "the relay's lease could not be asked for"),
        }
        tokio::select! {
            _ = stop.changed() => return,
            () = sleep(AGAIN) => {}
        }
    }
}

/// Works as the one relay until something fails.
async fn lead(store: &Store, bus: &Bus, lease: &Lease, options: &Options) -> Result<(), String> {
    let mut highest = adopt_stream(store, bus).await?;
    let mut set_aside = SetAside::of(store).await?;
    let mut page = Page { rows: PAGE_MIN };
    let (mut kept, mut checked) = (Instant::now(), Instant::now());
    loop {
        if kept.elapsed() > options.lease / 3 {
            let held = store.renew_lease(lease, options.lease).await.map_err(|e| e.to_string())?;
            if !held {
                return Err("another process is the relay now".into());
            }
            kept = Instant::now();
        }
        if checked.elapsed() > CHECK_EVERY {
            highest = highest.max(adopt_stream(store, bus).await?);
            checked = Instant::now();
        }
        set_aside.follow(store, bus, lease).await?;
        let events = page.read(store).await?;
        if events.is_empty() {
            let _ = timeout(POLL, store.committed()).await;
            continue;
        }
        let events = set_aside.sort_out(store, lease, events).await?;
        if events.is_empty() {
            continue;
        }
        let (published, last) = publish(bus, &events).await?;
        if !store.mark_published(lease, &published).await.map_err(|e| e.to_string())? && !published.is_empty() {
            return Err("another process is the relay now".into());
        }
        if last > highest {
            highest = last;
            store.set(HIGHEST, &highest.to_string()).await.map_err(|e| e.to_string())?;
        }
        if published.len() < events.len() {
            sleep(AGAIN).await;
        }
    }
}

/// How many rows are read next. Many only when few were not enough and were not large: a thousand of the largest would fill the memory,
/// and be a batch that no server takes in time.
struct Page {
    rows: u64,
}

impl Page {
    /// The first events in line, whole business transactions, up to [`PAGE_BYTES`].
    ///
    /// # Errors
    /// When the database fails.
    async fn read(&mut self, store: &Store) -> Result<Vec<Unpublished>, String> {
        loop {
            let mut events = store.unpublished(self.rows).await.map_err(|e| e.to_string())?;
            let one = events.windows(2).all(|pair| pair[0].transaction == pair[1].transaction);
            if one && events.len() as u64 == self.rows && self.rows < PAGE {
                // It may go on behind the page, and becomes visible as a whole.
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

/// Makes sure the stream is the one that was published to, and as long as it was. If it was lost, made anew or rolled back,
/// every retained event goes in line again: consumers know events by id, so what they have had already changes nothing.
async fn adopt_stream(store: &Store, bus: &Bus) -> Result<u64, String> {
    let State { epoch, last_sequence, .. } = bus.ensure_stream(&fresh().to_string()).await.map_err(|e| e.to_string())?;
    let known = store.setting(EPOCH).await.map_err(|e| e.to_string())?;
    let highest: u64 = store.setting(HIGHEST).await.map_err(|e| e.to_string())?.and_then(|t| t.parse().ok()).unwrap_or(0);
    let lost = known.as_ref().is_some_and(|known| *known != epoch) || last_sequence < highest;
    if lost {
        bus.delete_all_consumers().await.map_err(|e| e.to_string())?;
        let events = store.publish_all_again().await.map_err(|e| e.to_string())?;
        tracing::warn!(events, last_sequence, highest, "the stream was lost or rolled back; it is filled again from SQL");
    }
    if lost || known.is_none() {
        store.set(EPOCH, &epoch).await.map_err(|e| e.to_string())?;
        store.set(HIGHEST, &last_sequence.to_string()).await.map_err(|e| e.to_string())?;
        return Ok(last_sequence);
    }
    Ok(highest)
}

fn message(event: &Unpublished) -> Message {
    // The business transaction is the trace, the event is the span: nothing more need be kept to join them later.
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

/// So many events go each by itself; more share a batch, since a stream that is on disk at once pays for each message apart, and for
/// a batch only once.
const APART_MAX: usize = 16;

/// Publishes `events` and gives the positions that the stream surely holds, and its highest sequence seen.
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
            // Some of it may be stored: an earlier try whose answer was lost. Take out what is, try the rest next time.
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

/// A few transactions with one message each: pipelined, but only one of an ordering key in flight, so that one that fails cannot be
/// overtaken by its successor.
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
