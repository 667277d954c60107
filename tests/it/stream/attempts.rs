//! What a subscriber must not be able to do, and cannot.

use std::collections::BTreeMap;

use async_nats::jetstream;
use billwire_tests::{
    eventually,
    gateway::{Database, Setup},
    nats::ShippedNats,
    peers::Peer,
};
use futures::TryStreamExt;

use super::{Tenant, admin, events};

/// What of the stream nobody may change: its messages, and each consumer's name, filters, pause, and what it has delivered and acknowledged.
async fn untouched(setup: &Setup, except: &str) -> (u64, u64, BTreeMap<String, String>) {
    let mut stream = admin(setup).await.get_stream("BILLING").await.expect("the stream");
    let state = stream.info().await.expect("its state").state.clone();
    let consumers: Vec<jetstream::consumer::Info> = stream.consumers().try_collect().await.expect("its consumers");
    let told = |info: jetstream::consumer::Info| {
        let text = format!(
            "{:?} {:?} {} {:?} {:?} {} {}",
            info.config.filter_subject,
            info.config.filter_subjects,
            info.paused,
            info.delivered.stream_sequence,
            info.ack_floor.stream_sequence,
            info.num_ack_pending,
            info.num_waiting > 100
        );
        (info.name, text)
    };
    (state.messages, state.last_sequence, consumers.into_iter().filter(|info| info.name != except).map(told).collect())
}

async fn nothing_more_than_reading(setup: &Setup) {
    let operator = setup.api();
    let (own, other) = (Tenant::new(&operator, "acme").await, Tenant::new(&operator, "neighbour").await);
    events(&own.api, 20).await;
    events(&other.api, 20).await;
    let slot = eventually("the gateway's own consumers, settled", async || {
        let stream = admin(setup).await.get_stream("BILLING").await.ok()?;
        let consumers: Vec<jetstream::consumer::Info> = stream.consumers().try_collect().await.ok()?;
        let own: Vec<_> = consumers.into_iter().filter(|info| !info.name.starts_with("stream-")).collect();
        let settled = own.len() >= 16 && own.iter().all(|info| info.num_pending == 0 && info.num_ack_pending == 0);
        settled.then(|| own[0].name.clone())
    })
    .await;
    // What would be published by an answer, or told to the other tenant, is heard here.
    let client = billwire_tests::gateway::nats_client(&setup.nats_address()).await;
    let mut leaked = client.subscribe("leak.>").await.expect("subscribed");
    let before = untouched(setup, &own.subscription.consumer).await;
    let of = &own.subscription;
    let arguments =
        [&of.url, &own.key, &of.inbox, &of.consumer, own.name, other.name, &other.subscription.consumer, &other.subscription.inbox, &slot];
    let attempts = Peer::start("nats_attempts.py", &arguments);
    let mut tried = 0;
    loop {
        let told = attempts.hear();
        if told["what"] == "done" {
            tried += told["attempts"].as_u64().expect("a number");
            break;
        }
        let words = told["words"].as_str().unwrap_or_default().to_lowercase();
        assert!(words.contains("permissions violation"), "{told}");
    }
    assert!(tried >= 40, "{tried}");
    println!("{tried} attempts were refused");
    // Nor does it send more than a pull or an acknowledgement takes.
    let client = super::connect(of, &own.key).await.expect("connected");
    let pull = format!("$JS.API.CONSUMER.MSG.NEXT.BILLING.{}", of.consumer);
    client.publish(pull, vec![b' '; 5_000].into()).await.expect("sent");
    eventually("the end of that connection", async || {
        (client.statistics().connects.load(std::sync::atomic::Ordering::Relaxed) > 1).then_some(())
    })
    .await;
    assert_eq!(untouched(setup, &of.consumer).await, before);
    assert!(futures::FutureExt::now_or_never(futures::StreamExt::next(&mut leaked)).is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscriber_can_do_nothing_but_read_its_own_at_the_private_nats_server() {
    let setup = Setup::new("attempts", Database::Sqlite);
    let gateway = setup.start().await;
    nothing_more_than_reading(&setup).await;
    assert!(gateway.stop().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscriber_can_do_nothing_but_read_its_own_at_a_nats_server_as_it_is_shipped() {
    let mut setup = Setup::new("attempts-shipped", Database::Postgres);
    let mut nats = ShippedNats::new(&mut setup);
    nats.start().await;
    let gateway = setup.start().await;
    nothing_more_than_reading(&setup).await;
    assert!(gateway.stop().await.success());
}
