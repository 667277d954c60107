//! Leases: work that only one process does at a time. Every such worker of the gateway runs through here.

use std::{future::Future, sync::Arc, time::Duration};

use async_trait::async_trait;
use billwire_schemas::lease::Lease;
use tokio::{sync::watch, task::JoinSet, time::sleep};

/// Where leases are stored. Errors are texts for the log; every call may be repeated.
#[async_trait]
pub trait Leases: Send + Sync + 'static {
    /// Acquires a lease for this process; `None`: another process holds it.
    async fn acquire_lease(&self, name: &str, ttl: Duration) -> Result<Option<Lease>, String>;
    /// Renews a lease; `false`: it is lost.
    async fn renew_lease(&self, lease: &Lease, ttl: Duration) -> Result<bool, String>;
    /// Releases a lease.
    async fn release_lease(&self, lease: &Lease) -> Result<(), String>;
}

/// The wait before a lease that another process holds is requested again, and before work that failed starts again.
pub(crate) const RETRY_WAIT: Duration = Duration::from_millis(500);

/// Does `work` under the lease `name` until the work succeeds or `stop` turns true. Work that fails, or loses its lease, starts again.
pub async fn run<W: Future<Output = Result<(), String>>>(
    leases: &Arc<dyn Leases>,
    name: &str,
    ttl: Duration,
    mut stop: watch::Receiver<bool>,
    work: impl Fn(Lease) -> W,
) {
    loop {
        let mut stopped = stop.clone();
        let until_stop = |lease| {
            let work = work(lease);
            async move {
                tokio::select! {
                    done = work => done,
                    _ = stopped.changed() => Ok(()),
                }
            }
        };
        match under(leases, name, ttl, until_stop).await {
            Some(Ok(())) => return,
            Some(Err(error)) => tracing::warn!(lease = name, error, "work under a lease failed; it starts again"),
            None => {}
        }
        tokio::select! {
            _ = stop.changed() => return,
            () = sleep(RETRY_WAIT) => {}
        }
    }
}

/// Does `work` under the lease `name`. `None`: another process holds the lease, or took it over; the work is then dropped where it is.
///
/// A task of its own renews the lease. One step of the work may take longer than the lease lasts, above all on a busy machine: a renewal
/// between two steps would come too late, and another process would take over and do no better.
pub(crate) async fn under<T, W: Future<Output = T>>(
    leases: &Arc<dyn Leases>,
    name: &str,
    ttl: Duration,
    work: impl FnOnce(Lease) -> W,
) -> Option<T> {
    let lease = match leases.acquire_lease(name, ttl).await {
        Ok(lease) => lease?,
        Err(error) => {
            tracing::warn!(error, lease = name, "a lease could not be acquired");
            return None;
        }
    };
    // Aborted when it is dropped, however this function ends.
    let mut renewal = JoinSet::new();
    renewal.spawn(renew(leases.clone(), lease.clone(), ttl));
    let done = tokio::select! {
        done = work(lease.clone()) => Some(done),
        _ = renewal.join_next() => None,
    };
    if done.is_none() {
        tracing::info!(lease = name, "another process took over");
    } else if let Err(error) = leases.release_lease(&lease).await {
        tracing::debug!(error, lease = name, "a lease was not released; it expires by itself");
    }
    done
}

/// Renews the lease; ends when it is lost.
async fn renew(leases: Arc<dyn Leases>, lease: Lease, ttl: Duration) {
    loop {
        sleep(ttl / 3).await;
        match leases.renew_lease(&lease, ttl).await {
            Ok(true) => {}
            Ok(false) => return,
            // The lease has not expired yet; the next renewal decides.
            Err(error) => tracing::warn!(error, lease = lease.name, "a lease could not be renewed"),
        }
    }
}
