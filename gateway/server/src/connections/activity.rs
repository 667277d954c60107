//! What one connection waits for, and until when: the client's next request, the client reading a response, or a handler.

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::Notify,
    time::Instant,
};

/// How long a client may take.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// From accept to a complete request head, and from the first byte of a later head to its last.
    pub head: Duration,
    /// From a response to the first byte of the next request.
    pub idle: Duration,
}

/// How long a client may read nothing of a response that is ready.
const STALLED_MAX: Duration = Duration::from_secs(30);
/// How long a connection is not displaced after its last handler has ended, so that the response is sent first.
const ANSWERING: Duration = Duration::from_secs(1);

/// The activity of a connection. Shared by its task, its requests and the table of all connections.
pub struct Activity {
    state: Mutex<State>,
    patience: Patience,
    /// Notified when the connection must close for another one.
    giving_way: Notify,
}

struct State {
    /// Number of running handlers.
    running: usize,
    /// When the last handler ended, or the connection was accepted.
    waiting_since: Instant,
    /// When the current, incomplete head began.
    head_since: Option<Instant>,
    /// Since when writing is blocked, if it is.
    stalled_since: Option<Instant>,
    /// Whether it is HTTP/2, where not every byte belongs to a request: a ping begins no head.
    http2: bool,
}

impl Activity {
    /// The activity of a connection that was accepted at `now`.
    pub fn new(patience: Patience, now: Instant) -> Self {
        let state = State { running: 0, waiting_since: now, head_since: Some(now), stalled_since: None, http2: false };
        Self { state: Mutex::new(state), patience, giving_way: Notify::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The client's deadline; `None` while a handler runs.
    pub fn deadline(&self) -> Option<Instant> {
        let state = self.state();
        match (state.stalled_since, state.running, state.head_since) {
            (Some(since), _, _) => Some(since + STALLED_MAX),
            (None, 1.., _) => None,
            (None, 0, Some(since)) => Some(since + self.patience.head),
            (None, 0, None) => Some(state.waiting_since + self.patience.idle),
        }
    }

    /// Since when the connection waits for the client; `None` while a handler runs or its response is being sent.
    pub fn waiting_since(&self, now: Instant) -> Option<Instant> {
        let state = self.state();
        match (state.running, state.head_since) {
            (0, Some(since)) => Some(since),
            (0, None) if now.duration_since(state.waiting_since) >= ANSWERING => Some(state.waiting_since),
            _ => None,
        }
    }

    /// Whether the connection uses HTTP/2.
    pub fn is_http2(&self) -> bool {
        self.state().http2
    }

    /// Asks the connection to close.
    pub fn give_way(&self) {
        self.giving_way.notify_one();
    }

    /// Resolves when the connection must close.
    pub async fn must_give_way(&self) {
        self.giving_way.notified().await;
    }

    /// A head is complete and its handler starts.
    pub fn begin(&self, http2: bool) {
        let mut state = self.state();
        state.running += 1;
        state.head_since = None;
        state.http2 |= http2;
    }

    /// A handler has ended.
    pub fn end(&self, now: Instant) {
        let mut state = self.state();
        state.running = state.running.saturating_sub(1);
        state.waiting_since = now;
    }

    fn has_read(&self, now: Instant) {
        let mut state = self.state();
        if state.running == 0 && state.head_since.is_none() && !state.http2 {
            state.head_since = Some(now);
        }
    }

    fn has_written(&self, outcome: &Poll<io::Result<usize>>, now: Instant) {
        let mut state = self.state();
        if outcome.is_pending() {
            state.stalled_since.get_or_insert(now);
            return;
        }
        state.stalled_since = None;
        if !state.http2 {
            // A connection on which a long response is still being read is not idle.
            state.waiting_since = now;
        }
    }
}

/// A connection that records reads and writes.
pub struct Watched<T> {
    /// The connection.
    pub io: T,
    /// Where they are recorded.
    pub activity: Arc<Activity>,
}

impl<T: AsyncRead + Unpin> AsyncRead for Watched<T> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let outcome = Pin::new(&mut self.io).poll_read(cx, buf);
        if buf.filled().len() > before {
            self.activity.has_read(Instant::now());
        }
        outcome
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Watched<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        // Before the write: once the client has its response, it may act on it before this task goes on.
        let now = Instant::now();
        let outcome = Pin::new(&mut self.io).poll_write(cx, buf);
        self.activity.has_written(&outcome, now);
        outcome
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
    fn poll_write_vectored(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bufs: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let now = Instant::now();
        let outcome = Pin::new(&mut self.io).poll_write_vectored(cx, bufs);
        self.activity.has_written(&outcome, now);
        outcome
    }
    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: Duration = Duration::from_secs(10);
    const IDLE: Duration = Duration::from_secs(75);

    /// An activity and its clock.
    fn accepted() -> (Activity, impl Fn(u64) -> Instant) {
        let start = Instant::now();
        (Activity::new(Patience { head: HEAD, idle: IDLE }, start), move |seconds| start + Duration::from_secs(seconds))
    }

    #[test]
    fn each_wait_for_a_client_has_its_end() {
        let (activity, at) = accepted();
        activity.has_read(at(3));
        assert_eq!(activity.deadline(), Some(at(0) + HEAD), "from accept, however much has come");
        activity.begin(false);
        activity.has_read(at(5));
        assert_eq!((activity.deadline(), activity.waiting_since(at(1000))), (None, None), "our turn");
        activity.end(at(1000));
        assert_eq!(activity.deadline(), Some(at(1000) + IDLE));
        assert_eq!(activity.waiting_since(at(1000)), None, "its answer is on the way");
        assert_eq!(activity.waiting_since(at(1001)), Some(at(1000)));
        activity.has_read(at(1070));
        activity.has_read(at(1074));
        assert_eq!(activity.deadline(), Some(at(1070) + HEAD), "from the first byte of the next head");
        activity.begin(false);
        activity.end(at(1080));
        activity.has_written(&Poll::Pending, at(1081));
        activity.has_written(&Poll::Pending, at(1090));
        assert_eq!(activity.deadline(), Some(at(1081) + STALLED_MAX), "nothing is taken of the answer");
        activity.has_written(&Poll::Ready(Ok(1)), at(1100));
        assert_eq!(activity.deadline(), Some(at(1100) + IDLE), "and then it is");
    }

    #[test]
    fn the_pings_of_http2_are_no_requests() {
        let (activity, at) = accepted();
        activity.begin(true);
        activity.begin(true);
        activity.end(at(1));
        assert_eq!(activity.deadline(), None);
        activity.end(at(2));
        activity.has_read(at(60));
        activity.has_written(&Poll::Ready(Ok(17)), at(60));
        assert_eq!(activity.deadline(), Some(at(2) + IDLE));
    }
}
