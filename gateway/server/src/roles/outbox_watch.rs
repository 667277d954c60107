//! Keeps what this process knows of the database up to date: how full the outbox is, the test clock, and the largest message that the
//! stream accepts.

use std::time::Duration;

use billwire_app::App;
use billwire_store::Store;
use tokio::{sync::watch, time::interval};

/// How often the database is read.
const EVERY: Duration = Duration::from_secs(1);

/// Refuses operations while `outbox_max` events or more wait for the stream, and follows the test clock; until `stop` turns true.
pub async fn backlog(app: App, store: Store, outbox_max: u64, mut stop: watch::Receiver<bool>) {
    let mut tick = interval(EVERY);
    loop {
        tokio::select! {
            _ = stop.changed() => return,
            _ = tick.tick() => {}
        }
        match store.backlog(outbox_max).await {
            Ok(waiting) => {
                let full = waiting >= outbox_max;
                if full && !app.backlog_full() {
                    tracing::error!(waiting, "the outbox is full; operations are refused until the relay catches up");
                }
                app.set_backlog_full(full);
            }
            Err(error) => tracing::warn!(%error, "cannot count the outbox"),
        }
        if let Err(error) = app.follow_test_clock().await {
            tracing::warn!(%error, "cannot read the test clock");
        }
    }
}

/// Follows the size of the largest message that the stream accepts, until `stop` turns true. The relay, here or in another process,
/// reads it from NATS.
pub async fn max_payload(store: Store, mut stop: watch::Receiver<bool>) {
    let mut tick = interval(EVERY);
    loop {
        tokio::select! {
            _ = stop.changed() => return,
            _ = tick.tick() => {}
        }
        if let Err(error) = store.learn_max_payload().await {
            tracing::warn!(%error, "cannot read the size of the largest message that the stream accepts");
        }
    }
}
