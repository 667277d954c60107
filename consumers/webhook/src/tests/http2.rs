//! Calls to receivers that speak HTTP/2.

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use h2::{
    Reason, RecvStream,
    server::{Builder, Connection, SendResponse},
};
use http::{HeaderMap, Request, Response};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Barrier,
    task::JoinHandle,
};
use tokio_rustls::server::TlsStream;
use url::Url;

use super::receiver::acceptor;
use crate::{
    Client, Config,
    client::BODY_BYTES_MAX,
    reply::{Answer, Failure},
};

const HOST: &str = "hooks.example.com";
const LONG: Duration = Duration::from_secs(20);

type Http2 = Connection<TlsStream<TcpStream>, Bytes>;
type Call = (Request<RecvStream>, SendResponse<Bytes>);

/// A receiver that offers HTTP/2 alone.
struct Receiver {
    client: Client,
    connections: Arc<AtomicUsize>,
    accepting: JoinHandle<()>,
    ca_file: PathBuf,
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.accepting.abort();
        let _ = std::fs::remove_file(&self.ca_file);
    }
}

impl Receiver {
    /// Handles each connection with `serve`, which gets its number, from 1. The receiver's client has the timeouts of `config`.
    async fn start<S, F>(settings: Builder, config: Config, serve: S) -> Self
    where
        S: Fn(usize, Http2) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let (acceptor, ca_file) = acceptor(HOST, None, &[b"h2"]);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let connect_to = HashMap::from([(HOST.to_owned(), listener.local_addr().unwrap())]);
        let client = Client::new(Config { connect_to, ca_file: Some(ca_file.clone()), ..config }).unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&connections);
        let accepting = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let number = count.fetch_add(1, Ordering::SeqCst) + 1;
                let (acceptor, settings, serve) = (acceptor.clone(), settings.clone(), serve.clone());
                tokio::spawn(async move {
                    let Ok(stream) = acceptor.accept(socket).await else { return };
                    let Ok(connection) = settings.handshake(stream).await else { return };
                    serve(number, connection).await;
                });
            }
        });
        Self { client, connections, accepting, ca_file }
    }

    async fn post(&self) -> Result<Answer, Failure> {
        let url = Url::parse("https://hooks.example.com/in?x=1").unwrap();
        self.client.call(url, HeaderMap::new(), Bytes::from_static(b"{\"a\":1}")).await
    }

    /// Calls all at once; the statuses of the answers, and why there was none.
    async fn posts(&self, calls: usize) -> Vec<Result<u16, Failure>> {
        let answers = futures::future::join_all((0..calls).map(|_| self.post())).await;
        answers.into_iter().map(|answer| answer.map(|answer| answer.status.as_u16())).collect()
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

fn accept(mut answer: SendResponse<Bytes>) {
    let _ = answer.send_response(Response::new(()), true);
}

/// Answers all calls of a connection, each by `answer` in a task of its own.
async fn answer_all<A, F>(mut connection: Http2, answer: A)
where
    A: Fn(Call) -> F,
    F: Future<Output = ()> + Send + 'static,
{
    while let Some(Ok(call)) = connection.accept().await {
        tokio::spawn(answer(call));
    }
}

#[tokio::test]
async fn concurrent_calls_share_one_connection() {
    const CALLS: usize = 64;
    let barrier = Arc::new(Barrier::new(CALLS));
    let receiver = Receiver::start(Builder::new(), Config::default(), move |_, connection| {
        let barrier = barrier.clone();
        answer_all(connection, move |(mut request, answer)| {
            let barrier = barrier.clone();
            async move {
                assert_eq!(request.uri().to_string(), "https://hooks.example.com/in?x=1");
                assert!(!request.headers().contains_key("host"));
                assert_eq!(request.body_mut().data().await.unwrap().unwrap(), "{\"a\":1}");
                barrier.wait().await;
                accept(answer);
            }
        })
    })
    .await;
    for _ in 0..2 {
        assert_eq!(receiver.posts(CALLS).await, [Ok(200); CALLS]);
        assert_eq!(receiver.connections(), 1);
    }
}

#[tokio::test]
async fn calls_beyond_what_a_connection_may_carry_go_over_another() {
    let barrier = Arc::new(Barrier::new(8));
    let mut settings = Builder::new();
    settings.max_concurrent_streams(4);
    let receiver = Receiver::start(settings, Config::default(), move |_, connection| {
        let barrier = barrier.clone();
        answer_all(connection, move |(_, answer)| {
            let barrier = barrier.clone();
            async move {
                barrier.wait().await;
                accept(answer);
            }
        })
    })
    .await;
    assert_eq!(receiver.posts(8).await, [Ok(200); 8], "slow calls to one endpoint do not delay those to another");
    assert_eq!(receiver.connections(), 2);
}

#[tokio::test]
async fn a_call_that_is_refused_unprocessed_is_sent_again_at_once() {
    let refused = Arc::new(AtomicUsize::new(0));
    let count = refused.clone();
    let receiver = Receiver::start(Builder::new(), Config::default(), move |_, connection| {
        let count = count.clone();
        answer_all(connection, move |(_, mut answer)| {
            let second = count.fetch_add(1, Ordering::SeqCst) == 1;
            async move { if second { answer.send_reset(Reason::REFUSED_STREAM) } else { accept(answer) } }
        })
    })
    .await;
    for _ in 0..2 {
        assert_eq!(receiver.posts(1).await, [Ok(200)]);
    }
    assert_eq!((refused.load(Ordering::SeqCst), receiver.connections()), (3, 1));
}

#[tokio::test]
async fn a_receiver_that_says_goodbye_answers_what_it_has_and_gets_the_rest_elsewhere() {
    let receiver = Receiver::start(Builder::new(), Config::default(), |number, mut connection| async move {
        let mut waiting = Vec::new();
        while let Some(Ok((_, answer))) = connection.accept().await {
            if number > 1 {
                accept(answer);
                continue;
            }
            waiting.push(answer);
            if waiting.len() == 2 {
                connection.graceful_shutdown();
                waiting.drain(..).for_each(accept);
            }
        }
    })
    .await;
    assert_eq!(receiver.posts(2).await, [Ok(200); 2]);
    assert_eq!(receiver.posts(3).await, [Ok(200); 3]);
    assert_eq!(receiver.connections(), 2);
}

#[tokio::test]
async fn calls_over_a_connection_that_breaks_are_to_be_made_again() {
    let receiver = Receiver::start(Builder::new(), Config::default(), |number, mut connection| async move {
        while let Some(Ok((_, answer))) = connection.accept().await {
            if number > 1 {
                accept(answer);
                continue;
            }
            drop(answer);
            connection.abrupt_shutdown(Reason::INTERNAL_ERROR);
        }
    })
    .await;
    assert_eq!(receiver.posts(1).await, [Err(Failure::Broken)]);
    assert_eq!(receiver.posts(3).await, [Ok(200); 3]);
    assert_eq!(receiver.connections(), 2);
}

#[tokio::test]
async fn a_connection_that_answers_no_ping_is_given_up() {
    let config = Config { ping: Duration::from_millis(200), ..Config::default() };
    let receiver = Receiver::start(Builder::new(), config, |number, mut connection| async move {
        if number == 1 {
            let _first = connection.accept().await;
            std::future::pending::<()>().await;
        }
        answer_all(connection, |(_, answer)| async { accept(answer) }).await;
    })
    .await;
    let began = Instant::now();
    assert_eq!(receiver.posts(3).await, [Err(Failure::TimedOut); 3]);
    assert!(began.elapsed() < LONG / 2, "{:?}", began.elapsed());
    assert_eq!(receiver.posts(3).await, [Ok(200); 3]);
    assert_eq!(receiver.connections(), 2);
}

#[tokio::test]
async fn a_slow_call_delays_no_other_over_its_connection() {
    let calls = Arc::new(AtomicUsize::new(0));
    let config = Config { call_timeout: Duration::from_secs(2), ..Config::default() };
    let receiver = Receiver::start(Builder::new(), config, move |_, connection| {
        let calls = calls.clone();
        answer_all(connection, move |(_, answer)| {
            let first = calls.fetch_add(1, Ordering::SeqCst) == 0;
            async move {
                if first {
                    std::future::pending::<()>().await;
                }
                accept(answer);
            }
        })
    })
    .await;
    let began = Instant::now();
    let (slow, quick) = tokio::join!(receiver.post(), async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        (receiver.posts(10).await, began.elapsed())
    });
    assert_eq!(slow.unwrap_err(), Failure::TimedOut);
    assert_eq!(quick.0, [Ok(200); 10]);
    assert!(quick.1 < Duration::from_secs(2), "{:?}", quick.1);
    assert_eq!(receiver.connections(), 1);
}

