//! From the name of a host to a connection that speaks HTTP: DNS, TCP and TLS with the checks of destinations, then HTTP/2 where the
//! receiver offers it, else HTTP/1.1.
//!
//! A destination is checked three times, since each check misses what the next one sees: the URL's literal host (an address
//! skips the resolver; [`crate::client`] checks it), every address its name resolves to (one private address refuses them all, or a
//! receiver could retry until it is picked), and the peer that is really connected, before anything is sent to it.

use std::{
    collections::HashMap,
    error::Error,
    future::poll_fn,
    io,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use async_trait::async_trait;
use billwire_schemas::destination;
use bytes::Bytes;
use futures::future::BoxFuture;
use http::Uri;
use http_body_util::Full;
use hyper::{
    client::conn::{http1, http2},
    rt::Executor,
};
use hyper_util::{
    client::legacy::connect::{HttpConnector, dns::Name},
    rt::{TokioIo, TokioTimer},
};
use rustls::pki_types::ServerName;
use tokio::{
    net::TcpStream,
    sync::{OwnedSemaphorePermit, oneshot},
    time::{sleep, timeout},
};
use tokio_rustls::TlsConnector;
use tower_service::Service;

use crate::reply::{Failure, TlsFault};

/// Bytes of an answer's head over HTTP/2 at most. (Over HTTP/1.1 the library allows 400 KiB.)
const HEAD_BYTES_MAX: u32 = 16 * 1024;
/// Headers of an answer over HTTP/1.1 at most.
const HEADERS_MAX: usize = 1_000;
/// Concurrent calls over one HTTP/2 connection at most, if the receiver allows as many: when one connection is lost or slow, few calls are.
pub(crate) const STREAMS_MAX: usize = 100;
/// Concurrent calls over an HTTP/2 connection until the receiver has said how many it allows.
const STREAMS_BEFORE_SETTINGS: usize = 0;
/// How often a new connection is asked whether the receiver has said so.
const SETTINGS_INTERVAL: Duration = Duration::from_millis(1);
/// Bytes of one answer that a receiver may send over HTTP/2 before they are read.
const STREAM_WINDOW: u32 = 32 * 1024;
/// Bytes of all answers of an HTTP/2 connection that a receiver may send before they are read.
const CONNECTION_WINDOW: u32 = 1024 * 1024;
/// How long a TCP connection is silent before it is probed.
const TCP_KEEP_ALIVE: Duration = Duration::from_secs(15);

/// How long closing an HTTP/1.1 connection may take, for a receiver that does not read.
const CLOSING: Duration = Duration::from_secs(1);

/// The body of a call.
pub(crate) type Body = Full<Bytes>;

/// Names into addresses.
#[async_trait]
pub trait Resolver: Send + Sync + 'static {
    /// All addresses of `host`. A port other than 0 replaces the URL's.
    ///
    /// # Errors
    /// When the name has none, or DNS is away.
    async fn addresses(&self, host: &str) -> io::Result<Vec<SocketAddr>>;
}

/// The machine's own resolver.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemResolver;

#[async_trait]
impl Resolver for SystemResolver {
    async fn addresses(&self, host: &str) -> io::Result<Vec<SocketAddr>> {
        Ok(tokio::net::lookup_host((host, 0)).await?.collect())
    }
}

/// What a connection counts as until its socket is closed: one of all connections, and one of its destination's.
pub(crate) struct Permit {
    _total: OwnedSemaphorePermit,
    _destination: Arc<()>,
}

impl Permit {
    pub fn new(total: OwnedSemaphorePermit, destination: &Arc<()>) -> Self {
        Self { _total: total, _destination: Arc::clone(destination) }
    }
}

/// An open connection.
pub(crate) enum Connection {
    Http1(Http1),
    Http2(Http2),
}

/// A connection that carries one call at a time. Its socket is closed soon after it is dropped, whatever the receiver has not read yet.
pub(crate) struct Http1 {
    pub sender: http1::SendRequest<Body>,
    _in_use: oneshot::Sender<()>,
}

/// A connection that carries many calls at once.
#[derive(Clone)]
pub(crate) struct Http2 {
    pub sender: http2::SendRequest<Body>,
    /// How many calls it may carry.
    pub streams_max: Arc<AtomicUsize>,
}

/// The timeouts of connections.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timeouts {
    /// For name, TCP and TLS.
    pub connect: Duration,
    /// How long an HTTP/2 connection is silent before a PING asks for an answer, and how long the answer may take.
    pub ping: Duration,
}

/// Opens connections, all with the same client certificate or all without one.
pub(crate) struct Connector {
    /// Tells connectors apart: a connection is used for calls of its own connector only.
    pub id: usize,
    http: HttpConnector<GuardedNames>,
    names: GuardedNames,
    tls: TlsConnector,
    timeouts: Timeouts,
    #[cfg(test)]
    dialled: AtomicUsize,
}

