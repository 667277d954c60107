//! An operator's hand on the stream and its consumers, and a store that goes back to an older copy. Whatever is gone is published again, and
//! delivered and loaded once, in the order of each key.

use std::{path::Path, process::Command, time::Duration};

use async_nats::jetstream::{
    self,
    consumer::{AckPolicy, DeliverPolicy, pull},
    stream::{Config, Stream},
};
use billwire_tests::{
    eventually,
    gateway::{Database, Gateway, NatsServer, Setup, nats_client},
    reserved_port,
};
use futures::TryStreamExt;
use serde_json::{Value, json};

use super::Scene;

/// For how long clients work between two steps.
const WORK: Duration = Duration::from_millis(700);

pub(crate) async fn billing(setup: &Setup) -> Stream {
    jetstream::new(nats_client(&setup.nats_address()).await).get_stream("BILLING").await.expect("the stream")
}

async fn last_sequence(setup: &Setup) -> u64 {
    billing(setup).await.get_info().await.expect("its state").state.last_sequence
}

/// A scene whose gateway is stopped, with nats-server as a process of its own.
pub(crate) async fn with_nats_of_its_own(name: &str, database: Database) -> (Scene, NatsServer) {
    let (mut scene, gateway) = Scene::new(name, database).await;
    assert!(gateway.stop().await.success());
    let server = scene.setup.nats_server(reserved_port());
    (scene, server)
}

/// Starts the gateway without consumers, and lets clients work: what they cause is on the stream alone.
async fn work_without_consumers(scene: &mut Scene) -> Gateway {
    let gateway = scene.setup.start_with(&["serve", "--roles", "api,relay"]).await.leaving("nobody delivers yet");
    scene.start_work().await;
    tokio::time::sleep(WORK).await;
    gateway
}

/// Replaces the gateway by one with all roles, under work, and compares everything.
async fn deliver_and_compare(mut scene: Scene, gateway: Gateway) {
    scene.rest().await;
    assert!(gateway.stop().await.success());
    let gateway = scene.setup.start().await;
    scene.start_work().await;
    tokio::time::sleep(WORK).await;
    scene.end_with_holes(gateway).await;
}

async fn purged(database: Database) {
    let (mut scene, _server) = with_nats_of_its_own("purged", database).await;
    let gateway = work_without_consumers(&mut scene).await;
    let stream = billing(&scene.setup).await;
    stream.purge().await.expect("a purge");
    tokio::time::sleep(WORK).await;
    stream.purge().keep(40).await.expect("a purge");
    tokio::time::sleep(WORK).await;
    stream.purge().filter("billing.*.account.updated.>").await.expect("a purge");
    tokio::time::sleep(WORK).await;
    let last = last_sequence(&scene.setup).await;
    for sequence in (last.saturating_sub(60)..last).step_by(3) {
        // One that the purge took already is gone.
        let _ = stream.delete_message(sequence).await;
    }
    deliver_and_compare(scene, gateway).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_purged_or_deleted_before_it_was_read_is_delivered_on_sqlite() {
    purged(Database::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_purged_or_deleted_before_it_was_read_is_delivered_on_postgres() {
    purged(Database::Postgres).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_is_created_anew_with_the_same_epoch_is_filled_again() {
    let (mut scene, _server) = with_nats_of_its_own("recreated", Database::Postgres).await;
    let gateway = work_without_consumers(&mut scene).await;
    let config: Config = billing(&scene.setup).await.get_info().await.expect("its state").config;
    let context = jetstream::new(nats_client(&scene.setup.nats_address()).await);
    context.delete_stream("BILLING").await.expect("a deletion");
    // The gateway may be faster.
    let _ = context.create_stream(config).await;
    deliver_and_compare(scene, gateway).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_that_an_operator_sets_are_put_back_and_what_they_deleted_is_published_again() {
    let (mut scene, _server) = with_nats_of_its_own("max-msgs", Database::Sqlite).await;
    let gateway = work_without_consumers(&mut scene).await;
    let mut config: Config = billing(&scene.setup).await.get_info().await.expect("its state").config;
    config.max_messages = 20;
    config.max_bytes = 1_000_000;
    config.max_message_size = 100_000;
    jetstream::new(nats_client(&scene.setup.nats_address()).await).update_stream(config).await.expect("an update");
    eventually("the limits to be put back", async || {
        let config = billing(&scene.setup).await.get_info().await.expect("its state").config;
        (config.max_messages <= 0 && config.max_bytes <= 0 && config.max_message_size <= 0).then_some(())
    })
    .await;
    deliver_and_compare(scene, gateway).await;
}

/// An exact copy of a folder, in place of what is there.
fn copy(from: &Path, to: &Path) {
    let _ = std::fs::remove_dir_all(to);
    assert!(Command::new("cp").arg("-a").args([from, to]).status().expect("cp").success());
}

async fn older_copy(database: Database) {
    let (mut scene, server) = with_nats_of_its_own("older-copy", database).await;
    let (store, kept) = (scene.setup.data_dir().join("nats/store"), scene.setup.folder.0.join("kept"));
    let gateway = scene.setup.start().await;
    scene.start_work().await;
    tokio::time::sleep(WORK).await;
    drop(server);
    copy(&store, &kept);
    let port: u16 = scene.setup.nats_address().rsplit_once(':').expect("a port").1.parse().expect("a number");
    let server = scene.setup.nats_server(port);
    for _ in 0..2 {
        scene.all_work("work on the copied store").await;
        tokio::time::sleep(WORK).await;
    }
    drop(server);
    copy(&kept, &store);
    let _server = scene.setup.nats_server(port);
    tokio::time::sleep(WORK).await;
    scene.end(gateway).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_goes_back_to_an_older_copy_loses_nothing_on_sqlite() {
    older_copy(Database::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_goes_back_to_an_older_copy_loses_nothing_on_postgres() {
    older_copy(Database::Postgres).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn consumers_that_are_deleted_paused_or_reset_ahead_skip_nothing() {
    let (mut scene, gateway) = Scene::new("consumers", Database::Postgres).await;
    scene.start_work().await;
    for _ in 0..3 {
        let context = jetstream::new(nats_client(&scene.setup.nats_address()).await);
        let stream = billing(&scene.setup).await;
        let names: Vec<String> = stream.consumer_names().try_collect().await.expect("names");
        for (number, name) in names.into_iter().enumerate() {
            // One that a reader has replaced meanwhile is gone.
            match number % 3 {
                0 => drop(stream.delete_consumer(&name).await),
                1 => {
                    let until = json!({ "pause_until": (chrono::Utc::now() + chrono::TimeDelta::hours(1)).to_rfc3339() });
                    drop(context.request::<_, _, Value>(format!("CONSUMER.PAUSE.BILLING.{name}"), &until).await);
                }
                _ => {
                    let Ok(info) = stream.consumer_info(&name).await else { continue };
                    let ahead = DeliverPolicy::ByStartSequence { start_sequence: last_sequence(&scene.setup).await + 30 };
                    let config = pull::Config {
                        name: Some(name.clone()),
                        durable_name: Some(name.clone()),
                        filter_subject: info.config.filter_subject,
                        deliver_policy: ahead,
                        ack_policy: AckPolicy::Explicit,
                        ..pull::Config::default()
                    };
                    drop(stream.delete_consumer(&name).await);
                    drop(stream.create_consumer(config).await);
                }
            }
        }
        tokio::time::sleep(WORK).await;
    }
    scene.end(gateway).await;
}
