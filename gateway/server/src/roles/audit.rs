//! Moves new entries of the audit into their chains: one process at a time.

use std::{sync::Arc, time::Duration};

use billwire_delivery::lease::{self, Leases};
use billwire_schemas::lease::Lease;
use billwire_store::Store;
use tokio::{sync::watch, time::sleep};

use crate::adapters::delivery_store::text;

/// How often new entries are looked for.
const EVERY: Duration = Duration::from_millis(500);

/// Chains until `stop` turns true.
pub async fn run(store: Store, leases: Arc<dyn Leases>, ttl: Duration, stop: watch::Receiver<bool>) {
    lease::run(&leases, "audit", ttl, stop, |lease| chain(&store, lease)).await;
}

async fn chain(store: &Store, lease: Lease) -> Result<(), String> {
    loop {
        let chained = store.chain_audit(&lease).await.map_err(text)?.ok_or("another process chains the audit now")?;
        if chained == 0 {
            sleep(EVERY).await;
        }
    }
}
