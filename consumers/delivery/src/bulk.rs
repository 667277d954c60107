//! The loop of a sink that loads many events at once: the warehouse.

use std::{sync::Arc, time::Duration};

use billwire_bus::{Bus, ConsumerConfig, Pull, Received};
use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout_at},
};

use crate::{authenticity, channel::BulkSink, event::Event, lease::under, store::DeliveryStore};

/// How a bulk sink is fed.
#[derive(Debug, Clone)]
pub struct Options {
    /// The durable consumer's name, and the lease's.
    pub name: String,
    /// Load at the latest when this many events are in hand. Default 10 000.
    pub events_max: usize,
    /// Load at the latest when the first event in hand is this old. Default 2 s.
    pub age_max: Duration,
    /// How long a lease holds without being prolonged. Default 5 s.
    pub lease: Duration,
}

impl Options {
    /// The defaults under `name`.
    pub fn new(name: &str) -> Self {
        Self { name: name.to_owned(), events_max: 10_000, age_max: Duration::from_secs(2), lease: Duration::from_secs(5) }
    }
}

/// How long before a sink that failed is tried again.
const AGAIN: Duration = Duration::from_millis(500);

/// Feeds `sink` with every event of every tenant until `stop` turns true.
pub async fn run(
    bus: Bus,
    delivery_store: Arc<dyn DeliveryStore>,
    sink: Arc<dyn BulkSink>,
    options: Options,
    mut stop: watch::Receiver<bool>,
) {
    loop {
        match delivery_store.acquire_lease(&options.name, options.lease).await {
            Ok(Some(lease)) => {
                let fed = tokio::select! {
                    fed = under(&delivery_store, &lease, options.lease, feed(&bus, delivery_store.as_ref(), sink.as_ref(), &options)) => {
                        fed.unwrap_or_else(|| Err("another process took over".into()))
                    }
                    _ = stop.changed() => Ok(()),
                };
                if let Err(error) = delivery_store.release_lease(&lease).await {
                    tracing::debug!(%error, "a lease was not given back; it runs out by itself");
                }
                match fed {
                    Ok(()) => return,
                    Err(error) => tracing::warn!(sink = options.name, error, "a sink stopped; it starts again"),
                }
            }
            Ok(None) => {}
            Err(error) => tracing::warn!(%error, "a sink's lease could not be asked for"),
        }
        tokio::select! {
            _ = stop.changed() => return,
            () = sleep(AGAIN) => {}
        }
    }
}

async fn feed(bus: &Bus, delivery_store: &dyn DeliveryStore, sink: &dyn BulkSink, options: &Options) -> Result<(), String> {
    let consumer = ConsumerConfig {
        fence: None,
        name: options.name.clone(),
        filter: "billing.>".to_owned(),
        from: None,
        ack_wait: Duration::from_secs(120),
        ack_pending_max: i64::try_from(options.events_max).unwrap_or(i64::MAX),
    };
    // Batches that an earlier run left unfinished are finished before anything new comes.
    sink.load(&[]).await?;
    let mut pull = bus.pull(&consumer).await.map_err(|e| e.to_string())?;
    loop {
        let batch = authenticity::only(bus, delivery_store, gather(&mut pull, options).await?).await?;
        let events: Vec<Event> = batch.iter().filter_map(Event::of).collect();
        sink.load(&events).await?;
        for message in &batch {
            bus.ack(message).await;
        }
    }
}

/// Waits for a first event, then gathers until there are enough or the first is old enough.
async fn gather(pull: &mut Pull, options: &Options) -> Result<Vec<Received>, String> {
    let mut batch = pull.next(options.events_max).await.map_err(|e| e.to_string())?;
    let due = Instant::now() + options.age_max;
    while batch.len() < options.events_max {
        match timeout_at(due, pull.next(options.events_max - batch.len())).await {
            Ok(more) => batch.extend(more.map_err(|e| e.to_string())?),
            Err(_) => break,
        }
    }
    Ok(batch)
}
