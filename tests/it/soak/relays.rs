//! A relay is stopped for longer than its lease while clients work, and goes on when another one has taken over.

use std::{collections::BTreeSet, process::Stdio, time::Duration};

use billwire_tests::gateway::{Database, signal};

use super::{length, pace, time};
use crate::drills::{Scene, stream, stream::with_nats_of_its_own};

/// For how long both relays are awake.
const AWAKE: Duration = Duration::from_millis(700);

async fn published(scene: &Scene) -> usize {
    let published = stream(&scene.setup).await;
    let ids: BTreeSet<&str> = published.iter().filter_map(|event| event["id"].as_str()).collect();
    assert_eq!(published.len(), ids.len(), "published twice");
    published.len()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_that_slept_through_its_lease_publishes_nothing_twice() {
    let (pauses, asleep) = (length("RELAY_PAUSES", 6), time("RELAY_PAUSE", 1500));
    let (mut scene, _server) = with_nats_of_its_own("slept", Database::Postgres).await;
    pace(&mut scene);
    let relay = |number: usize| {
        let folder = scene.setup.folder.0.join(format!("relay-{number}"));
        let mut command = scene.setup.command(&["serve", "--roles", "relay"]);
        command.env("BILLWIRE_DATA_DIR", folder).stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().expect("a relay")
    };
    let mut relays = [relay(1), relay(2)];
    let gateway = scene.setup.start_with(&["serve", "--roles", "api,consumers"]).await;
    scene.start_work().await;
    for round in 0..pauses {
        // Whichever holds the lease is among them by the second round at the latest.
        let pid = relays[usize::from(round % 2 == 1)].id().to_string();
        signal(&pid, "-STOP");
        tokio::time::sleep(asleep).await;
        signal(&pid, "-CONT");
        tokio::time::sleep(AWAKE).await;
        println!("pause {round} of {asleep:?}: {} messages, none twice", published(&scene).await);
    }
    scene.end(gateway).await;
    for relay in &mut relays {
        let _ = relay.kill();
        let _ = relay.wait();
    }
}