impl Connector {
    pub fn new(names: GuardedNames, tls: rustls::ClientConfig, timeouts: Timeouts) -> Self {
        static CONNECTORS: AtomicUsize = AtomicUsize::new(0);
        let mut http = HttpConnector::new_with_resolver(names.clone());
        http.enforce_http(false);
        http.set_nodelay(true);
        http.set_connect_timeout(Some(timeouts.connect));
        http.set_keepalive(Some(TCP_KEEP_ALIVE));
        http.set_keepalive_interval(Some(TCP_KEEP_ALIVE));
        http.set_keepalive_retries(Some(3));
        Self {
            id: CONNECTORS.fetch_add(1, Ordering::Relaxed),
            http,
            names,
            tls: TlsConnector::from(Arc::new(tls)),
            timeouts,
            #[cfg(test)]
            dialled: AtomicUsize::new(0),
        }
    }

    /// A connector like this one, with another TLS configuration.
    pub fn with_tls(&self, tls: rustls::ClientConfig) -> Self {
        Self::new(self.names.clone(), tls, self.timeouts)
    }

    /// How many connections were attempted.
    #[cfg(test)]
    pub fn dialled(&self) -> usize {
        self.dialled.load(Ordering::SeqCst)
    }

    /// Opens a connection to `host`, in time for [`Timeouts::connect`].
    pub async fn connect(&self, host: &str, permit: Permit) -> Result<Connection, Failure> {
        timeout(self.timeouts.connect, self.open(host, permit)).await.unwrap_or(Err(Failure::TimedOut))
    }

    async fn open(&self, host: &str, permit: Permit) -> Result<Connection, Failure> {
        let tcp = self.tcp(host).await?;
        let name = ServerName::try_from(host.to_owned()).map_err(|_| Failure::TlsFailed(TlsFault::Other))?;
        let tls = self.tls.connect(name, tcp).await.map_err(|error| failure(&error, Failure::ConnectFailed))?;
        let http2 = tls.get_ref().1.alpn_protocol() == Some(b"h2");
        let (io, tasks) = (TokioIo::new(tls), Tasks(Arc::new(permit)));
        if !http2 {
            let (mut sender, connection) = http1().handshake(io).await.map_err(|error| failure(&error, Failure::Broken))?;
            let (report, reported) = oneshot::channel();
            let (in_use, dropped) = oneshot::channel::<()>();
            tasks.spawn(async move {
                let closing = async {
                    let _ = dropped.await;
                    sleep(CLOSING).await;
                };
                tokio::select! {
                    ended = connection => if let Err(error) = ended {
                        let _ = report.send(failure(&error, Failure::Broken));
                    },
                    () = closing => {}
                }
            });
            // A receiver may refuse a client certificate, or its lack, as late as here.
            if sender.ready().await.is_err() {
                return Err(reported.await.unwrap_or(Failure::Broken));
            }
            return Ok(Connection::Http1(Http1 { sender, _in_use: in_use }));
        }
        let handshake = self.http2(tasks.clone()).handshake(io);
        let (sender, mut connection) = handshake.await.map_err(|error| failure(&error, Failure::Broken))?;
        while connection.current_max_send_streams() == STREAMS_BEFORE_SETTINGS {
            if let Poll::Ready(ended) = poll_fn(|cx| Poll::Ready(Pin::new(&mut connection).poll(cx))).await {
                return Err(ended.err().map_or(Failure::Broken, |error| failure(&error, Failure::Broken)));
            }
            sleep(SETTINGS_INTERVAL).await;
        }
        let allowed = |streams: usize| streams.clamp(1, STREAMS_MAX);
        let streams_max = Arc::new(AtomicUsize::new(allowed(connection.current_max_send_streams())));
        let latest = Arc::clone(&streams_max);
        tasks.spawn(async move {
            let ended = poll_fn(|cx| {
                let polled = Pin::new(&mut connection).poll(cx);
                latest.store(allowed(connection.current_max_send_streams()), Ordering::Relaxed);
                polled
            });
            if let Err(error) = ended.await {
                tracing::debug!(%error, "webhook connection ended");
            }
        });
        Ok(Connection::Http2(Http2 { sender, streams_max }))
    }

    fn http2(&self, tasks: Tasks) -> http2::Builder<Tasks> {
        let mut builder = http2::Builder::new(tasks);
        builder
            .timer(TokioTimer::new())
            .max_header_list_size(HEAD_BYTES_MAX)
            .initial_max_send_streams(STREAMS_BEFORE_SETTINGS)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .keep_alive_interval(self.timeouts.ping)
            .keep_alive_timeout(self.timeouts.ping)
            .keep_alive_while_idle(true);
        builder
    }

