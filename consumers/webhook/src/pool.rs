//! The connections of all clients: kept per destination, as many as its calls need, within one total.
//!
//! A call takes a connection that is free, or opens one. Each connection holds a permit of the total from before its name is resolved
//! until its socket is closed. Past the total, the connection that has been idle longest is closed for a new one; when none is idle,
//! the call waits, and is not made if no connection becomes free in time.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use http::{Request, Response};
use hyper::body::Incoming;
use tokio::{
    sync::Semaphore,
    time::{Instant, timeout, timeout_at},
};

use crate::{
    connect::{Body, Connector, Http1, Permit},
    connections::{Destination, Held, Step, Unanswered},
    reply::Failure,
};

/// Which connections a call may use: those of its connector to its host.
type Key = (usize, Box<str>);

/// The connections of all clients of a process.
pub(crate) struct Pool {
    destinations: Mutex<HashMap<Key, Arc<Destination>>>,
    permits: Arc<Semaphore>,
    total: usize,
    /// Calls that wait for a permit.
    starved: AtomicUsize,
    idle_timeout: Duration,
    /// How long a call waits for a permit.
    wait: Duration,
}

impl Pool {
    /// A pool of at most `total` connections, which keeps an idle one for `idle_timeout`. A call waits for a connection as long as `wait`.
    pub fn new(total: usize, idle_timeout: Duration, wait: Duration) -> Arc<Self> {
        let total = total.clamp(1, Semaphore::MAX_PERMITS);
        Arc::new(Self {
            destinations: Mutex::default(),
            permits: Arc::new(Semaphore::new(total)),
            total,
            starved: AtomicUsize::new(0),
            idle_timeout,
            wait,
        })
    }

    /// A connection of `connector` to `host` for one call.
    ///
    /// # Errors
    /// Why there is none; [`Failure::Saturated`]: all connections are in use.
    pub async fn lease(self: &Arc<Self>, connector: &Connector, host: &str) -> Result<Lease, Failure> {
        let destination = self.destination(connector.id, host);
        let lease = |held, reused| Lease { pool: Arc::clone(self), destination: Arc::clone(&destination), held: Some(held), reused };
        if let Some(held) = destination.take() {
            return Ok(lease(held, true));
        }
        let failures = destination.failures();
        loop {
            let waiting = Counted::one_more(&destination.waiting);
            let mut changed = std::pin::pin!(destination.changed.notified());
            changed.as_mut().enable();
            match destination.step(failures) {
                Step::Use(held) => return Ok(lease(held, true)),
                Step::Fail(failure) => return Err(failure),
                Step::Wait => changed.await,
                Step::Open(opening) => {
                    let permit = tokio::select! {
                        biased;
                        permit = self.permit(&destination) => permit,
                        () = changed => continue,
                    };
                    drop(waiting);
                    let opened = match permit {
                        Ok(permit) => connector.connect(host, permit).await,
                        Err(failure) => Err(failure),
                    };
                    if let Some(ended) = opening.end(opened) {
                        return ended.map(|held| lease(held, false));
                    }
                }
            }
        }
    }

    fn destinations(&self) -> MutexGuard<'_, HashMap<Key, Arc<Destination>>> {
        self.destinations.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn destination(self: &Arc<Self>, connector: usize, host: &str) -> Arc<Destination> {
        let mut destinations = self.destinations();
        if destinations.is_empty() {
            tokio::spawn(sweep(Arc::downgrade(self), self.idle_timeout));
        }
        Arc::clone(destinations.entry((connector, host.into())).or_default())
    }

    async fn permit(&self, destination: &Destination) -> Result<Permit, Failure> {
        let total = match Arc::clone(&self.permits).try_acquire_owned() {
            Ok(total) => total,
            Err(_) => {
                let _starved = Counted::one_more(&self.starved);
                self.close_longest_idle();
                match timeout(self.wait, Arc::clone(&self.permits).acquire_owned()).await {
                    Ok(Ok(total)) => total,
                    _ => return Err(Failure::Saturated),
                }
            }
        };
        Ok(Permit::new(total, &destination.open))
    }

