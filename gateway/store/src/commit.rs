//! Group commit: operations with different ordering keys share one transaction.
//!
//! A handler submits a [`Unit`] and waits; a writer task takes all queued units, locks their ordering keys, has each of them
//! decide, writes everything at once and commits. Because the writer task owns the transaction, a client that disconnects
//! cannot interrupt it; because a unit's writes are collected in memory until it has decided, a refusal writes nothing
//! and needs no savepoint. When the shared transaction fails because of a unit, each of its units is run again on its own, so that one
//! cannot fail the others. When it fails because of the database, all units fail at once: each alone would fail likewise.

mod group;
pub(crate) mod job;
mod patience;
mod waiting;

use std::{
    collections::HashSet,
    sync::{Arc, Weak, atomic::Ordering},
};

use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};

use self::{
    group::{Failed, Limits, guarded},
    job::{Job, Lane},
    patience::Patience,
    waiting::Waiting,
};
use crate::{
    Error, Store,
    idempotency::Reply,
    inner::{Backend, Inner},
};

pub use self::job::Unit;
pub use crate::{error::Failure, tx::Prefetch};

/// Starts `count` writer tasks; returns their queues. `connections` is how many there are besides those of the writer tasks.
pub(crate) fn start(inner: &Weak<Inner>, count: usize, connections: usize, backlog_max: usize, group_max: usize) -> Vec<mpsc::Sender<Job>> {
    // Half of the connections at most wait for locks.
    let patience = Patience::new((connections / 2).max(1));
    let queues = (0..count).map(|_| {
        let (sender, jobs) = mpsc::channel(backlog_max / count);
        tokio::spawn(write(inner.clone(), jobs, (backlog_max / count, group_max), patience.clone()));
        sender
    });
    queues.collect()
}

impl Store {
    /// Commits one operation, together with others that are queued.
    ///
    /// # Errors
    /// The unit's refusal, or the database's failure; then nothing was changed.
    pub async fn commit(&self, unit: Arc<dyn Unit>) -> Result<Reply, Failure> {
        if self.is_restored() {
            return Err(Error::Restored.into());
        }
        let queues = &self.0.writers;
        let mut lanes: Vec<Lane> = unit.keys().into_iter().map(|key| (unit.tenant().clone(), key)).collect();
        let queue = lanes.first().map_or(0, |(_, key)| key.part(u32::try_from(queues.len()).unwrap_or(1))) as usize;
        // PostgreSQL locks no row twice in one statement.
        lanes.sort();
        lanes.dedup();
        let (answer, reply) = oneshot::channel();
        let job = Job { unit, lanes, arrived: Instant::now(), answer };
        queues[queue].try_send(job).map_err(|_| Failure::Overloaded)?;
        reply.await.unwrap_or_else(|_| Err(Error::Unavailable("the writer stopped".into()).into()))
    }
}

/// The writer task: forms groups of queued jobs with distinct ordering keys.
async fn write(inner: Weak<Inner>, mut jobs: mpsc::Receiver<Job>, (backlog_max, group_max): (usize, usize), patience: Arc<Patience>) {
    let mut waiting = Waiting::new(backlog_max);
    let add = |waiting: &mut Waiting, job| {
        if let Err(job) = waiting.push(job) {
            job.answer(Err(Failure::Overloaded));
        }
    };
    loop {
        if waiting.is_empty() {
            let Some(job) = jobs.recv().await else { return };
            add(&mut waiting, job);
        }
        while waiting.has_room()
            && let Ok(job) = jobs.try_recv()
        {
            add(&mut waiting, job);
        }
        let Some(inner) = inner.upgrade() else { return };
        let group = next_group(&inner, &mut waiting, group_max, &patience);
        if group.is_empty() {
            continue;
        }
        if let Some(error) = settle(inner, group, &patience).await {
            // The database cannot be reached: whoever waits until now is answered now.
            waiting.take(usize::MAX).into_iter().for_each(|job| job.fail(&error));
            while let Ok(job) = jobs.try_recv() {
                job.fail(&error);
            }
        }
    }
}

/// Takes the next jobs with distinct ordering keys, those of the tenants in turn. A job that has waited too long is answered, and one whose
/// ordering key is locked waits elsewhere.
fn next_group(inner: &Arc<Inner>, waiting: &mut Waiting, group_max: usize, patience: &Arc<Patience>) -> Vec<Job> {
    let (mut taken, mut group, mut later) = (HashSet::new(), Vec::new(), Vec::new());
    for job in waiting.take(group_max * 2) {
        if job.is_older_than(inner.deadlines.operation / 2) {
            job.fail(&Arc::new(Error::Busy("the operation waited too long to be run".into())));
            continue;
        }
        let Some(job) = patience.join(job) else { continue };
        let free = taken.len() < group_max && job.lanes.iter().all(|lane| !taken.contains(lane));
        // Later jobs with one of its keys must not overtake it.
        taken.extend(job.lanes.iter().cloned());
        if free { group.push(job) } else { later.push(job) }
    }
    waiting.put_back(later);
    group
}

