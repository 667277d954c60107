//! The consumers of stream subscriptions come back, whatever becomes of the nats-server, its store or the database.

use std::collections::BTreeSet;

use billwire_tests::{
    eventually,
    gateway::{BOTH, Database, Setup, kill},
};
use serde_json::json;

use super::{admin, connect, consumer, events, read, subscription};

/// Reads until all of these events came.
async fn read_all(reader: &async_nats::jetstream::consumer::PullConsumer, expected: &[String]) -> Vec<String> {
    let (mut found, missing) = (Vec::new(), |found: &[String]| expected.iter().any(|id| !found.contains(id)));
    while missing(&found) {
        found.extend(read(reader, 1).await);
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_goes_on_after_a_purge_a_deleted_consumer_and_a_deleted_stream() {
    for database in BOTH {
        let setup = Setup::new("stream-healing", database);
        let gateway = setup.start().await;
        let api = setup.api();
        let of = subscription(&api, json!({ "name": "s" })).await;
        let reader = consumer(&of, connect(&of, &setup.key).await.expect("connected")).await;
        read_all(&reader, &events(&api, 5).await).await;
        let stream = async || admin(&setup).await.get_stream("BILLING").await.expect("the stream");

        stream().await.purge().await.expect("purged");
        read_all(&reader, &events(&api, 2).await).await;

        // Somebody deletes the consumer, and pauses it.
        let before = chrono::Utc::now();
        read_all(&reader, &events(&api, 1).await).await;
        eventually("the progress", async || {
            let shown = api.get(&format!("/v1/stream-subscriptions/{}", of.id)).await.expect(200);
            let at: chrono::DateTime<chrono::Utc> = shown["progress"]["acknowledgedAt"].as_str()?.parse().ok()?;
            (at > before).then_some(())
        })
        .await;
        stream().await.delete_consumer(&of.consumer).await.expect("deleted");
        let made = events(&api, 2).await;
        let found = read_made_again(&reader, &made).await;
        assert_eq!(found, made, "it goes on from where it was acknowledged");
        let until = chrono::Utc::now() + chrono::TimeDelta::hours(1);
        stream().await.pause_consumer(&of.consumer, until).await.expect("paused");
        read_all(&reader, &events(&api, 1).await).await;

        admin(&setup).await.delete_stream("BILLING").await.expect("deleted");
        let made = events(&api, 2).await;
        read_made_again(&reader, &made).await;
        assert!(gateway.stop().await.success());
    }
}

/// The same, while the consumer may be missing.
async fn read_made_again(reader: &async_nats::jetstream::consumer::PullConsumer, expected: &[String]) -> Vec<String> {
    use futures::StreamExt;
    let mut found: Vec<String> = Vec::new();
    eventually("the events", async || {
        let pull = reader.batch().max_messages(10).expires(std::time::Duration::from_secs(1)).messages();
        let mut batch = pull.await.ok()?;
        while let Some(Ok(message)) = batch.next().await {
            let event: serde_json::Value = serde_json::from_slice(&message.payload).expect("an event");
            found.push(event["id"].as_str().expect("an id").to_owned());
            message.double_ack().await.expect("acknowledged");
        }
        expected.iter().all(|id| found.contains(id)).then_some(())
    })
    .await;
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rolled_back_store_is_read_on_from_without_a_gap() {
    let setup = Setup::new("stream-rollback", Database::Sqlite);
    let gateway = setup.start().await;
    let api = setup.api();
    let of = subscription(&api, json!({ "name": "s" })).await;
    read_all(&consumer(&of, connect(&of, &setup.key).await.expect("connected")).await, &events(&api, 3).await).await;
    assert!(gateway.stop().await.success());
    let (store, kept) = (setup.data_dir().join("nats/store"), setup.folder.0.join("kept"));
    let copy = |from: &std::path::Path, to: &std::path::Path| {
        let _ = std::fs::remove_dir_all(to);
        let done = std::process::Command::new("cp").arg("-a").args([from, to]).status().expect("cp");
        assert!(done.success());
    };
    copy(&store, &kept);
    let gateway = setup.start().await;
    let later = events(&api, 5).await;
    read_all(&consumer(&of, connect(&of, &setup.key).await.expect("connected")).await, &later).await;
    assert!(gateway.stop().await.success());
    copy(&kept, &store);
    let gateway = setup.start().await;
    let reader = consumer(&of, connect(&of, &setup.key).await.expect("connected")).await;
    let newest = events(&api, 3).await;
    let found: BTreeSet<String> = read_made_again(&reader, &newest).await.into_iter().collect();
    assert!(newest.iter().all(|id| found.contains(id)));
    assert!(gateway.stop().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_stream_of_the_version_before_is_there_after_the_upgrade() {
    let setup = Setup::new("stream-upgrade", Database::Sqlite);
    let gateway = setup.start().await;
    let api = setup.api();
    let before = events(&api, 4).await;
    assert!(gateway.stop().await.success());
    let port = std::fs::read_to_string(setup.data_dir().join("nats/port")).expect("the port");
    // Version 0.2 had the stream in the account without a name.
    let store = setup.data_dir().join("nats/store/jetstream");
    std::fs::rename(store.join("BILLING"), store.join("$G")).expect("renamed");
    let gateway = setup.start().await;
    let of = subscription(&api, json!({ "name": "s", "start": { "type": "everything" } })).await;
    let reader = consumer(&of, connect(&of, &setup.key).await.expect("connected")).await;
    assert_eq!(read(&reader, 4).await, before, "the messages themselves, in their order, and none again");
    assert_eq!(admin(&setup).await.get_stream("BILLING").await.expect("the stream").cached_info().state.last_sequence, 4);
    assert_eq!(std::fs::read_to_string(setup.data_dir().join("nats/port")).expect("the port"), port, "at the same port");
    assert!(!store.join("$G").exists());
    assert!(gateway.stop().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_restored_to_an_older_moment_has_its_consumers_after_the_recovery() {
    let mut setup = Setup::new("stream-recover", Database::Sqlite);
    setup.leaving = Some("the gateway is killed, and its database replaced");
    let gateway = setup.start().await;
    let api = setup.api();
    let kept = subscription(&api, json!({ "name": "kept" })).await;
    let lost = subscription(&api, json!({ "name": "deleted later" })).await;
    events(&api, 2).await;
    eventually("the events to be published", async || {
        let mut stream = admin(&setup).await.get_stream("BILLING").await.ok()?;
        (stream.info().await.ok()?.state.messages >= 2).then_some(())
    })
    .await;
    kill(&gateway.pid()).await;
    drop(gateway);
    let backup = setup.folder.0.join("backup");
    std::fs::create_dir_all(&backup).expect("a folder");
    let files = ["billwire.db", "billwire.db-wal", "billwire.db-shm"];
    let copy = |from: &std::path::Path, to: &std::path::Path| {
        for file in files {
            let _ = std::fs::remove_file(to.join(file));
            let _ = std::fs::copy(from.join(file), to.join(file));
        }
    };
    copy(&setup.data_dir(), &backup);
    let gateway = setup.start().await;
    let young = subscription(&api, json!({ "name": "young" })).await;
    api.delete(&format!("/v1/stream-subscriptions/{}", lost.id)).await.expect(200);
    api.post(&format!("/v1/stream-subscriptions/{}/reset", kept.id), json!({ "start": { "type": "now" } })).await.expect(200);
    events(&api, 3).await;
    eventually("the consumer to go", async || {
        let stream = admin(&setup).await.get_stream("BILLING").await.expect("the stream");
        stream.consumer_info(&lost.consumer).await.is_err().then_some(())
    })
    .await;
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    kill(&gateway.pid()).await;
    drop(gateway);
    copy(&backup, &setup.data_dir());
    let recovered = setup.command(&["recover", "--take-back"]).output().expect("a run");
    println!("{}", String::from_utf8_lossy(&recovered.stdout));
    let gateway = setup.start().await;
    eventually("the consumers of the database", async || {
        let stream = admin(&setup).await.get_stream("BILLING").await.ok()?;
        let young_is_gone = stream.consumer_info(&young.consumer).await.is_err();
        (young_is_gone && stream.consumer_info(&lost.consumer).await.is_ok()).then_some(())
    })
    .await;
    let made = events(&api, 1).await;
    for of in [&kept, &lost] {
        read_all(&consumer(of, connect(of, &setup.key).await.expect("connected")).await, &made).await;
    }
    drop(gateway);
}
