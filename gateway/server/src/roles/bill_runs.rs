//! The worker behind bill runs: one process at a time bills, page by page.
//!
//! The lease only saves work that would be done twice; that no account is billed twice is the store's doing, so a process that sleeps
//! through its lease harms nothing. A worker that is killed leaves a run for the next one to go on with.

use std::time::Duration;

use billwire_app::{App, BillRunCursors};
use billwire_schemas::lease::Lease;
use billwire_store::Store;
use tokio::{sync::watch, time::sleep};

/// How often a process without runs in progress looks for new ones.
const IDLE: Duration = Duration::from_millis(500);
/// The lease's name.
const LEASE: &str = "bill-runs";

/// Works on bill runs until `stop` turns true, holding the lease as `owner` for `ttl` at a time.
pub async fn run(app: App, store: Store, owner: String, ttl: Duration, mut stop: watch::Receiver<bool>) {
    let mut cursors = BillRunCursors::default();
    let mut lease = None;
    loop {
        let pause = tokio::select! {
            _ = stop.changed() => break,
            pause = step(&app, &store, &owner, ttl, &mut lease, &mut cursors) => pause,
        };
        if let Some(pause) = pause {
            tokio::select! {
                _ = stop.changed() => break,
                () = sleep(pause) => {}
            }
        }
    }
    if let Some(lease) = lease
        && let Err(error) = store.release_lease(&lease).await
    {
        tracing::debug!(%error, "the lease on bill runs was not given back; it runs out by itself");
    }
}

/// Bills a page of each run; gives how long to wait before the next step, if there is nothing to do at once.
async fn step(
    app: &App,
    store: &Store,
    owner: &str,
    ttl: Duration,
    lease: &mut Option<Lease>,
    cursors: &mut BillRunCursors,
) -> Option<Duration> {
    let held = match lease.take() {
        Some(held) => store.renew_lease(&held, ttl).await.map(|kept| kept.then_some(held)),
        None => store.acquire_lease(LEASE, owner, ttl).await,
    };
    match held {
        Ok(Some(held)) => *lease = Some(held),
        Ok(None) => return Some(IDLE),
        Err(error) => {
            tracing::warn!(%error, "the lease on bill runs could not be asked for");
            return Some(IDLE);
        }
    }
    match app.advance_bill_runs(cursors).await {
        Ok(0) => Some(IDLE),
        Ok(_) => None,
        Err(error) => {
            tracing::warn!(%error, "a bill run could not go on; it will be tried again");
            Some(IDLE)
        }
    }
}
