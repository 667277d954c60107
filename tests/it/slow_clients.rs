//! Clients that hold connections without sending requests: they are disconnected in time and lock nobody out.

use std::{
    net::{IpAddr, SocketAddr},
    time::{Duration, Instant},
};

use billwire_tests::{
    api::Api,
    eventually,
    gateway::{Database, Gateway, Setup},
};
use http_body_util::{BodyExt, Empty, combinators::BoxBody};
use hyper::body::{Body, Bytes, Frame};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    task::JoinSet,
    time::timeout,
};

/// What a busy machine may add to any wait.
const MARGIN: Duration = Duration::from_secs(20);

async fn connect(from: &str, to: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::new(from.parse::<IpAddr>().unwrap(), 0)).unwrap();
    socket.connect(to).await.unwrap()
}

async fn gateway(name: &str, settings: &[(&str, &str)]) -> (Setup, Gateway) {
    let mut setup = Setup::new(name, Database::Sqlite);
    for (name, value) in settings {
        setup.set(name, *value);
    }
    let gateway = setup.start().await;
    (setup, gateway)
}

/// Reads until the peer closes the connection; `None` if it does not.
async fn closed(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut read = Vec::new();
    timeout(MARGIN, stream.read_to_end(&mut read)).await.ok()?.ok();
    Some(read)
}

/// Sends a request on a persistent connection and returns the head of the response; `None` on a timeout or a closed connection.
async fn ask(stream: &mut TcpStream, request: &str) -> Option<String> {
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut read = Vec::new();
    let all = async {
        while !read.windows(4).any(|end| end == b"\r\n\r\n") {
            if stream.read_buf(&mut read).await.ok()? == 0 {
                return None;
            }
        }
        Some(())
    };
    timeout(MARGIN, all).await.ok()??;
    String::from_utf8(read).ok()
}

const LIVEZ: &str = "HEAD /livez HTTP/1.1\r\nhost: b\r\n\r\n";

async fn lives(stream: &mut TcpStream) -> bool {
    ask(stream, LIVEZ).await.is_some_and(|head| head.starts_with("HTTP/1.1 200"))
}

/// Starts a request whose body never arrives, and waits until its handler runs. `more`: additional header lines.
async fn at_work(stream: &mut TcpStream, key: &str, more: &str) -> bool {
    let head = format!(
        "POST /v1/queues HTTP/1.1\r\nhost: b\r\nauthorization: Bearer {key}\r\ncontent-type: application/json\r\n\
         content-length: 10\r\nexpect: 100-continue\r\n{more}\r\n"
    );
    ask(stream, &head).await.is_some_and(|head| head.starts_with("HTTP/1.1 100"))
}

