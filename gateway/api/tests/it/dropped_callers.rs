//! Callers that are dropped half-way, such as work whose lease is lost.

use std::time::Duration;

use tokio::time::timeout;

use crate::rig::Rig;

/// Writes made while this many callers are dropped.
const ROUNDS: u64 = 200;

#[tokio::test]
async fn a_caller_dropped_while_a_transaction_begins_leaves_no_connection_inside_it() {
    for rig in Rig::everywhere().await {
        for round in 0..ROUNDS {
            let dropped = (0..4).map(|n| timeout(Duration::from_micros(round * 7 % 400 + n * 40), rig.store.settled_position()));
            futures::future::join_all(dropped).await;
            // More than there are connections: each is written through.
            let names: Vec<String> = (0..12).map(|n| format!("written {n}")).collect();
            let value = round.to_string();
            let written = names.iter().map(|name| rig.store.set(name, &value));
            futures::future::try_join_all(written).await.expect("written");
            for name in &names {
                let read = rig.store.setting(name).await.expect("read");
                assert_eq!(read.as_deref(), Some(value.as_str()), "{name} was written inside a transaction that nobody commits");
            }
        }
    }
}
