//! The loop that feeds a bulk sink, which loads many events at once: the warehouse.

use std::{sync::Arc, time::Duration};

use billwire_bus::{Bus, ConsumerConfig, Pull, Received, topology::SUBJECTS};
use billwire_schemas::delivery::{Reader, Settled};
use tokio::{
    sync::watch,
    time::{Instant, interval, timeout_at},
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
    // Finishes the batches that an earlier run left unfinished.
    sink.load(&[]).await?;
    let mut check = Check::start(bus, delivery_store, options).await?;
    let consumer = ConsumerConfig {
        fence: None,
        name: options.name.clone(),
        filter: SUBJECTS.to_owned(),
        ack_wait: Duration::from_secs(120),
        ack_pending_max: i64::try_from(options.events_max).unwrap_or(i64::MAX),
        settled: check.settled.sequence,
    };
    let mut pull = bus.pull(&consumer).await.map_err(|e| e.to_string())?;
    let mut tick = interval(CHECK_EVERY);
    loop {
        let first = tokio::select! {
            first = pull.next(options.events_max) => first.map_err(|e| e.to_string())?,
            _ = tick.tick() => {
                check.step(delivery_store, sink).await?;
                continue;
            }
        };
        let received = gather(first, &mut pull, options).await?;
        check.last = received.iter().map(|message| message.stream_sequence).fold(check.last, u64::max);
        check.worked = true;
        let batch = authenticity::genuine(bus, delivery_store, received).await?;
        let events: Vec<Event> = batch.iter().filter_map(Event::of).collect();
        sink.load(&events).await?;
        for message in &batch {
            bus.ack(message).await;
        }
    }
}

/// Gathers more messages until there are enough or the first ones are old enough.
async fn gather(first: Vec<Received>, pull: &mut Pull, options: &Options) -> Result<Vec<Received>, String> {
    let mut batch = first;
    let due = Instant::now() + options.age_max;
    while batch.len() < options.events_max {
        match timeout_at(due, pull.next(options.events_max - batch.len())).await {
            Ok(more) => batch.extend(more.map_err(|e| e.to_string())?),
            Err(_) => break,
        }
    }
    Ok(batch)
}

/// How often what was loaded is compared with what was published.
const CHECK_EVERY: Duration = Duration::from_secs(5);
/// Events loaded from SQL by one step.
const FROM_SQL_MAX: u64 = 1_000;

/// Compares what was loaded with what SQL says was published, and loads the rest from SQL.
struct Check {
    settled: Settled,
    /// The highest stream sequence received.
    last: u64,
    /// Whether messages have arrived since the step before.
    worked: bool,
    /// The last sequence published, at the step before if nothing had arrived until then.
    tail: u64,
}

impl Check {
    async fn start(bus: &Bus, delivery_store: &dyn DeliveryStore, options: &Options) -> Result<Self, String> {
        let settled = match delivery_store.settled(Reader::Warehouse).await? {
            Some(settled) => settled,
            None => {
                let sequence = bus.acknowledged(&options.name).await.map_err(|e| e.to_string())?;
                let settled = Settled { sequence, generation: 0 };
                delivery_store.save_settled(Reader::Warehouse, settled).await?;
                settled
            }
        };
        Ok(Self { settled, last: settled.sequence, worked: false, tail: 0 })
    }

    /// Messages arrive in order, so whatever was published before the last one received must be loaded, and whatever was published before the
    /// step before if nothing has arrived since.
    async fn step(&mut self, delivery_store: &dyn DeliveryStore, sink: &dyn BulkSink) -> Result<(), String> {
        let idle = !std::mem::take(&mut self.worked);
        let due = if idle { self.last.max(self.tail) } else { self.last };
        self.tail = if idle { delivery_store.last_published().await? } else { 0 };
        if due <= self.settled.sequence {
            return Ok(());
        }
        let mut silent = false;
        loop {
            let (missing, last) = delivery_store.unloaded(self.settled.sequence, due, FROM_SQL_MAX).await?;
            if missing.is_empty() {
                self.settle(delivery_store, last).await?;
                return if silent { Err("the consumer did not deliver everything".to_owned()) } else { Ok(()) };
            }
            silent |= idle;
            tracing::warn!(events = missing.len(), "events that did not arrive over the stream are loaded from SQL");
            sink.load(&missing).await?;
        }
    }

    async fn settle(&mut self, delivery_store: &dyn DeliveryStore, last: Option<u64>) -> Result<(), String> {
        let Some(sequence) = last else { return Ok(()) };
        let settled = Settled { sequence, ..self.settled };
        if !delivery_store.save_settled(Reader::Warehouse, settled).await? {
            return Err("the stream was rolled back".to_owned());
        }
        self.settled = settled;
        Ok(())
    }
}
