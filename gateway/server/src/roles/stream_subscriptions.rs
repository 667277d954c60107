//! Keeps the consumers of stream subscriptions as SQL says: makes and mends what is missing or changed, deletes what is left over, and
//! records how far each is, so that one that the nats-server has lost goes on from there. One process at a time.

use std::{collections::HashMap, sync::Arc, time::Duration};

use billwire_app::{App, CONSUMER, KnownCatalogues, Seen, StreamPlace, StreamProgress, WantedConsumer};
use billwire_bus::{Bus, FoundConsumer, FoundConsumers};
use billwire_delivery::lease::{self, Leases};
use billwire_schemas::clock::{Clock, SystemClock};
use billwire_store::Store;
use chrono::TimeDelta;
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};

use crate::adapters::{delivery_store::text, stream_consumers::on_the_bus};

/// How often SQL and the stream are compared, at least.
const EVERY: Duration = Duration::from_secs(2);
/// The wait after a change of configuration, so that many changes are one comparison.
const GATHER: Duration = Duration::from_millis(250);
/// How old what was seen of a consumer may be if nothing has changed.
const SEEN_AGAIN: TimeDelta = TimeDelta::seconds(30);

/// Compares until `stop` turns true.
pub async fn run(app: App, store: Store, bus: Bus, (leases, ttl): (Arc<dyn Leases>, Duration), stop: watch::Receiver<bool>) {
    lease::run(&leases, "stream-subscriptions", ttl, stop, |_| keep(&app, &store, &bus)).await;
}

async fn keep(app: &App, store: &Store, bus: &Bus) -> Result<(), String> {
    let (mut configured, mut known) = (store.configured(), KnownCatalogues::default());
    loop {
        configured.mark_unchanged();
        step(app, store, bus, &mut known).await?;
        if timeout(EVERY, configured.changed()).await.is_ok() {
            sleep(GATHER).await;
        }
    }
}

async fn step(app: &App, store: &Store, bus: &Bus, known: &mut KnownCatalogues) -> Result<(), String> {
    let found = match bus.subscriber_consumers(CONSUMER).await {
        Ok(found) => found,
        // The relay makes it; its consumers follow.
        Err(billwire_bus::Error::Missing(_)) => return Ok(()),
        Err(error) => return Err(error.to_string()),
    };
    // Read after what is on the stream: a consumer is made only after its subscription is committed.
    let wanted = app.wanted_consumers(known).await.map_err(text)?;
    let by_name: HashMap<&str, &FoundConsumer> = found.consumers.iter().map(|one| (one.name.as_str(), one)).collect();
    for one in &wanted {
        let there = by_name.get(one.name.as_str()).copied();
        let mended = match there {
            Some(there) => bus.mend_consumer(&on_the_bus(one), there).await,
            None => bus.provide_consumer(&on_the_bus(one)).await,
        };
        // What cannot be done for one subscription must not keep another from its consumer.
        if let Err(error) = mended {
            tracing::warn!(%error, consumer = one.name, "a stream subscription's consumer could not be made as it must be; it is tried again");
            continue;
        }
        if let Some(now) = there.and_then(|there| progress(one, there, &found)) {
            store.save_stream_progress(&now, &one.progress).await.map_err(text)?;
        }
    }
    for left in by_name.keys().filter(|name| !wanted.iter().any(|one| one.name == **name)) {
        bus.delete_consumer(left).await.map_err(text)?;
    }
    Ok(())
}

/// What is worth recording of a consumer.
fn progress(wanted: &WantedConsumer, there: &FoundConsumer, found: &FoundConsumers) -> Option<StreamProgress> {
    let before = &wanted.progress;
    if there.resets != Some(before.resets) {
        return None;
    }
    let FoundConsumer { pending, outstanding, acknowledged_at, .. } = *there;
    let seen = Seen { pending, outstanding, acknowledged_at, at: SystemClock.now() };
    let settled = Some(StreamPlace { epoch: found.epoch.clone(), sequence: there.settled.min(found.last_sequence) });
    let same = |known: &Seen| Seen { at: seen.at, ..*known } == seen && seen.at - known.at < SEEN_AGAIN;
    if settled == before.settled && before.seen.as_ref().is_some_and(same) {
        return None;
    }
    Some(StreamProgress { settled, seen: Some(seen), ..before.clone() })
}
