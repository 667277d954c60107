//! Operations whose ordering key somebody else has locked: each waits alone, on a connection besides those of group commit, so that it
//! delays no other.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::{
    sync::Semaphore,
    time::{Instant, timeout},
};

use super::{
    group::{Failed, Limits, guarded},
    job::{Job, Lane},
};
use crate::{Error, inner::Inner};

/// The operations that wait for locks.
pub(super) struct Patience {
    /// One for each connection that may wait.
    permits: Semaphore,
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    started: u64,
    /// Which queue the next operation with an ordering key joins.
    queue_of: HashMap<Lane, u64>,
    queues: HashMap<u64, VecDeque<Job>>,
}

impl Patience {
    /// Up to `connections` operations wait at the same time.
    pub fn new(connections: usize) -> Arc<Self> {
        Arc::new(Self { permits: Semaphore::new(connections), waiting: Mutex::default() })
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues a job behind another one with one of its ordering keys; gives it back if there is none.
    pub fn join(&self, job: Job) -> Option<Job> {
        let mut waiting = self.waiting();
        let Some(queue) = job.lanes.iter().find_map(|lane| waiting.queue_of.get(lane).copied()) else { return Some(job) };
        waiting.add(queue, job);
        None
    }

    /// Runs a job as soon as its ordering keys are free, and then those that have joined it.
    pub fn start(self: &Arc<Self>, inner: Arc<Inner>, job: Job) {
        let queue = {
            let mut waiting = self.waiting();
            waiting.started += 1;
            let queue = waiting.started;
            waiting.add(queue, job);
            queue
        };
        let patience = self.clone();
        tokio::spawn(async move {
            while let Some(job) = patience.next(queue) {
                patience.run(&inner, job).await;
            }
        });
    }

    /// The next job of a queue. The last one ends the queue.
    fn next(&self, queue: u64) -> Option<Job> {
        let mut waiting = self.waiting();
        let next = waiting.queues.get_mut(&queue).and_then(VecDeque::pop_front);
        if next.is_none() {
            waiting.queues.remove(&queue);
            waiting.queue_of.retain(|_, of| *of != queue);
        }
        next
    }

    /// Runs a job within what is left of its wait for locks, and answers.
    async fn run(&self, inner: &Arc<Inner>, mut job: Job) {
        let mut error = Error::Busy("an ordering key is locked".into());
        let left = |job: &Job| inner.deadlines.lock.saturating_sub(job.arrived.elapsed());
        let Ok(Ok(_permit)) = timeout(left(&job), self.permits.acquire()).await else { return job.fail(&Arc::new(error)) };
        while !left(&job).is_zero() {
            let limits = Limits { alone: Some(left(&job)), until: Instant::now() + inner.deadlines.operation / 2 };
            let Some((mut jobs, result)) = guarded(inner, vec![job], limits).await else { return };
            let Some(returned) = jobs.pop() else { return };
            job = returned;
            match result {
                Ok(mut answers) => {
                    if let Some(answer) = answers.pop() {
                        job.answer(answer);
                    }
                    return;
                }
                Err(Failed::Begun(again @ Error::Contention(_))) => error = again,
                Err(Failed::Begun(last) | Failed::NotBegun(last) | Failed::Ended(last)) => {
                    error = last;
                    break;
                }
            }
        }
        tracing::warn!(%error, "an operation could not be committed");
        job.fail(&Arc::new(error));
    }
}

impl Waiting {
    fn add(&mut self, queue: u64, job: Job) {
        for lane in &job.lanes {
            self.queue_of.entry(lane.clone()).or_insert(queue);
        }
        self.queues.entry(queue).or_default().push_back(job);
    }
}
