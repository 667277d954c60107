//! The consumers of stream subscriptions, as the use cases ask for them.

use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use billwire_app::{StreamConsumers, StreamPlace, WantedConsumer, domain::delivery::stream_subscription::Start};
use billwire_bus::{Begin, Bus, SubscriberConsumer};

/// The bus, once NATS is connected.
#[derive(Clone, Default)]
pub struct Consumers {
    bus: Arc<OnceLock<Bus>>,
}

impl Consumers {
    /// NATS is connected.
    pub fn connected(&self, bus: Bus) {
        // Set once; a second connection of the same process would be equivalent.
        let _ = self.bus.set(bus);
    }

    fn bus(&self) -> Result<&Bus, String> {
        self.bus.get().ok_or_else(|| "NATS has not been reached from here yet".to_owned())
    }
}

/// What the bus is told of a consumer.
pub fn on_the_bus(wanted: &WantedConsumer) -> SubscriberConsumer {
    SubscriberConsumer {
        name: wanted.name.clone(),
        subjects: wanted.subjects.clone(),
        resets: wanted.progress.resets,
        begin: match wanted.start {
            // What it has to read from is known, unless the stream is another one: of that it reads all.
            Start::Now | Start::Everything => Begin::Everything,
            Start::Time { at } => Begin::Time(at),
        },
        settled: wanted.progress.settled.as_ref().map(|place| (place.epoch.clone(), place.sequence)),
    }
}

#[async_trait]
impl StreamConsumers for Consumers {
    async fn end(&self) -> Result<StreamPlace, String> {
        let (epoch, sequence) = self.bus()?.stream_end().await.map_err(|error| error.to_string())?;
        Ok(StreamPlace { epoch, sequence })
    }

    async fn provide(&self, wanted: &WantedConsumer) -> Result<(), String> {
        self.bus()?.provide_consumer(&on_the_bus(wanted)).await.map_err(|error| error.to_string())
    }
}