#[tokio::test]
async fn an_endless_body_is_cut_and_the_connection_goes_on() {
    let receiver = Receiver::start(Builder::new(), Config::default(), |_, connection| {
        answer_all(connection, |(_, mut answer)| async move {
            let Ok(mut body) = answer.send_response(Response::new(()), false) else { return };
            while let Some(Ok(room)) = {
                body.reserve_capacity(4096);
                std::future::poll_fn(|cx| body.poll_capacity(cx)).await
            } {
                if body.send_data(Bytes::from(vec![b'x'; room]), false).is_err() {
                    return;
                }
            }
        })
    })
    .await;
    for _ in 0..3 {
        let answer = receiver.post().await.unwrap();
        assert_eq!((answer.status.as_u16(), answer.body.len()), (200, BODY_BYTES_MAX));
    }
    assert_eq!(receiver.connections(), 1);
}

#[tokio::test]
async fn a_head_that_is_too_large_is_no_answer() {
    let receiver = Receiver::start(Builder::new(), Config::default(), |_, connection| {
        answer_all(connection, |(_, mut answer)| async move {
            let large = Response::builder().header("x-large", "x".repeat(20_000)).body(()).unwrap();
            let _ = answer.send_response(large, true);
        })
    })
    .await;
    assert_eq!(receiver.posts(1).await, [Err(Failure::Broken)]);
}