    fn close_longest_idle(&self) {
        let destinations = self.destinations();
        let longest = destinations.values().filter_map(|one| Some((one.idle_since()?, one))).min_by_key(|(since, _)| *since);
        if let Some((since, destination)) = longest {
            destination.close_idle_since(since);
        }
    }

    /// Whether calls to other destinations wait for a permit while `destination` has more than its equal share of them.
    fn over_share(&self, destination: &Destination) -> bool {
        if self.starved.load(Ordering::SeqCst) == 0 {
            return false;
        }
        let waits = |one: &&Arc<Destination>| one.waiting.load(Ordering::SeqCst) > 0;
        let sharing = self.destinations().values().filter(waits).count();
        Arc::strong_count(&destination.open) - 1 > self.total / sharing.max(1)
    }

    /// Closes an idle connection if a call to another destination waits for a permit. A call that begins to wait looks for idle
    /// connections after it is counted, so that one of the two finds the other.
    fn relieve(&self, destination: &Destination) {
        if self.starved.load(Ordering::SeqCst) > 0 && destination.waiting.load(Ordering::SeqCst) == 0 {
            self.close_longest_idle();
        }
    }

    /// Keeps a connection for the next call to its destination, unless calls to others wait that have fewer.
    fn put_back(&self, destination: &Destination, connection: Http1) {
        if !self.over_share(destination) {
            destination.put_back(connection);
            self.relieve(destination);
        }
    }
}

/// Closes connections that were idle for too long, and forgets destinations without connections, until none is left.
async fn sweep(pool: Weak<Pool>, idle_timeout: Duration) {
    let interval = (idle_timeout / 4).max(Duration::from_millis(10));
    loop {
        tokio::time::sleep(interval).await;
        let Some(pool) = pool.upgrade() else { return };
        let mut destinations = pool.destinations();
        destinations.retain(|_, destination| {
            if let Some(then) = Instant::now().checked_sub(idle_timeout) {
                destination.close_idle_since(then);
            }
            // While a call or a connection of the destination is under way, somebody else holds it.
            Arc::strong_count(destination) > 1 || destination.idle_since().is_some()
        });
        if destinations.is_empty() {
            return;
        }
    }
}

/// Counts one as long as it lives.
struct Counted<'a>(&'a AtomicUsize);

impl<'a> Counted<'a> {
    fn one_more(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(count)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A connection that one call uses. Dropped without [`Lease::keep`], an HTTP/1.1 connection is closed; an HTTP/2 connection goes on.
pub(crate) struct Lease {
    pool: Arc<Pool>,
    destination: Arc<Destination>,
    held: Option<Held>,
    /// Whether other calls have used the connection: the receiver may have closed it in the meantime.
    pub reused: bool,
}

impl Lease {
    /// Whether requests name their whole URL.
    pub fn is_http2(&self) -> bool {
        matches!(self.held, Some(Held::Http2(_)))
    }

    /// Sends a request and waits for the head of its answer.
    pub async fn send(&mut self, request: Request<Body>) -> Result<Response<Incoming>, Unanswered> {
        match &mut self.held {
            Some(held) => held.send(request).await,
            None => Err(Unanswered { failure: Failure::Broken, unprocessed: true }),
        }
    }

    /// Keeps the connection for the next call, after the answer has been read to its end. Until `deadline` the connection may still
    /// write the rest of a request that the receiver did not wait for.
    pub fn keep(mut self, deadline: Instant) {
        let Some(Held::Http1(mut connection)) = self.held.take_if(|held| matches!(held, Held::Http1(_))) else { return };
        let (pool, destination) = (Arc::clone(&self.pool), Arc::clone(&self.destination));
        if connection.sender.is_ready() {
            return pool.put_back(&destination, connection);
        }
        tokio::spawn(async move {
            if let Ok(Ok(())) = timeout_at(deadline, connection.sender.ready()).await {
                pool.put_back(&destination, connection);
            }
        });
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(Held::Http2(connection)) = &self.held {
            self.destination.stream_ended(connection);
            self.pool.relieve(&self.destination);
        }
    }
}