/// A client with its own connections and address that retries until it gets a response.
async fn healthy(setup: &Setup, from: &str) -> Duration {
    let began = Instant::now();
    let client = reqwest::Client::builder().no_proxy().local_address(from.parse::<IpAddr>().ok()).pool_max_idle_per_host(0);
    let api = Api { client: client.timeout(MARGIN).build().unwrap(), ..setup.api() };
    assert_eq!(api.get("/v1/queues").await.status, 200, "from {from}");
    began.elapsed()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn heads_that_come_byte_by_byte_are_cut_off_and_shut_out_nobody() {
    let settings = [("BILLWIRE_CONNECTIONS_MAX", "64"), ("BILLWIRE_HTTP_HEADER_TIMEOUT_MS", "1500")];
    let (setup, _gateway) = gateway("slow-heads", &settings).await;
    let mut slow = JoinSet::new();
    for _ in 0..64 {
        let mut stream = connect("127.0.0.1", setup.address).await;
        slow.spawn(async move {
            let began = Instant::now();
            stream.write_all(b"GET /livez HTTP/1.1\r\nx: ").await.ok();
            let (mut read, mut write) = stream.split();
            let drip = async {
                while write.write_all(b"a").await.is_ok() {
                    tokio::time::sleep(Duration::from_millis(250)).await;
                }
            };
            let end = async { while read.read_u8().await.is_ok() {} };
            timeout(MARGIN * 2, futures::future::select(std::pin::pin!(drip), std::pin::pin!(end))).await.ok().map(|_| began.elapsed())
        });
    }
    for from in ["127.0.0.2", "127.0.0.1"] {
        let waited = healthy(&setup, from).await;
        println!("a healthy client from {from} was answered after {waited:?}");
    }
    let closed: Vec<Option<Duration>> = slow.join_all().await;
    println!("the slow ones were closed after {:?} to {:?}", closed.iter().min(), closed.iter().max());
    assert!(closed.iter().all(Option::is_some), "each slow connection is closed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kept_connection_may_rest_but_its_next_head_may_not_take_long() {
    let (setup, _gateway) = gateway("kept", &[("BILLWIRE_HTTP_HEADER_TIMEOUT_MS", "700")]).await;
    let mut resting = connect("127.0.0.1", setup.address).await;
    let mut slow = connect("127.0.0.1", setup.address).await;
    assert!(lives(&mut resting).await && lives(&mut slow).await);
    slow.write_all(b"HEAD /livez HTTP/1.1\r\n").await.unwrap();
    assert!(closed(&mut slow).await.is_some(), "the head that was begun is not waited for");
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert!(lives(&mut resting).await, "the one that said nothing is still open");

    let (setup, _gateway) = gateway("idle", &[("BILLWIRE_HTTP_IDLE_TIMEOUT_MS", "700")]).await;
    let mut resting = connect("127.0.0.1", setup.address).await;
    assert!(lives(&mut resting).await);
    assert!(closed(&mut resting).await.is_some(), "the idle timeout closes it");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_does_not_say_which_protocol_it_speaks_is_cut_off() {
    let (setup, _gateway) = gateway("no-protocol", &[("BILLWIRE_HTTP_HEADER_TIMEOUT_MS", "700")]).await;
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    // An empty SETTINGS frame, and the start of a HEADERS frame of a thousand bytes.
    let half = [&preface[..], &[0, 0, 0, 4, 0, 0, 0, 0, 0], &[0, 3, 232, 1, 4, 0, 0, 0, 1, 0x82]].concat();
    for said in [&b""[..], &preface[..10], &preface[..], &half] {
        let mut stream = connect("127.0.0.1", setup.address).await;
        stream.write_all(said).await.unwrap();
        assert!(closed(&mut stream).await.is_some(), "closed after {said:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_gives_way_where_all_connections_are_taken() {
    let settings = [("BILLWIRE_CONNECTIONS_MAX", "4"), ("BILLWIRE_CONNECTIONS_PER_ADDRESS", "4")];
    let (setup, _gateway) = gateway("give-way", &settings).await;
    let mut kept = Vec::new();
    for _ in 0..4 {
        kept.push(connect("127.0.0.2", setup.address).await);
        assert!(lives(kept.last_mut().unwrap()).await);
    }
    let mut fifth = connect("127.0.0.3", setup.address).await;
    assert!(lives(&mut fifth).await, "the new one is let in");
    assert!(closed(&mut kept[0]).await.is_some(), "the one that rested the longest gave way");
    kept[0] = fifth;
    for at_rest in &mut kept {
        assert!(at_work(at_rest, &setup.key, "").await);
    }
    // Four handlers are busy: new clients wait until one has finished.
    let mut waiting = connect("127.0.0.3", setup.address).await;
    waiting.write_all(LIVEZ.as_bytes()).await.unwrap();
    assert!(timeout(Duration::from_millis(300), waiting.read_u8()).await.is_err(), "nobody who is worked for gives way");
    kept[1].write_all(b"0123456789").await.unwrap();
    assert_eq!(timeout(MARGIN, waiting.read_u8()).await.unwrap().unwrap(), b'H', "and then is answered");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_has_its_share_and_only_a_trusted_proxy_speaks_for_others() {
    let settings = [
        ("BILLWIRE_CONNECTIONS_MAX", "32"),
        ("BILLWIRE_CONNECTIONS_PER_ADDRESS", "2"),
        ("BILLWIRE_TRUSTED_PROXIES", "127.0.0.9, 10.0.0.0/8"),
    ];
    let (setup, _gateway) = gateway("share", &settings).await;
    let mut held = Vec::new();
    for client in ["192.0.2.1", "192.0.2.2"] {
        let mut stream = connect("127.0.0.2", setup.address).await;
        assert!(at_work(&mut stream, &setup.key, &format!("x-forwarded-for: {client}\r\n")).await);
        held.push(stream);
    }
    let mut third = connect("127.0.0.2", setup.address).await;
    assert!(!at_work(&mut third, &setup.key, "x-forwarded-for: 192.0.2.3\r\n").await, "what a stranger says does not count");
    let mut other = connect("127.0.0.3", setup.address).await;
    assert!(lives(&mut other).await, "another address is not concerned");

    let proxied = async |client: &str| {
        let mut stream = connect("127.0.0.9", setup.address).await;
        (at_work(&mut stream, &setup.key, &format!("x-forwarded-for: 1.2.3.4, {client}, 10.0.0.1\r\n")).await, stream)
    };
    for client in ["192.0.2.1", "192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8::2"] {
        let (served, stream) = proxied(client).await;
        assert!(served, "{client}");
        held.push(stream);
    }
    for client in ["192.0.2.1", "2001:db8::3"] {
        let mut stream = connect("127.0.0.9", setup.address).await;
        let request = format!("GET /livez HTTP/1.1\r\nhost: b\r\nconnection: close\r\nx-forwarded-for: {client}\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let answer = String::from_utf8(closed(&mut stream).await.unwrap()).unwrap().to_lowercase();
        assert!(answer.starts_with("http/1.1 503") && answer.contains("\"code\":\"overloaded\""), "{client}: {answer}");
        assert!(answer.contains("retry-after: 1") && answer.contains("content-type: application/problem+json"), "{answer}");
    }
    drop(held);
    eventually("a place for the client whose requests have ended", async || proxied("192.0.2.1").await.0.then_some(())).await;
}

#[test]
fn proxies_that_are_no_networks_are_named() {
    let mut setup = Setup::new("proxies", Database::Sqlite);
    setup.set("BILLWIRE_TRUSTED_PROXIES", "10.0.0.0/8,proxy.example.com");
    let output = setup.command(&["serve"]).output().expect("a run");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("BILLWIRE_TRUSTED_PROXIES: 'proxy.example.com'"), "{said}");
}

/// A body that never arrives.
struct Never;

impl Body for Never {
    type Data = Bytes;
    type Error = std::convert::Infallible;
    fn poll_frame(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        std::task::Poll::Pending
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn http2_streams_are_bounded_on_a_connection_and_in_all() {
    let settings = [("BILLWIRE_CONNECTIONS_MAX", "3"), ("BILLWIRE_CONNECTIONS_PER_ADDRESS", "3")];
    let (setup, _gateway) = gateway("http2", &settings).await;
    let mut raw = connect("127.0.0.1", setup.address).await;
    raw.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
    let mut head = [0u8; 9];
    raw.read_exact(&mut head).await.unwrap();
    assert_eq!(head[3], 4, "SETTINGS");
    let mut frame = vec![0u8; usize::from(head[2])];
    raw.read_exact(&mut frame).await.unwrap();
    let said = |id: u8| frame.chunks(6).find(|one| one[1] == id).map(|one| u32::from_be_bytes(one[2..].try_into().unwrap()));
    assert_eq!((said(3), said(6)), (Some(100), Some(16 * 1024)), "MAX_CONCURRENT_STREAMS and MAX_HEADER_LIST_SIZE");

    let stream = TokioIo::new(connect("127.0.0.1", setup.address).await);
    let (mut sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), stream).await.unwrap();
    tokio::spawn(connection);
    let mut send = |method: &str, path: &str, body: BoxBody<Bytes, std::convert::Infallible>| {
        let request = hyper::Request::builder().method(method).uri(format!("http://{}{path}", setup.address));
        let request = request.header("authorization", format!("Bearer {}", setup.key)).header("content-type", "application/json");
        sender.send_request(request.body(body).unwrap())
    };
    let mut held = Vec::new();
    let fourth = eventually("a request that is one too many", async || {
        // The request for /livez may come before one of these, and take its place.
        held.retain(|one: &tokio::task::JoinHandle<_>| !one.is_finished());
        while held.len() < 3 {
            held.push(tokio::spawn(send("POST", "/v1/queues", Never.boxed())));
        }
        let answer = send("GET", "/livez", Empty::new().boxed()).await.unwrap();
        (answer.status() == 503).then_some(answer)
    })
    .await;
    let body = String::from_utf8(fourth.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap();
    assert!(body.contains("\"code\":\"overloaded\""), "{body}");
    assert!(lives(&mut connect("127.0.0.2", setup.address).await).await, "HTTP/1 is not concerned");
    for one in held {
        one.abort();
    }
    eventually("room again", async || (send("GET", "/livez", Empty::new().boxed()).await.unwrap().status() == 200).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_waits_for_the_requests_under_way_and_not_for_connections_at_rest() {
    let (setup, gateway) = gateway("drain", &[]).await;
    let mut resting = connect("127.0.0.1", setup.address).await;
    let mut silent = connect("127.0.0.1", setup.address).await;
    let mut working = connect("127.0.0.1", setup.address).await;
    assert!(lives(&mut resting).await && at_work(&mut working, &setup.key, "").await);
    let stopping = tokio::spawn(gateway.stop());
    assert!(closed(&mut resting).await.is_some() && closed(&mut silent).await.is_some());
    working.write_all(b"0123456789").await.unwrap();
    let answer = String::from_utf8(closed(&mut working).await.unwrap()).unwrap();
    assert!(answer.starts_with("HTTP/1.1 400") && answer.to_lowercase().contains("\r\ndate: "), "{answer}");
    assert!(stopping.await.unwrap().success());
}
