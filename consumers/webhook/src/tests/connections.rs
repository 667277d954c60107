//! Which connections are kept, for how long, and how many there may be.

use std::{collections::HashMap, sync::Arc, time::Duration};

use bytes::Bytes;
use http::HeaderMap;
use rustls::{HandshakeKind, pki_types::CertificateDer};
use tokio::sync::Barrier;
use url::Url;

use super::receiver::{Receiver, Script};
use crate::{
    Client, Config, Identity,
    reply::{Answer, Failure, TlsFault},
};

/// The names under which a receiver is reached. Its certificate holds for all of them.
const HOSTS: [&str; 3] = ["a.example.com", "b.example.com", "c.example.com"];
const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
const LONG: Duration = Duration::from_secs(20);

/// A client that trusts `receiver` and reaches it under all names.
fn client(receiver: &Receiver, config: Config) -> Client {
    let connect_to: HashMap<_, _> = HOSTS.iter().map(|host| ((*host).to_owned(), receiver.address)).collect();
    Client::new(Config { connect_to, ca_file: Some(receiver.ca_file.clone()), ..config }).unwrap()
}

async fn post(client: &Client, host: &str) -> Result<Answer, Failure> {
    client.call(Url::parse(&format!("https://{host}/")).unwrap(), HeaderMap::new(), Bytes::from_static(b"{}")).await
}

/// Calls all at once; how many got an answer.
async fn posts(client: &Client, host: &str, calls: usize) -> usize {
    let answers = futures::future::join_all((0..calls).map(|_| post(client, host))).await;
    answers.iter().filter(|answer| answer.is_ok()).count()
}

async fn eventually(what: &str, holds: impl Fn() -> bool) {
    let within = tokio::time::timeout(LONG, async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    within.await.expect(what);
}

#[tokio::test]
async fn as_many_connections_are_kept_as_calls_were_under_way() {
    const CALLS: usize = 64;
    let receiver = Receiver::start("*.example.com", Script::Together(Arc::new(Barrier::new(CALLS)), OK.to_owned())).await;
    let client = client(&receiver, Config::default());
    assert_eq!(posts(&client, HOSTS[0], CALLS).await, CALLS);
    assert_eq!(receiver.connections(), CALLS, "one for each call");
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(posts(&client, HOSTS[0], CALLS).await, CALLS);
    assert_eq!(receiver.connections(), CALLS, "the second round opens none");
}

#[tokio::test]
async fn past_the_total_the_connection_idle_longest_is_closed() {
    let receiver = Receiver::start("*.example.com", Script::Answer(OK.to_owned())).await;
    let client = client(&receiver, Config { connections: 2, ..Config::default() });
    for host in HOSTS {
        post(&client, host).await.unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!((receiver.connections(), receiver.open().1), (3, 2), "the first is closed for the third");
    post(&client, HOSTS[1]).await.unwrap();
    assert_eq!(receiver.connections(), 3, "the second is kept");
}

#[tokio::test]
async fn past_the_total_calls_wait_and_share_what_there_is() {
    let receiver = Receiver::start("*.example.com", Script::Answer(OK.to_owned())).await;
    let client = client(&receiver, Config { connections: 3, ..Config::default() });
    let calls = HOSTS.map(|host| posts(&client, host, 40));
    assert_eq!(futures::future::join_all(calls).await, [40, 40, 40]);
    assert!(receiver.open().1 <= 3, "{:?}", receiver.open());
    assert!(receiver.connections() < 40, "a destination keeps its share: {}", receiver.connections());
}

#[tokio::test]
async fn a_call_that_gets_no_connection_in_time_is_not_made() {
    let receiver = Receiver::start("*.example.com", Script::Together(Arc::new(Barrier::new(3)), OK.to_owned())).await;
    let config = Config { connections: 2, connect_timeout: Duration::from_secs(1), ..Config::default() };
    let client = client(&receiver, config);
    let two = tokio::spawn({
        let client = client.clone();
        async move { posts(&client, HOSTS[0], 2).await }
    });
    eventually("both are under way", || receiver.requests().len() == 2).await;
    assert_eq!(post(&client, HOSTS[1]).await.unwrap_err(), Failure::Saturated);
    two.abort();
    post(&client, HOSTS[1]).await.unwrap();
    assert_eq!((receiver.requests().len(), receiver.connections()), (3, 3));
}

#[tokio::test]
async fn an_unused_connection_is_closed_after_a_while() {
    let receiver = Receiver::start("*.example.com", Script::Answer(OK.to_owned())).await;
    let client = client(&receiver, Config { idle_timeout: Duration::from_millis(300), ..Config::default() });
    post(&client, HOSTS[0]).await.unwrap();
    assert_eq!(receiver.open().0, 1);
    eventually("it is closed", || receiver.open().0 == 0).await;
    post(&client, HOSTS[0]).await.unwrap();
    assert_eq!(receiver.connections(), 2);
}

#[tokio::test]
async fn a_connection_that_the_receiver_closed_is_not_used_again() {
    let closing = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    let receiver = Receiver::start("*.example.com", Script::Answer(closing.to_owned())).await;
    let client = client(&receiver, Config::default());
    for calls in 1..=3 {
        post(&client, HOSTS[0]).await.unwrap();
        assert_eq!(receiver.connections(), calls);
    }
}

#[tokio::test]
async fn a_tls_session_is_resumed_by_its_own_client_alone() {
    let closing = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    let ours = rcgen::generate_simple_self_signed(vec!["billwire.example.com".to_owned()]).unwrap();
    let receiver = Receiver::start("*.example.com", Script::Answer(closing.to_owned())).await;
    let client = client(&receiver, Config::default());
    let identity = Identity { certificate: ours.cert.pem(), key: ours.signing_key.serialize_pem() };
    let other = client.with_client_certificate(&identity).unwrap();
    for client in [&client, &client, &other, &other] {
        post(client, HOSTS[0]).await.unwrap();
    }
    let resumed: Vec<bool> = receiver.handshakes().iter().map(|kind| *kind == HandshakeKind::Resumed).collect();
    assert_eq!(resumed, [false, true, false, true]);
}

#[tokio::test]
async fn a_connection_is_not_shared_with_a_client_that_shows_a_certificate() {
    let ours = rcgen::generate_simple_self_signed(vec!["billwire.example.com".to_owned()]).unwrap();
    let asked = CertificateDer::from(ours.cert.der().to_vec());
    let receiver = Receiver::asking("*.example.com", Script::Answer(OK.to_owned()), Some(asked)).await;
    let anonymous = client(&receiver, Config::default());
    let identity = Identity { certificate: ours.cert.pem(), key: ours.signing_key.serialize_pem() };
    let known = anonymous.with_client_certificate(&identity).unwrap();
    post(&known, HOSTS[0]).await.unwrap();
    assert_eq!(post(&anonymous, HOSTS[0]).await.unwrap_err(), Failure::TlsFailed(TlsFault::ClientCertificate));
    post(&known, HOSTS[0]).await.unwrap();
    assert_eq!((receiver.requests().len(), receiver.connections()), (2, 2));
}
