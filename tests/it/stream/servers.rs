//! A cluster, TLS, and a nats-server that is started again.

use std::time::{Duration, Instant};

use async_nats::ConnectOptions;
use billwire_tests::{
    eventually,
    gateway::{Database, Setup},
    nats::ShippedNats,
};
use serde_json::json;

use super::{Subscription, Tenant, closed, connect, consumer, events, is_refused, read};

#[tokio::test(flavor = "multi_thread")]
async fn subscribers_at_any_server_of_a_cluster_read_and_are_cut_off() {
    let mut setup = Setup::new("stream-cluster", Database::Postgres);
    let mut nats = ShippedNats::cluster(&mut setup);
    nats.start().await;
    let gateway = setup.start().await;
    let operator = setup.api();
    // The cluster elects its leader first.
    eventually("the stream", async || {
        let tried = operator.post("/v1/stream-subscriptions", json!({ "name": "first" })).await;
        (tried.status == 201).then_some(())
    })
    .await;
    let tenant = Tenant::new(&operator, "acme").await;
    let mut clients = Vec::new();
    for number in 0..3 {
        let of = Subscription { url: nats.url(number), ..tenant.subscription.clone() };
        let client = connect(&of, &tenant.key).await.expect("connected");
        assert_eq!(client.server_info().server_name, format!("billwire-nats-{number}"));
        let made = events(&tenant.api, 1).await;
        assert_eq!(read(&consumer(&of, client.clone()).await, 1).await, made);
        clients.push(client);
    }
    let began = Instant::now();
    tenant.api.post(&format!("/v1/api-keys/{}/revoke", tenant.key_id), json!({})).await.expect(200);
    for client in &clients {
        closed(client).await;
    }
    let took = began.elapsed();
    println!("cut off at three servers after {took:?}");
    assert!(took < Duration::from_secs(1), "{took:?}");
    assert!(gateway.stop().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn subscribers_read_over_tls() {
    let mut setup = Setup::new("stream-tls", Database::Sqlite);
    let mut nats = ShippedNats::with_tls(&mut setup);
    nats.start().await;
    setup.leaving = Some("the client that looks for what is left knows no TLS");
    let gateway = setup.start().await;
    let tenant = Tenant::new(&setup.api(), "acme").await;
    let of = &tenant.subscription;
    assert!(of.url.starts_with("tls://localhost:"), "{}", of.url);
    let open = async |key: &str| {
        ConnectOptions::with_user_and_password("rust".to_owned(), key.to_owned())
            .custom_inbox_prefix(&of.inbox)
            .add_root_certificates(nats.authority().expect("an authority").to_owned())
            .connect(&of.url)
            .await
    };
    let made = events(&tenant.api, 2).await;
    assert_eq!(read(&consumer(of, open(&tenant.key).await.expect("connected")).await, 2).await, made);
    assert!(open("wrong").await.is_err());
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_nats_server_that_is_started_again_has_its_consumers_and_lets_subscribers_in() {
    let mut setup = Setup::new("stream-restart", Database::Sqlite);
    let mut nats = ShippedNats::with_newer_acknowledgements(&mut setup);
    nats.start().await;
    setup.leaving = Some("what the killed nats-server forgot was acknowledged comes again after a minute");
    let gateway = setup.start().await;
    let tenant = Tenant::new(&setup.api(), "acme").await;
    let of = &tenant.subscription;
    let first = events(&tenant.api, 2).await;
    let client = connect(of, &tenant.key).await.expect("connected");
    let reader = consumer(of, client.clone()).await;
    assert_eq!(read(&reader, 2).await, first);
    nats.stop();
    let kept = events(&tenant.api, 2).await;
    nats.start().await;
    eventually("the client to be back", async || (client.connection_state() == async_nats::connection::State::Connected).then_some(()))
        .await;
    let mut found = Vec::new();
    while !kept.iter().all(|id| found.contains(id)) {
        // What the killed server has not written down as acknowledged comes again.
        found.extend(read(&reader, 1).await.into_iter().filter(|id| !first.contains(id)));
    }
    assert_eq!(found, kept, "nothing else twice, nothing missing");
    // Connections from before the restart are followed as well.
    let began = Instant::now();
    tenant.api.post(&format!("/v1/api-keys/{}/revoke", tenant.key_id), json!({})).await.expect(200);
    eventually("the end of the connection", async || (client.connection_state() != async_nats::connection::State::Connected).then_some(()))
        .await;
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    is_refused(of, &tenant.key).await;
    assert!(gateway.stop().await.success());
}
