//! Working under a lease.

use std::{future::Future, sync::Arc, time::Duration};

use billwire_schemas::lease::Lease;
use tokio::{task::JoinSet, time::sleep};

use crate::store::DeliveryStore;

/// Does `work` while `lease` is held; gives nothing when the lease is lost first, and the work is then dropped where it stands.
///
/// The lease is prolonged by a task of its own. A step of the work may take longer than the lease holds, on a busy machine above all:
/// a heartbeat between two steps would come too late, another process would take over and fare no better.
pub(crate) async fn under<T>(
    delivery_store: &Arc<dyn DeliveryStore>,
    lease: &Lease,
    ttl: Duration,
    work: impl Future<Output = T>,
) -> Option<T> {
    // Ends with this set, whichever way this function is left.
    let mut keeping = JoinSet::new();
    keeping.spawn(keep(delivery_store.clone(), lease.clone(), ttl));
    tokio::select! {
        done = work => Some(done),
        _ = keeping.join_next() => None,
    }
}

/// Prolongs the lease; ends when it is lost.
async fn keep(delivery_store: Arc<dyn DeliveryStore>, lease: Lease, ttl: Duration) {
    loop {
        sleep(ttl / 3).await;
        match delivery_store.renew_lease(&lease, ttl).await {
            Ok(true) => {}
            Ok(false) => return,
            // It runs on for a while; the next try tells.
            Err(error) => tracing::warn!(%error, lease = lease.name, "a lease could not be prolonged"),
        }
    }
}
