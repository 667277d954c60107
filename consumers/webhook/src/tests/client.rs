//! What the guarded client does, and what it never does.

use std::{
    collections::HashMap,
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use async_trait::async_trait;
use bytes::Bytes;
use http::HeaderMap;
use url::Url;

use super::receiver::{Receiver, Script};
use crate::{
    client::{BODY_BYTES_MAX, BadConfig, Client, Config, Resolver},
    connect::failure,
    reply::{Answer, Failure, TlsFault},
};

const HOST: &str = "hooks.example.com";

/// Names that resolve to what a test wants, and count how often they were asked.
#[derive(Default)]
struct Scripted {
    addresses: Vec<SocketAddr>,
    asked: AtomicUsize,
}

#[async_trait]
impl Resolver for Scripted {
    async fn addresses(&self, _host: &str) -> io::Result<Vec<SocketAddr>> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        if self.addresses.is_empty() { Err(io::Error::other("NXDOMAIN")) } else { Ok(self.addresses.clone()) }
    }
}

fn names(addresses: &[SocketAddr]) -> Arc<Scripted> {
    Arc::new(Scripted { addresses: addresses.to_vec(), asked: AtomicUsize::new(0) })
}

/// A client that trusts `receiver` and reaches it as `host`.
fn reaching(receiver: &Receiver, host: &str, call_timeout: Duration) -> Client {
    let config = Config {
        connect_to: HashMap::from([(host.to_owned(), receiver.address)]),
        ca_file: Some(receiver.ca_file.clone()),
        call_timeout,
        ..Config::default()
    };
    Client::with_resolver(config, names(&[])).unwrap()
}

async fn post(client: &Client, url: &str) -> Result<Answer, Failure> {
    client.call(Url::parse(url).unwrap(), HeaderMap::new(), Bytes::from_static(b"{\"a\":1}")).await
}

const LONG: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_host_is_reached_elsewhere_under_its_own_name() {
    let receiver = Receiver::start(HOST, Script::answer("200 OK", "set-cookie: a=b\r\n", "thanks")).await;
    let client = reaching(&receiver, "Hooks.Example.COM", LONG);
    for _ in 0..2 {
        let answer = post(&client, "https://hooks.example.com/in?x=1").await.unwrap();
        assert_eq!((answer.status.as_u16(), &answer.body[..]), (200, &b"thanks"[..]));
    }
    let requests = receiver.requests();
    assert_eq!(requests.len(), 2);
    assert_eq!(requests[0].sni.as_deref(), Some(HOST));
    assert!(requests[0].head.starts_with("post /in?x=1 http/1.1\r\n"), "{}", requests[0].head);
    assert!(requests[0].head.contains("\r\nhost: hooks.example.com\r\n"), "{}", requests[0].head);
    assert!(!requests[0].head.contains("accept-encoding"), "{}", requests[0].head);
    assert_eq!(requests[0].body, b"{\"a\":1}");
    assert_eq!(receiver.connections(), 1, "the connection is kept between calls");
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let receiver = Receiver::start(HOST, Script::answer("307 Temporary Redirect", "location: https://hooks.example.com/b\r\n", "")).await;
    let answer = post(&reaching(&receiver, HOST, LONG), "https://hooks.example.com/a").await.unwrap();
    assert_eq!(answer.status.as_u16(), 307);
    assert_eq!(receiver.requests().len(), 1);
}

#[tokio::test]
async fn an_endless_body_is_cut_and_its_status_counts() {
    let receiver = Receiver::start(HOST, Script::Endless).await;
    let answer = post(&reaching(&receiver, HOST, LONG), "https://hooks.example.com/").await.unwrap();
    assert_eq!((answer.status.as_u16(), answer.body.len()), (200, BODY_BYTES_MAX));
    tokio::time::timeout(LONG, receiver.broken_off()).await.expect("the connection is dropped");
}

/// What the receiver answers a GET with, of at most a thousand bytes within this time.
async fn got(script: Script, time: Duration) -> (Result<(u16, usize), Failure>, Receiver) {
    let receiver = Receiver::start(HOST, script).await;
    let url = Url::parse("https://hooks.example.com/.well-known/document?a=b").unwrap();
    let answer = reaching(&receiver, HOST, LONG).get(&url, 1_000, time).await;
    (answer.map(|answer| (answer.status.as_u16(), answer.body.len())), receiver)
}

