//! The HTTP listener: which connections it accepts, how long a client may take, and what it serves.
//!
//! poem's own server does not limit the time for a request's head, so hyper-util serves its endpoint here. hyper's
//! `header_read_timeout` is not enough either: it starts at the previous response, so it would close idle connections, and it does not
//! cover the detection of HTTP/1 or HTTP/2. [`activity`] therefore watches each connection as a whole.

mod activity;
mod clients;
mod table;

use std::{
    collections::HashMap,
    convert::Infallible,
    future::poll_fn,
    io,
    net::{IpAddr, SocketAddr},
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
    task::Poll,
    time::Duration,
};

use billwire_api::share_of;
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto::Builder,
};
use poem::{
    Endpoint, Request, Response,
    endpoint::BoxEndpoint,
    http::{Version, uri::Scheme},
    web::{LocalAddr, RemoteAddr},
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
    task::JoinSet,
    time::{Instant, sleep, timeout},
};

pub use self::{activity::Patience, clients::TrustedProxies, table::Limits};
use self::{
    activity::{Activity, Watched},
    table::{Admission, Place, Table},
};

/// Most concurrent requests of one HTTP/2 connection.
const STREAMS_MAX: u32 = 100;
/// Largest head of an HTTP/2 request, in bytes.
const HTTP2_HEAD_MAX: u32 = 16 * 1024;
/// How often an HTTP/2 client is pinged, and how long it may take to reply.
const PING_EVERY: Duration = Duration::from_secs(20);
/// How long an HTTP/2 connection may take to shut down.
const SHUTDOWN: Duration = Duration::from_secs(1);
/// Wait after cannot accept a connection.
const ACCEPT_RETRY: Duration = Duration::from_millis(50);

/// The listener's settings.
pub struct Options {
    /// How many connections there may be.
    pub limits: Limits,
    /// How long clients may take.
    pub patience: Patience,
    /// The proxies that are trusted to report a client's address.
    pub trusted_proxies: TrustedProxies,
    /// How long open requests may take to finish at a stop.
    pub drain: Duration,
}

/// The state that all connections share.
struct Shared {
    endpoint: BoxEndpoint<'static, Response>,
    options: Options,
    table: Arc<Table>,
    http: Builder<TokioExecutor>,
    /// Permits for HTTP/2 requests: one connection carries many, and their total must be limited too.
    http2_requests: Semaphore,
    /// Current requests of each client behind a trusted proxy. The connections are the proxy's, so requests are counted instead.
    proxied: Mutex<HashMap<IpAddr, usize>>,
}

/// Serves `endpoint` until `stopped`, then waits for the current requests.
pub async fn serve(listener: TcpListener, endpoint: BoxEndpoint<'static, Response>, options: Options, mut stopped: watch::Receiver<bool>) {
    let mut http = Builder::new(TokioExecutor::new());
    http.http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size(HTTP2_HEAD_MAX)
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PING_EVERY);
    let table = Arc::new(Table::new(options.limits, options.patience));
    let http2_requests = Semaphore::new(options.limits.connections.min(Semaphore::MAX_PERMITS));
    let drain = options.drain;
    let shared = Arc::new(Shared { endpoint, options, table, http, http2_requests, proxied: Mutex::default() });
    let mut connections = JoinSet::new();
    // An accepted connection that has no place yet. Later ones wait in the kernel's backlog, where they cost nothing.
    let mut pending: Option<(TcpStream, SocketAddr)> = None;
    loop {
        if let Some((stream, peer)) = pending.take() {
            let share = (!shared.options.trusted_proxies.contain(peer.ip())).then(|| share_of(peer.ip()));
            match shared.table.admit(share, Instant::now()) {
                Admission::Admitted(place) => {
                    connections.spawn(shared.clone().connection(stream, peer, share.is_none(), place, stopped.clone()));
                }
                Admission::ShareTaken => tracing::debug!(%peer, "refused a connection: its address has reached its share"),
                Admission::Full => pending = Some((stream, peer)),
            }
        }
        tokio::select! {
            _ = stopped.changed() => break,
            Some(ended) = connections.join_next() => note(ended),
            () = shared.table.room(), if pending.is_some() => {}
            accepted = listener.accept(), if pending.is_none() => pending = usable(accepted).await,
        }
    }
    drop((listener, pending));
    let all = async {
        while let Some(ended) = connections.join_next().await {
            note(ended);
        }
    };
    if timeout(drain, all).await.is_err() {
        tracing::info!("some connections did not finish in time and were closed");
    }
}

