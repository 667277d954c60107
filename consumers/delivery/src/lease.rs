//! Leases: work that only one process does at a time. Every such worker of the gateway runs through here.

use std::{
    collections::{HashMap, HashSet},
    future::Future,
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use billwire_monitoring::metrics::METRICS;
use billwire_schemas::lease::Lease;
use futures::FutureExt;
use tokio::{sync::watch, time::sleep};

/// Where leases are stored. Errors are texts for the log; every call may be repeated.
#[async_trait]
pub trait Leases: Send + Sync + 'static {
    /// Acquires a lease for this process; `None`: another process holds it.
    async fn acquire_lease(&self, name: &str, ttl: Duration) -> Result<Option<Lease>, String>;
    /// Renews leases; gives the names of those that are not lost.
    async fn renew_leases(&self, leases: &[Lease], ttl: Duration) -> Result<HashSet<String>, String>;
    /// Releases a lease.
    async fn release_lease(&self, lease: &Lease) -> Result<(), String>;
    /// The names of the leases that somebody holds and that begin with one of these texts.
    async fn held_leases(&self, prefixes: &[&str]) -> Result<Vec<String>, String>;
    /// The owner in whose name this process holds leases.
    fn owner(&self) -> &str;
    /// The leases that this process holds.
    fn renewals(&self) -> &Arc<Renewals>;
}

/// The leases that a process holds. One task renews all of them with one statement, for as long as there are any.
#[derive(Default)]
pub struct Renewals(Mutex<Renewed>);

#[derive(Default)]
struct Renewed {
    held: HashMap<String, (Lease, watch::Sender<bool>)>,
    running: bool,
}

/// Keeps a lease among those that are renewed, until it is dropped.
struct Kept {
    renewals: Arc<Renewals>,
    name: String,
    lost: watch::Receiver<bool>,
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.renewals.renewed().held.remove(&self.name);
    }
}

impl Renewals {
    fn renewed(&self) -> MutexGuard<'_, Renewed> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keep(leases: &Arc<dyn Leases>, lease: &Lease, ttl: Duration) -> Kept {
        let renewals = leases.renewals().clone();
        let (sender, lost) = watch::channel(false);
        let mut renewed = renewals.renewed();
        renewed.held.insert(lease.name.clone(), (lease.clone(), sender));
        if !std::mem::replace(&mut renewed.running, true) {
            tokio::spawn(renew(leases.clone(), ttl));
        }
        drop(renewed);
        Kept { renewals, name: lease.name.clone(), lost }
    }
}

/// Renews every lease of the process; ends when there is none.
async fn renew(leases: Arc<dyn Leases>, ttl: Duration) {
    loop {
        sleep(ttl / 3).await;
        let held: Vec<Lease> = {
            let mut renewed = leases.renewals().renewed();
            if renewed.held.is_empty() {
                renewed.running = false;
                return;
            }
            renewed.held.values().map(|(lease, _)| lease.clone()).collect()
        };
        match leases.renew_leases(&held, ttl).await {
            Ok(names) => {
                let renewed = leases.renewals().renewed();
                for lost in held.iter().filter(|lease| !names.contains(&lease.name)) {
                    if let Some((now, sender)) = renewed.held.get(&lost.name)
                        && now == lost
                    {
                        sender.send_replace(true);
                    }
                }
            }
            // They have not expired yet; the next renewal decides.
            Err(error) => tracing::warn!(error, leases = held.len(), "leases could not be renewed"),
        }
    }
}

/// The wait before a lease that another process holds is requested again, and before work that failed starts again.
pub(crate) const RETRY_WAIT: Duration = Duration::from_millis(500);

/// Does `work` under the lease `name` until the work succeeds or `stop` turns true. Work that fails, panics or loses its lease starts again.
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
                    done = AssertUnwindSafe(work).catch_unwind() => done.unwrap_or_else(|_| Err("it panicked; the panic is logged above".to_owned())),
                    _ = stopped.changed() => Ok(()),
                }
            }
        };
        match under(leases, name, ttl, until_stop).await {
            Some(Ok(())) => return,
            Some(Err(error)) => {
                METRICS.restarted(name);
                tracing::warn!(lease = name, error, "work under a lease failed; it starts again");
            }
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
    match leases.acquire_lease(name, ttl).await {
        Ok(lease) => while_held(leases, lease?, ttl, work).await,
        Err(error) => {
            tracing::warn!(error, lease = name, "a lease could not be acquired");
            None
        }
    }
}

/// Does `work` under an acquired lease and releases it. `None`: another process took the lease over.
pub(crate) async fn while_held<T, W: Future<Output = T>>(
    leases: &Arc<dyn Leases>,
    lease: Lease,
    ttl: Duration,
    work: impl FnOnce(Lease) -> W,
) -> Option<T> {
    let mut kept = Renewals::keep(leases, &lease, ttl);
    let done = tokio::select! {
        done = work(lease.clone()) => Some(done),
        _ = kept.lost.wait_for(|lost| *lost) => None,
    };
    drop(kept);
    if done.is_none() {
        tracing::info!(lease = lease.name, "another process took over");
    } else if let Err(error) = leases.release_lease(&lease).await {
        tracing::debug!(error, lease = lease.name, "a lease was not released; it expires by itself");
    }
    done
}