#[tokio::test]
async fn a_document_is_got_whole_and_in_time_or_not_at_all() {
    let (whole, receiver) = got(Script::answer("200 OK", "", &"x".repeat(999)), LONG).await;
    assert_eq!(whole, Ok((200, 999)));
    let request = &receiver.requests()[0];
    assert!(request.head.starts_with("get /.well-known/document?a=b http/1.1\r\n"), "{}", request.head);
    assert!(request.body.is_empty() && !request.head.contains("content-"), "{}", request.head);
    assert_eq!(got(Script::answer("200 OK", "", &"x".repeat(1_001)), LONG).await.0, Err(Failure::Broken));
    assert_eq!(got(Script::Endless, LONG).await.0, Err(Failure::Broken));
    assert_eq!(got(Script::DripBody, Duration::from_millis(1_500)).await.0, Err(Failure::TimedOut));
    let (moved, receiver) = got(Script::answer("302 Found", "location: https://hooks.example.com/b\r\n", ""), LONG).await;
    assert_eq!((moved, receiver.requests().len()), (Ok((302, 0)), 1), "it is not followed");
    let private = Client::with_resolver(Config::default(), names(&[receiver.address])).unwrap();
    for url in ["https://hooks.example.com/", "http://hooks.example.com/", "https://127.0.0.1/", "https://[::1]/"] {
        let refused = private.get(&Url::parse(url).unwrap(), 1_000, LONG).await;
        assert_eq!(refused.map(|answer| answer.status.as_u16()), Err(Failure::NotAllowed), "{url}");
    }
}

#[tokio::test]
async fn an_odd_answer_whose_status_is_clear_is_an_answer() {
    let many = (0..500).map(|n| format!("x-{n}: y\r\n")).collect::<String>();
    let oddities = [
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nx-folded: one\r\n two\r\n\tthree\r\n\r\nok",
        "HTTP/1.1 200 OK\r\ncontent-length : 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\ncontent-length:2\r\nno colon at all\r\n\r\nok",
        "HTTP/1.1 200 OK\r\ncontent-length:2\r\nbad name: x\r\n: empty\r\nx-control: a\u{1}b\r\nx-utf8: größe\r\n\r\nok",
        "HTTP/1.1 200\r\ncontent-length: 2\r\n\r\nok",
        "HTTP/1.1 200 größer\r\ncontent-length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\ncontent-length: 2\n\nok",
        "\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\ncontent-length: 9\r\ntransfer-encoding: chunked\r\n\r\n2;x=y\r\nok\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok and more than was announced",
        &format!("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n{many}\r\nok"),
    ];
    for odd in oddities {
        let receiver = Receiver::start(HOST, Script::Answer(odd.to_owned())).await;
        let answer = post(&reaching(&receiver, HOST, LONG), "https://hooks.example.com/").await;
        let found = answer.map(|answer| (answer.status.as_u16(), answer.body));
        assert_eq!(found, Ok((200, Bytes::from_static(b"ok"))), "{odd:.200}");
    }
}

#[tokio::test]
async fn a_dripping_receiver_is_cut_at_the_deadline() {
    // Long enough for the handshake and a head on a busy machine.
    let deadline = Duration::from_millis(1500);
    for (script, status) in [(Script::DripHead, Err(Failure::TimedOut)), (Script::DripBody, Ok(200))] {
        let receiver = Receiver::start(HOST, script).await;
        let started = Instant::now();
        let answer = post(&reaching(&receiver, HOST, deadline), "https://hooks.example.com/").await;
        assert_eq!(answer.map(|answer| answer.status.as_u16()), status);
        assert!(started.elapsed() >= deadline, "{:?}", started.elapsed());
        assert!(started.elapsed() < LONG / 2, "{:?}", started.elapsed());
        tokio::time::timeout(LONG, receiver.broken_off()).await.expect("the connection is dropped");
    }
}

#[tokio::test]
async fn a_name_with_any_private_address_makes_no_connection() {
    let receiver = Receiver::start(HOST, Script::answer("200 OK", "", "")).await;
    let public = SocketAddr::from(([93, 184, 216, 34], receiver.address.port()));
    for addresses in [vec![receiver.address], vec![public, receiver.address], vec![receiver.address, public]] {
        let names = names(&addresses);
        let config = Config { ca_file: Some(receiver.ca_file.clone()), ..Config::default() };
        let client = Client::with_resolver(config, Arc::clone(&names) as Arc<dyn Resolver>).unwrap();
        assert_eq!(post(&client, "https://hooks.example.com/").await.unwrap_err(), Failure::NotAllowed);
        assert_eq!(names.asked.load(Ordering::SeqCst), 1);
    }
    assert_eq!(receiver.connections(), 0);
}