/// Commits a group, or each of its units alone if one of them fails it, and answers. Returns the error if the database cannot be reached.
async fn settle(inner: Arc<Inner>, mut group: Vec<Job>, patience: &Arc<Patience>) -> Option<Arc<Error>> {
    let limits = Limits { alone: None, until: Instant::now() + inner.deadlines.operation / 2 };
    let mut repeated = false;
    loop {
        let (mut jobs, result) = guarded(&inner, group, limits).await?;
        match result {
            Ok(answers) => {
                jobs.into_iter().zip(answers).for_each(|(job, answer)| job.answer(answer));
                return None;
            }
            // Another process has locked SQLite.
            Err(Failed::NotBegun(Error::Busy(detail))) => {
                let late = jobs.extract_if(.., |job| job.is_older_than(inner.deadlines.lock)).collect();
                fail_all(late, Error::Busy(detail));
                if jobs.is_empty() {
                    return None;
                }
            }
            Err(Failed::NotBegun(error)) => return Some(fail_all(jobs, error)),
            // The connection was lost before the commit, so nothing was changed.
            Err(Failed::Begun(Error::Unavailable(_))) if !repeated => {
                repeated = true;
            }
            Err(Failed::Begun(Error::Busy(_) | Error::Contention(_) | Error::Other(_) | Error::Corrupt { .. })) if jobs.len() > 1 => {
                return each_alone(&inner, jobs, limits, patience).await;
            }
            Err(Failed::Ended(error)) => {
                fail_all(jobs, error);
                return None;
            }
            Err(Failed::Begun(error)) if jobs.len() > 1 => {
                note_storage(&inner, &error);
                fail_all(jobs, error);
                return None;
            }
            Err(Failed::Begun(error)) => return alone(&inner, jobs.pop()?, error, limits, patience).await,
        }
        group = jobs;
    }
}

/// Runs the jobs one after another. Returns the error if the database cannot be reached.
async fn each_alone(inner: &Arc<Inner>, jobs: Vec<Job>, limits: Limits, patience: &Arc<Patience>) -> Option<Arc<Error>> {
    let mut jobs = jobs.into_iter();
    while let Some(job) = jobs.next() {
        let result = match guarded(inner, vec![job], limits).await {
            Some((mut jobs, result)) => jobs.pop().map(|job| (job, result)),
            // It has panicked.
            None => continue,
        };
        let away = match result {
            Some((job, Ok(mut answers))) => {
                if let Some(answer) = answers.pop() {
                    job.answer(answer);
                }
                None
            }
            Some((job, Err(Failed::NotBegun(error)))) => Some(fail_all(vec![job], error)),
            Some((job, Err(Failed::Begun(error) | Failed::Ended(error)))) => alone(inner, job, error, limits, patience).await,
            None => None,
        };
        if let Some(error) = away {
            jobs.for_each(|job| job.fail(&error));
            return Some(error);
        }
        if Instant::now() >= limits.until {
            fail_all(jobs.collect(), Error::Busy("the operations before it took too long".into()));
            return None;
        }
    }
    None
}

/// How often a unit that met a concurrent change is run again.
const CONTENTION_RETRIES: usize = 5;

/// Goes on with a job that has failed alone with `error`. Returns the error if the database cannot be reached.
async fn alone(inner: &Arc<Inner>, mut job: Job, mut error: Error, limits: Limits, patience: &Arc<Patience>) -> Option<Arc<Error>> {
    for _ in 0..CONTENTION_RETRIES {
        if !matches!(error, Error::Contention(_)) || Instant::now() >= limits.until {
            break;
        }
        let (mut jobs, result) = guarded(inner, vec![job], limits).await?;
        job = jobs.pop()?;
        match result {
            Ok(mut answers) => {
                job.answer(answers.pop()?);
                return None;
            }
            Err(Failed::NotBegun(failed) | Failed::Begun(failed) | Failed::Ended(failed)) => error = failed,
        }
    }
    if matches!(error, Error::Busy(_)) && inner.backend == Backend::Postgres {
        patience.start(inner.clone(), job);
        return None;
    }
    note_storage(inner, &error);
    let away = matches!(error, Error::Unavailable(_));
    let error = fail_all(vec![job], error);
    away.then_some(error)
}

/// Answers all jobs with the same error.
fn fail_all(jobs: Vec<Job>, error: Error) -> Arc<Error> {
    if !jobs.is_empty() {
        tracing::warn!(%error, operations = jobs.len(), "operations could not be committed");
    }
    let error = Arc::new(error);
    jobs.into_iter().for_each(|job| job.fail(&error));
    error
}

fn note_storage(inner: &Inner, error: &Error) {
    if matches!(error, Error::StorageFull(_)) {
        inner.storage_full.store(true, Ordering::Relaxed);
    }
}
