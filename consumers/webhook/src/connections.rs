//! The connections to one destination, and which call opens the next one.
//!
//! Over HTTP/1.1 each call that finds no idle connection opens one. Until the protocol is known, and over HTTP/2, one call opens a
//! connection and the others wait for it, since one connection may carry them all.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use http::{Request, Response};
use hyper::body::Incoming;
use tokio::{sync::Notify, time::Instant};

use crate::{
    connect::{Body, Connection, Http1, Http2, causes, failure},
    reply::Failure,
};

/// How long a destination whose HTTP/2 connections are full, and that accepts no further one, is left with those it has.
const NO_FURTHER: Duration = Duration::from_secs(10);

/// The connections to one destination.
#[derive(Default)]
pub(crate) struct Destination {
    /// Tells calls that wait for a connection to look again.
    pub changed: Notify,
    /// Calls that wait for a connection or a permit.
    pub waiting: AtomicUsize,
    /// Each open connection holds a clone.
    pub open: Arc<()>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// HTTP/1.1, the longest idle first.
    idle: Vec<(Instant, Http1)>,
    http2: Vec<Shared>,
    /// Whether the latest connection spoke HTTP/2.
    speaks_http2: Option<bool>,
    /// Connections being opened.
    opening: usize,
    /// Failures to open a connection that several calls waited for, and the latest.
    failures: usize,
    failure: Option<Failure>,
    /// Until when no connection is opened besides those that exist.
    no_further_until: Option<Instant>,
}

/// An HTTP/2 connection and the calls under way over it.
struct Shared {
    connection: Http2,
    streams: usize,
    idle_since: Instant,
}

/// What a call holds while it is under way.
pub(crate) enum Held {
    Http1(Http1),
    Http2(Http2),
}

/// How a call gets a connection.
pub(crate) enum Step {
    /// With this one.
    Use(Held),
    /// Not at all: the connection that it waited for failed.
    Fail(Failure),
    /// It waits for [`Destination::changed`].
    Wait,
    /// It opens one.
    Open(Opening),
}

/// A request without an answer.
pub(crate) struct Unanswered {
    pub failure: Failure,
    /// The receiver has not processed the request, so that sending it again does not repeat it.
    pub unprocessed: bool,
}

impl Destination {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How often a connection that several calls waited for has failed.
    pub fn failures(&self) -> usize {
        self.lock().failures
    }

    /// A free connection.
    pub fn take(&self) -> Option<Held> {
        self.lock().take()
    }

    /// What a call does next that began to wait after so many `failures`.
    pub fn step(self: &Arc<Self>, failures: usize) -> Step {
        let mut state = self.lock();
        if let Some(held) = state.take() {
            return Step::Use(held);
        }
        if let Some(failure) = state.failure.filter(|_| state.failures > failures) {
            return Step::Fail(failure);
        }
        let for_all = state.speaks_http2 != Some(false);
        let no_further = state.no_further_until.is_some_and(|until| Instant::now() < until);
        if for_all && state.opening > 0 || no_further && !state.http2.is_empty() {
            return Step::Wait;
        }
        state.opening += 1;
        Step::Open(Opening { destination: Arc::clone(self), for_all })
    }

    /// Keeps an HTTP/1.1 connection for the next call.
    pub fn put_back(&self, connection: Http1) {
        self.lock().idle.push((Instant::now(), connection));
        self.changed.notify_one();
    }

    /// Makes room for another call over an HTTP/2 connection.
    pub fn stream_ended(&self, connection: &Http2) {
        let mut state = self.lock();
        if let Some(shared) = state.http2.iter_mut().find(|one| Arc::ptr_eq(&one.connection.streams_max, &connection.streams_max)) {
            shared.streams -= 1;
            shared.idle_since = Instant::now();
        }
        drop(state);
        self.changed.notify_one();
    }

    /// Since when the connection has been idle that has been idle longest.
    pub fn idle_since(&self) -> Option<Instant> {
        let state = self.lock();
        let http1 = state.idle.first().map(|(since, _)| *since);
        http1.into_iter().chain(state.http2.iter().filter(|one| one.streams == 0).map(|one| one.idle_since)).min()
    }

    /// Closes the connections that have been idle since `then` or longer.
    pub fn close_idle_since(&self, then: Instant) {
        let mut state = self.lock();
        state.idle.retain(|(since, connection)| *since > then && !connection.sender.is_closed());
        state.http2.retain(|one| !one.connection.sender.is_closed() && (one.streams > 0 || one.idle_since > then));
    }
}

impl State {
    fn take(&mut self) -> Option<Held> {
        while let Some((_, connection)) = self.idle.pop() {
            if connection.sender.is_ready() {
                return Some(Held::Http1(connection));
            }
        }
        self.http2.retain(|one| !one.connection.sender.is_closed());
        let free = self.http2.iter_mut().find(|one| one.streams < one.connection.streams_max.load(Ordering::Relaxed))?;
        free.streams += 1;
        Some(Held::Http2(free.connection.clone()))
    }
}

/// A call's right to open a connection. When it ends, other calls look whether they have a connection now, or open one.
pub(crate) struct Opening {
    destination: Arc<Destination>,
    /// Whether other calls wait for this connection.
    for_all: bool,
}

impl Opening {
    /// The opener's connection or failure; `None`: it waits with the others, since there are connections but no further one.
    pub fn end(self, opened: Result<Connection, Failure>) -> Option<Result<Held, Failure>> {
        let mut state = self.destination.lock();
        Some(match opened {
            Ok(Connection::Http1(connection)) => {
                state.speaks_http2 = Some(false);
                Ok(Held::Http1(connection))
            }
            Ok(Connection::Http2(connection)) => {
                state.speaks_http2 = Some(true);
                state.http2.push(Shared { connection: connection.clone(), streams: 1, idle_since: Instant::now() });
                Ok(Held::Http2(connection))
            }
            Err(_) if self.for_all && !state.http2.is_empty() => {
                state.no_further_until = Some(Instant::now() + NO_FURTHER);
                return None;
            }
            Err(failure) => {
                if self.for_all {
                    state.failures += 1;
                    state.failure = Some(failure);
                }
                Err(failure)
            }
        })
    }
}

impl Drop for Opening {
    fn drop(&mut self) {
        self.destination.lock().opening -= 1;
        if self.for_all {
            self.destination.changed.notify_waiters();
        }
    }
}

impl Held {
    /// Sends a request and waits for the head of its answer.
    pub async fn send(&mut self, request: Request<Body>) -> Result<Response<Incoming>, Unanswered> {
        let sent = match self {
            Self::Http1(connection) => connection.sender.try_send_request(request).await,
            Self::Http2(connection) => connection.sender.try_send_request(request).await,
        };
        sent.map_err(|mut error| {
            let unsent = error.take_message().is_some();
            let error = error.into_error();
            Unanswered { failure: failure(&error, Failure::Broken), unprocessed: unsent || refused(&error) }
        })
    }
}

/// Whether the receiver says that it has not processed the request (RFC 9113 section 8.7): it refused it, or closed the connection to
/// requests as late as this one.
fn refused(error: &hyper::Error) -> bool {
    let error = causes(error).find_map(|cause| cause.downcast_ref::<h2::Error>());
    error.is_some_and(|error| {
        error.is_go_away() && error.is_remote() || error.is_reset() && error.reason() == Some(h2::Reason::REFUSED_STREAM)
    })
}
