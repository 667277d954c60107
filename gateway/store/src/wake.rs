//! Waking: what a process has committed, others learn of at once, by PostgreSQL's LISTEN and NOTIFY. Whoever waits also polls, so a
//! notification that is lost costs time and nothing else.

use std::{
    sync::{
        Weak,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};

use billwire_schemas::ids::fresh;
use sea_orm::{ConnectionTrait, DatabaseBackend, Statement};
use sqlx::postgres::PgListener;
use tokio::{
    sync::{Notify, watch},
    time::{sleep, timeout},
};
use uuid::Uuid;

use crate::inner::Inner;

/// Events to publish.
pub(crate) const EVENTS: u8 = 1;
/// Changes of configuration.
pub(crate) const CONFIGURATION: u8 = 2;
/// Deliveries that were stored, or became due, other than by the engine.
pub(crate) const DELIVERIES: u8 = 4;

/// The channel of notifications. A payload is the id of the process and what it committed, as a number.
const CHANNEL: &str = "billwire";
/// The wait between two notifications: what is committed meanwhile shares the next one.
const PAUSE: Duration = Duration::from_millis(20);
/// The wait before listening starts again after a failure.
const AGAIN: Duration = Duration::from_secs(1);
/// How often a listener looks whether its store still exists.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// Who waits in this process, and what other processes are still to be notified of.
pub(crate) struct Wake {
    process: Uuid,
    /// Notified when there may be events to publish.
    pub committed: Notify,
    /// Counts changes of configuration.
    pub configured: watch::Sender<u64>,
    /// Counts deliveries stored other than by the engine.
    pub enqueued: watch::Sender<u64>,
    pending: AtomicU8,
    announce: Notify,
}

impl Wake {
    pub fn new() -> Self {
        Self {
            process: fresh(),
            committed: Notify::new(),
            configured: watch::Sender::new(0),
            enqueued: watch::Sender::new(0),
            pending: AtomicU8::new(0),
            announce: Notify::new(),
        }
    }

    /// Wakes who waits for these in this process.
    pub fn here(&self, what: u8) {
        if what & EVENTS != 0 {
            self.committed.notify_one();
        }
        if what & CONFIGURATION != 0 {
            self.configured.send_modify(|changes| *changes += 1);
        }
        if what & DELIVERIES != 0 {
            self.enqueued.send_modify(|changes| *changes += 1);
        }
    }

    /// Wakes who waits for these, in every process.
    pub fn everywhere(&self, what: u8) {
        if what != 0 {
            self.here(what);
            self.pending.fetch_or(what, Ordering::AcqRel);
            self.announce.notify_one();
        }
    }
}

/// Notifies other processes of what this one commits, until its store is gone.
pub(crate) async fn announce(inner: Weak<Inner>) {
    loop {
        let Some(store) = inner.upgrade() else { return };
        let what = store.wake.pending.swap(0, Ordering::AcqRel);
        if what == 0 {
            let _ = timeout(LOOK_EVERY, store.wake.announce.notified()).await;
            continue;
        }
        let values = [CHANNEL.into(), format!("{} {what}", store.wake.process).into()];
        let notify = Statement::from_sql_and_values(DatabaseBackend::Postgres, "SELECT 1 FROM pg_notify($1, $2)", values);
        if let Err(error) = store.write.query_one_raw(notify).await {
            tracing::debug!(%error, "other processes were not notified; they poll");
        }
        drop(store);
        sleep(PAUSE).await;
    }
}

/// Wakes who waits in this process when another one notifies it, until its store is gone.
pub(crate) async fn listen(inner: Weak<Inner>, url: String) {
    while inner.strong_count() > 0 {
        if let Err(error) = listen_once(&inner, &url).await {
            tracing::debug!(%error, "other processes cannot be listened to; this one polls");
            sleep(AGAIN).await;
        }
    }
}

async fn listen_once(inner: &Weak<Inner>, url: &str) -> Result<(), sqlx::Error> {
    let mut listener = PgListener::connect(url).await?;
    listener.listen(CHANNEL).await?;
    if let Some(store) = inner.upgrade() {
        // Whatever happened while nobody listened.
        store.wake.here(EVENTS | CONFIGURATION | DELIVERIES);
    }
    loop {
        let notification = match timeout(LOOK_EVERY, listener.recv()).await {
            Ok(notification) => notification?,
            Err(_) if inner.strong_count() > 0 => continue,
            Err(_) => return Ok(()),
        };
        let Some(store) = inner.upgrade() else { return Ok(()) };
        if let Some((process, what)) = notification.payload().split_once(' ')
            && process != store.wake.process.to_string()
        {
            store.wake.here(what.parse().unwrap_or(EVENTS | CONFIGURATION | DELIVERIES));
        }
    }
}
