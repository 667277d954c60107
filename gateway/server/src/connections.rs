//! The HTTP listener: which connections are let in, how long they may keep us waiting, and what is served on them.
//!
//! poem's own server sets no limit to the time a request's head may take, so its endpoint is served through hyper-util here. hyper's
//! `header_read_timeout` is no help either: it starts with the answer before, so it would end idle connections, and it does not cover the
//! reading that tells HTTP/1 from HTTP/2. [`activity`] therefore watches each connection as a whole.

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
    clients::share_of,
    table::{Admission, Place, Table},
};

/// Requests of one HTTP/2 connection under way at once.
const STREAMS_MAX: u32 = 100;
/// Longest head of an HTTP/2 request, in bytes.
const HTTP2_HEAD_MAX: u32 = 16 * 1024;
/// How often an HTTP/2 client is asked for a sign of life, and how long it has for that.
const PING_EVERY: Duration = Duration::from_secs(20);
/// How long an HTTP/2 connection that is told to end may take for it.
const GOODBYE: Duration = Duration::from_secs(1);
/// How long to wait after a connection that could not be accepted.
const ACCEPT_AGAIN: Duration = Duration::from_millis(50);

/// What the listener is run with.
pub struct Options {
    /// How many connections.
    pub limits: Limits,
    /// For how long.
    pub patience: Patience,
    /// Whose word on a client's address counts.
    pub trusted_proxies: TrustedProxies,
    /// How long open requests may take to end at a stop.
    pub drain: Duration,
}

/// What all connections share.
struct Shared {
    endpoint: BoxEndpoint<'static, Response>,
    options: Options,
    table: Arc<Table>,
    http: Builder<TokioExecutor>,
    /// Requests over HTTP/2 under way: a connection carries many of them, and all together must stay bounded.
    http2_requests: Semaphore,
    /// Requests under way of each client behind a trusted proxy. Its connections are the proxy's, so its requests are counted.
    proxied: Mutex<HashMap<IpAddr, usize>>,
}

/// Serves `endpoint` until `stopped`, then lets the requests under way end.
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
    // Accepted, but there is no room for it yet. Those behind it wait in the system's line, where they cost us nothing.
    let mut held: Option<(TcpStream, SocketAddr)> = None;
    loop {
        if let Some((stream, peer)) = held.take() {
            let share = (!shared.options.trusted_proxies.contain(peer.ip())).then(|| share_of(peer.ip()));
            match shared.table.admit(share, Instant::now()) {
                Admission::Admitted(place) => {
                    connections.spawn(shared.clone().connection(stream, peer, share.is_none(), place, stopped.clone()));
                }
                Admission::ShareTaken => tracing::debug!(%peer, "refused a connection: its address has its share"),
                Admission::Full => held = Some((stream, peer)),
            }
        }
        tokio::select! {
            _ = stopped.changed() => break,
            Some(ended) = connections.join_next() => note(ended),
            () = shared.table.room(), if held.is_some() => {}
            accepted = listener.accept(), if held.is_none() => held = usable(accepted).await,
        }
    }
    drop((listener, held));
    let all = async {
        while let Some(ended) = connections.join_next().await {
            note(ended);
        }
    };
    if timeout(drain, all).await.is_err() {
        tracing::info!("some connections did not end in time and were closed");
    }
}

async fn usable(accepted: io::Result<(TcpStream, SocketAddr)>) -> Option<(TcpStream, SocketAddr)> {
    match accepted {
        Ok((stream, peer)) => Some((stream, SocketAddr::new(peer.ip().to_canonical(), peer.port()))),
        Err(error) => {
            tracing::warn!(%error, "a connection could not be accepted");
            // Where the system has no more files, the next try fails as well.
            sleep(ACCEPT_AGAIN).await;
            None
        }
    }
}

fn note(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!(%error, "a connection ended in a panic");
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
            tracing::debug!(%peer, %error, "a connection's delay could not be switched off");
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
                            tracing::debug!(%peer, error, "a connection broke");
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
        tracing::debug!(%peer, "closing a connection: its client took too long, or another needs its place");
        if activity.is_http2() {
            // Says up to which request it was served, so that none is repeated or lost by guessing.
            connection.as_mut().graceful_shutdown();
            let _ = timeout(GOODBYE, connection).await;
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

/// A handler at work; ends with its request, also where the client gives up.
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

/// One request's part of the share of a client behind a trusted proxy.
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
