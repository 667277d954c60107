//! Saves what this process has counted of operations, events and deliveries.

use std::time::Duration;

use billwire_store::Store;
use tokio::{sync::watch, time::interval};

/// How often it is saved.
const EVERY: Duration = Duration::from_secs(10);

/// Saves it until `stop` turns true; whoever stops the process saves the rest.
pub async fn run(store: Store, mut stop: watch::Receiver<bool>) {
    let mut tick = interval(EVERY);
    loop {
        tokio::select! {
            _ = stop.changed() => return,
            _ = tick.tick() => {}
        }
        if let Err(error) = store.save_throughput().await {
            tracing::warn!(%error, "cannot save the throughput");
        }
    }
}