#[tokio::test]
async fn a_host_beside_the_configured_one_gets_no_exception() {
    let receiver = Receiver::start(HOST, Script::answer("200 OK", "", "")).await;
    let config = Config { connect_to: HashMap::from([(HOST.to_owned(), receiver.address)]), ..Config::default() };
    let client = Client::with_resolver(config, names(&[receiver.address])).unwrap();
    for url in ["https://other.example.com/", "https://a.hooks.example.com/", "https://hooks.example.com./"] {
        assert_eq!(post(&client, url).await.unwrap_err(), Failure::NotAllowed, "{url}");
    }
    assert_eq!(receiver.connections(), 0);
}

#[tokio::test]
async fn a_literal_or_local_host_makes_no_connection_and_asks_no_resolver() {
    let receiver = Receiver::start("127.0.0.1", Script::answer("200 OK", "", "")).await;
    let names = names(&[receiver.address]);
    let mut config = Config { ca_file: Some(receiver.ca_file.clone()), ..Config::default() };
    // Not even the operator's own list opens what the rules of URLs close.
    for host in ["127.0.0.1", "localhost", "localhost."] {
        config.connect_to.insert(host.to_owned(), receiver.address);
    }
    let client = Client::with_resolver(config, Arc::clone(&names) as Arc<dyn Resolver>).unwrap();
    let port = receiver.address.port();
    for host in ["127.0.0.1", "127.1", "2130706433", "[::1]", "[::ffff:127.0.0.1]", "localhost", "localhost.", "LOCALHOST", "a.localhost"] {
        for url in [format!("https://{host}/"), format!("https://{host}:{port}/"), format!("http://{host}:{port}/")] {
            assert_eq!(post(&client, &url).await.unwrap_err(), Failure::NotAllowed, "{url}");
        }
    }
    assert_eq!((receiver.connections(), names.asked.load(Ordering::SeqCst)), (0, 0));
}

#[tokio::test]
async fn failures_are_told_apart() {
    let url = "https://hooks.example.com/";
    let nowhere = Client::with_resolver(Config::default(), names(&[])).unwrap();
    assert_eq!(post(&nowhere, url).await.unwrap_err(), Failure::NotResolved);

    let receiver = Receiver::start(HOST, Script::HangUp).await;
    assert_eq!(post(&reaching(&receiver, HOST, LONG), url).await.unwrap_err(), Failure::Broken);

    let misnamed = Receiver::start("other.example.com", Script::answer("200 OK", "", "")).await;
    assert_eq!(post(&reaching(&misnamed, HOST, LONG), url).await.unwrap_err(), Failure::TlsFailed(TlsFault::WrongName));

    let config = Config { connect_to: HashMap::from([(HOST.to_owned(), receiver.address)]), ..Config::default() };
    let untrusting = Client::new(config).unwrap();
    assert_eq!(post(&untrusting, url).await.unwrap_err(), Failure::TlsFailed(TlsFault::UnknownIssuer));

    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let config = Config { connect_to: HashMap::from([(HOST.to_owned(), closed)]), ..Config::default() };
    assert_eq!(post(&Client::new(config).unwrap(), url).await.unwrap_err(), Failure::ConnectFailed);
}

#[test]
fn what_the_machine_lacks_is_no_failure_of_the_receiver() {
    for (code, found) in [(23, Failure::Saturated), (24, Failure::Saturated), (111, Failure::ConnectFailed)] {
        let wrapped = io::Error::other(io::Error::from_raw_os_error(code));
        assert_eq!(failure(&wrapped, Failure::ConnectFailed), found, "{wrapped}");
    }
}

#[tokio::test]
async fn a_peer_that_never_shakes_hands_is_left_after_the_connect_timeout() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let config = Config {
        connect_to: HashMap::from([(HOST.to_owned(), silent.local_addr().unwrap())]),
        connect_timeout: Duration::from_millis(200),
        ..Config::default()
    };
    let started = Instant::now();
    assert_eq!(post(&Client::new(config).unwrap(), "https://hooks.example.com/").await.unwrap_err(), Failure::TimedOut);
    assert!(started.elapsed() < LONG / 2, "{:?}", started.elapsed());
}

#[test]
fn a_bad_ca_file_is_named() {
    let missing = Config { ca_file: Some("/nonexistent/ca.pem".into()), ..Config::default() };
    assert!(matches!(Client::new(missing), Err(BadConfig::CaFile { .. })));
    let path = std::env::temp_dir().join(format!("billwire-empty-{}.pem", billwire_schemas::ids::fresh()));
    std::fs::write(&path, "no certificate").unwrap();
    let empty = Config { ca_file: Some(path.clone()), ..Config::default() };
    assert!(matches!(Client::new(empty), Err(BadConfig::NoCertificate(_))));
    std::fs::remove_file(path).unwrap();
}
