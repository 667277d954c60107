//! The loop that feeds a bulk sink, which loads many events at once: the warehouse.

use std::{sync::Arc, time::Duration};

use billwire_bus::{Bus, ConsumerConfig, Pull, Received};
use tokio::{
    sync::watch,
    time::{Instant, timeout_at},
};

use crate::{
    authenticity,
    channel::BulkSink,
    event::Event,
    lease::{self, Leases},
    store::DeliveryStore,
};

/// How a bulk sink is fed.
#[derive(Debug, Clone)]
pub struct Options {
    /// The name of the durable consumer and of the lease.
    pub name: String,
    /// The largest number of events in one load. Default 10 000.
    pub events_max: usize,
    /// How long the first event of a load waits for more at most. Default 2 s.
    pub age_max: Duration,
    /// How long the lease lasts without a renewal. Default 5 s.
    pub lease: Duration,
}

impl Options {
    /// The defaults under `name`.
    pub fn new(name: &str) -> Self {
        Self { name: name.to_owned(), events_max: 10_000, age_max: Duration::from_secs(2), lease: Duration::from_secs(5) }
    }
}

/// Feeds `sink` with every event of every tenant until `stop` turns true.
pub async fn run(bus: Bus, delivery_store: Arc<dyn DeliveryStore>, sink: Arc<dyn BulkSink>, options: Options, stop: watch::Receiver<bool>) {
    let leases: Arc<dyn Leases> = delivery_store.clone();
    let feed = |_| feed(&bus, delivery_store.as_ref(), sink.as_ref(), &options);
    lease::run(&leases, &options.name, options.lease, stop, feed).await;
}

async fn feed(bus: &Bus, delivery_store: &dyn DeliveryStore, sink: &dyn BulkSink, options: &Options) -> Result<(), String> {
    let consumer = ConsumerConfig {
        fence: None,
        name: options.name.clone(),
        filter: "billing.>".to_owned(),
        ack_wait: Duration::from_secs(120),
        ack_pending_max: i64::try_from(options.events_max).unwrap_or(i64::MAX),
    };
    // Finishes the batches that an earlier run left unfinished.
    sink.load(&[]).await?;
    let mut pull = bus.pull(&consumer).await.map_err(|e| e.to_string())?;
    loop {
        let batch = authenticity::genuine(bus, delivery_store, gather(&mut pull, options).await?).await?;
        let events: Vec<Event> = batch.iter().filter_map(Event::of).collect();
        sink.load(&events).await?;
        for message in &batch {
            bus.ack(message).await;
        }
    }
}

/// Waits for a first message, then gathers more until there are enough or the first is old enough.
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