    async fn tcp(&self, host: &str) -> Result<TcpStream, Failure> {
        let uri = Uri::try_from(format!("https://{host}/")).map_err(|_| Failure::NotAllowed)?;
        let connected = self.http.clone().call(uri).await.map_err(|error| failure(&error, Failure::ConnectFailed));
        #[cfg(test)]
        if !matches!(connected, Err(Failure::NotResolved | Failure::NotAllowed)) {
            self.dialled.fetch_add(1, Ordering::SeqCst);
        }
        let tcp = connected?.into_inner();
        match tcp.peer_addr() {
            _ if self.names.connect_to.contains_key(host) => Ok(tcp),
            Ok(peer) if destination::is_public(peer.ip()) => Ok(tcp),
            Ok(peer) => Err(not_public(host, peer.ip())),
            Err(_) => Err(Failure::ConnectFailed),
        }
    }
}

/// Reads every answer whose status is clear: what is malformed after it changes nothing for the delivery.
fn http1() -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .allow_obsolete_multiline_headers_in_responses(true)
        .allow_spaces_after_header_name_in_responses(true)
        .ignore_invalid_headers_in_responses(true)
        .max_headers(HEADERS_MAX);
    builder
}

/// Runs the tasks of one connection, which hold its permit until the last one has ended.
#[derive(Clone)]
struct Tasks(Arc<Permit>);

impl Tasks {
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let permit = Arc::clone(&self.0);
        tokio::spawn(async move {
            task.await;
            drop(permit);
        });
    }
}

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Tasks {
    fn execute(&self, task: F) {
        self.spawn(task);
    }
}

/// Resolves names, and refuses those with an address that is not public. It gives a port only for `connect_to` (and for a test's
/// names): hyper uses a resolver's port where it is not 0 and the URL names none, and our URLs never name one.
#[derive(Clone)]
pub(crate) struct GuardedNames {
    pub resolver: Arc<dyn Resolver>,
    pub connect_to: Arc<HashMap<String, SocketAddr>>,
}

impl GuardedNames {
    async fn addresses(&self, host: &str) -> Result<Vec<SocketAddr>, Failure> {
        if let Some(to) = self.connect_to.get(host) {
            return Ok(vec![*to]);
        }
        let found = self.resolver.addresses(host).await.map_err(|error| {
            tracing::debug!(host, %error, "webhook host not resolved");
            Failure::NotResolved
        })?;
        if found.is_empty() {
            return Err(Failure::NotResolved);
        }
        if let Some(address) = found.iter().find(|address| !destination::is_public(address.ip())) {
            return Err(not_public(host, address.ip()));
        }
        Ok(found)
    }
}

impl Service<Name> for GuardedNames {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = Failure;
    type Future = BoxFuture<'static, Result<Self::Response, Failure>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let names = self.clone();
        Box::pin(async move { Ok(names.addresses(name.as_str()).await?.into_iter()) })
    }
}

/// Tells the operator which address was refused; the tenant gets the category alone.
pub(crate) fn not_public(host: &str, address: IpAddr) -> Failure {
    tracing::warn!(host, %address, "webhook not sent: the host's address is not public; BILLWIRE_WEBHOOK_CONNECT_TO can allow it");
    Failure::NotAllowed
}

/// The category of an error; `otherwise` if nothing below it says more. The details of the error stay in the debug log.
pub(crate) fn failure(error: &(dyn Error + 'static), otherwise: Failure) -> Failure {
    let timed_out = |cause: &(dyn Error + 'static)| {
        cause.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::TimedOut)
            || cause.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_timeout)
    };
    // Too many open files (ENFILE, EMFILE), or no free port.
    let ours = |cause: &(dyn Error + 'static)| {
        cause
            .downcast_ref::<io::Error>()
            .is_some_and(|error| matches!(error.raw_os_error(), Some(23 | 24)) || error.kind() == io::ErrorKind::AddrNotAvailable)
    };
    let found = if let Some(found) = causes(error).find_map(|cause| cause.downcast_ref::<Failure>()) {
        *found
    } else if causes(error).any(ours) {
        Failure::Saturated
    } else if causes(error).any(timed_out) {
        Failure::TimedOut
    } else if let Some(tls) = causes(error).find_map(|cause| cause.downcast_ref::<rustls::Error>()) {
        Failure::TlsFailed(tls.into())
    } else {
        otherwise
    };
    let causes: Vec<String> = causes(error).map(ToString::to_string).collect();
    tracing::debug!(category = %found, causes = causes.join(": "), "webhook call failed");
    found
}

/// An error and all below it. `io::Error` hides the error it wraps from `source`, so it is unwrapped by hand.
pub(crate) fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    let below = |error: &&'a (dyn Error + 'static)| {
        let error: &'a (dyn Error + 'static) = *error;
        match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(wrapped) => Some(wrapped as &(dyn Error + 'static)),
            None => error.source(),
        }
    };
    std::iter::successors(Some(error), below)
}