async fn usable(accepted: io::Result<(TcpStream, SocketAddr)>) -> Option<(TcpStream, SocketAddr)> {
    match accepted {
        Ok((stream, peer)) => Some((stream, SocketAddr::new(peer.ip().to_canonical(), peer.port()))),
        Err(error) => {
            tracing::warn!(%error, "cannot accept a connection");
            // Without a pause, the next attempt would fail too, for example when the process is out of file descriptors.
            sleep(ACCEPT_RETRY).await;
            None
        }
    }
}

fn note(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!(%error, "a connection panicked");
    }
}

impl Shared {
    async fn connection(
        self: Arc<Self>,
        stream: TcpStream,
        peer: SocketAddr,
        proxy: bool,
        place: Place,
        mut stopped: watch::Receiver<bool>,
    ) {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%peer, %error, "cannot set TCP_NODELAY on a connection");
        }
        let local = LocalAddr(stream.local_addr().unwrap_or(SocketAddr::from(([0, 0, 0, 0], 0))).into());
        let activity = place.activity.clone();
        let service = service_fn(|request| {
            let (shared, local, activity) = (self.clone(), local.clone(), place.activity.clone());
            async move { Ok::<_, Infallible>(hyper::Response::from(shared.answer(request, local, peer, proxy, activity).await)) }
        });
        let io = TokioIo::new(Watched { io: stream, activity: activity.clone() });
        let mut connection = pin!(self.http.serve_connection(io, service));
        let mut timer = pin!(sleep(self.options.patience.head));
        let mut stopping = false;
        loop {
            let ended_or_time_up = poll_fn(|cx| {
                if let Poll::Ready(ended) = connection.as_mut().poll(cx) {
                    return Poll::Ready(Some(ended));
                }
                if let Some(deadline) = activity.deadline()
                    && deadline < timer.deadline()
                {
                    timer.as_mut().reset(deadline);
                }
                timer.as_mut().poll(cx).map(|()| None)
            });
            tokio::select! {
                ended = ended_or_time_up => match (ended, activity.deadline()) {
                    (Some(ended), _) => {
                        if let Err(error) = ended {
                            tracing::debug!(%peer, error, "a connection failed");
                        }
                        return;
                    }
                    (None, Some(deadline)) if deadline <= Instant::now() => break,
                    (None, later) => timer.as_mut().reset(later.unwrap_or_else(|| Instant::now() + self.options.patience.idle)),
                },
                () = activity.must_give_way() => break,
                _ = stopped.changed(), if !stopping => {
                    stopping = true;
                    connection.as_mut().graceful_shutdown();
                }
            }
        }
        tracing::debug!(%peer, "closing a connection: its client took too long, or a new connection needs its place");
        if activity.is_http2() {
            // GOAWAY tells the client which requests were served, so that it neither repeats nor loses one.
            connection.as_mut().graceful_shutdown();
            let _ = timeout(SHUTDOWN, connection).await;
        }
    }

    async fn answer(
        self: Arc<Self>,
        request: hyper::Request<Incoming>,
        local: LocalAddr,
        peer: SocketAddr,
        proxy: bool,
        activity: Arc<Activity>,
    ) -> Response {
        let http2 = request.version() == Version::HTTP_2;
        let _running = Running::new(activity, http2);
        let client = if proxy { self.options.trusted_proxies.client(request.headers()) } else { None };
        let remote = RemoteAddr(client.map_or(peer, |client| SocketAddr::new(client, peer.port())).into());
        let request = Request::from((request, local, remote, Scheme::HTTP));
        let permit = if http2 { self.http2_requests.try_acquire().map(Some) } else { Ok(None) };
        let Ok(_permit) = permit else { return billwire_api::overloaded(&request) };
        let share = client.map(|client| Share::take(&self, share_of(client))).transpose();
        let Ok(_share) = share else { return billwire_api::overloaded(&request) };
        self.endpoint.get_response(request).await
    }
}

/// A running handler. Ends with its request, also when the client disconnects.
struct Running(Arc<Activity>);

impl Running {
    fn new(activity: Arc<Activity>, http2: bool) -> Self {
        activity.begin(http2);
        Self(activity)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.end(Instant::now());
    }
}

/// One request in the share of a client behind a trusted proxy.
struct Share {
    shared: Arc<Shared>,
    client: IpAddr,
}

impl Share {
    fn take(shared: &Arc<Shared>, client: IpAddr) -> Result<Self, ()> {
        let mut proxied = shared.proxied.lock().unwrap_or_else(PoisonError::into_inner);
        let count = proxied.entry(client).or_default();
        if *count >= shared.options.limits.per_address {
            return Err(());
        }
        *count += 1;
        Ok(Self { shared: shared.clone(), client })
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut proxied = self.shared.proxied.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = proxied.get_mut(&self.client) {
            *count -= 1;
            if *count == 0 {
                proxied.remove(&self.client);
            }
        }
    }
}
