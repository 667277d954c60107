//! What happens by time: due dates, the outbox's fill level, forgetting what is old, following the test clock.

use std::time::Duration;

use billwire_app::App;
use billwire_schemas::clock::{Clock, SystemClock};
use billwire_store::Store;
use chrono::TimeDelta;
use tokio::{
    sync::watch,
    time::{MissedTickBehavior, interval},
};

/// How often due dates are looked for. A change is late by this much at the most.
const DUE_EVERY: Duration = Duration::from_millis(500);
/// Rows forgotten in one step.
const FORGET_MAX: u64 = 1000;
/// Nothing is kept for longer than a hundred years.
const HOURS_MAX: i64 = 100 * 366 * 24;

/// Lets what is due happen, until `stop` turns true. Any number of processes may run it: each due thing is decided under its
/// account's lock, so the second finds nothing left to do.
pub async fn due(app: App, mut stop: watch::Receiver<bool>) {
    let mut tick = interval(DUE_EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = stop.changed() => return,
            _ = tick.tick() => {}
        }
        if let Err(error) = app.perform_due().await {
            tracing::warn!(%error, "what is due could not be performed; it stays due");
        }
    }
}

/// Keeps this process's view of the outbox and of the test clock fresh.
pub async fn watch_store(app: App, store: Store, outbox_max: u64, mut stop: watch::Receiver<bool>) {
    let mut tick = interval(Duration::from_secs(1));
    loop {
        tokio::select! {
            _ = stop.changed() => return,
            _ = tick.tick() => {}
        }
        match store.backlog(outbox_max).await {
            Ok(waiting) => {
                let full = waiting >= outbox_max;
                if full && !app.backlog_full() {
                    tracing::error!(waiting, "the stream is far behind; operations are refused until it catches up");
                }
                app.set_backlog_full(full);
            }
            Err(error) => tracing::warn!(%error, "the outbox could not be counted"),
        }
        if let Err(error) = app.follow_test_clock().await {
            tracing::warn!(%error, "the test clock could not be read");
        }
    }
}

/// Keeps this process's view of the largest message that the stream takes fresh: the relay, here or elsewhere, reads it from NATS.
pub async fn watch_max_payload(store: Store, mut stop: watch::Receiver<bool>) {
    let mut tick = interval(Duration::from_secs(1));
    loop {
        tokio::select! {
            _ = stop.changed() => return,
            _ = tick.tick() => {}
        }
        if let Err(error) = store.learn_max_payload().await {
            tracing::warn!(%error, "the largest message that the stream takes could not be read");
        }
    }
}

/// Forgets replies to idempotency keys older than `hours`, and failed tries older than `days`.
pub async fn purge(store: Store, hours: u64, days: u64, mut stop: watch::Receiver<bool>) {
    let mut tick = interval(Duration::from_secs(60));
    let hours_ago = |hours: u64| TimeDelta::hours(i64::try_from(hours).unwrap_or(i64::MAX).min(HOURS_MAX));
    loop {
        tokio::select! {
            _ = stop.changed() => return,
            _ = tick.tick() => {}
        }
        let now = SystemClock.now();
        if let Err(error) = store.purge_replies(now - hours_ago(hours), FORGET_MAX).await {
            tracing::warn!(%error, "old replies could not be forgotten");
        }
        if let Err(error) = store.purge_attempts(now - hours_ago(days.saturating_mul(24)), FORGET_MAX).await {
            tracing::warn!(%error, "old tries could not be forgotten");
        }
    }
}
