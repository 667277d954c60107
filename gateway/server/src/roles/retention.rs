//! Deletes what was kept long enough.

use std::time::Duration;

use billwire_schemas::clock::{Clock, SystemClock};
use billwire_store::Store;
use chrono::TimeDelta;
use tokio::{sync::watch, time::interval};

/// Most rows deleted in one step.
const ROWS_MAX: u64 = 1000;
/// The longest retention, in hours: a hundred years.
const HOURS_MAX: i64 = 100 * 366 * 24;

/// Deletes replies to idempotency keys older than `hours`, and failed attempts older than `days`, until `stop` turns true.
pub async fn purge(store: Store, hours: u64, days: u64, mut stop: watch::Receiver<bool>) {
    let mut tick = interval(Duration::from_secs(60));
    let hours_ago = |hours: u64| TimeDelta::hours(i64::try_from(hours).unwrap_or(i64::MAX).min(HOURS_MAX));
    loop {
        tokio::select! {
            _ = stop.changed() => return,
            _ = tick.tick() => {}
        }
        let now = SystemClock.now();
        if let Err(error) = store.purge_replies(now - hours_ago(hours), ROWS_MAX).await {
            tracing::warn!(%error, "cannot delete old replies");
        }
        if let Err(error) = store.purge_attempts(now - hours_ago(days.saturating_mul(24)), ROWS_MAX).await {
            tracing::warn!(%error, "cannot delete old attempts");
        }
    }
}
