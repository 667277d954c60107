//! Group commit: operations with different ordering keys share one transaction.
//!
//! A handler submits a [`Unit`] and waits; a writer task takes all queued units, locks their ordering keys, has each of them
//! decide, writes everything at once and commits. Because the writer task owns the transaction, a client that disconnects
//! cannot interrupt it; because a unit's writes are collected in memory until it has decided, a refusal writes nothing
//! and needs no savepoint. When the shared transaction fails, each of its units is run again on its own, so that one
//! cannot fail the others.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::{Arc, Weak},
    time::Duration,
};

use async_trait::async_trait;

use billwire_domain::Rejected;
use billwire_schemas::ids::{OrderingKey, TenantId};
use billwire_schemas::refusal::Code;
use sea_orm::{ConnectionTrait, DatabaseTransaction, EntityTrait};
use tokio::{
    sync::{mpsc, oneshot},
    time::sleep,
};
use uuid::Uuid;

use crate::{
    Backend, Error, Options, Store,
    connect::Inner,
    entity::{business_transaction, idempotency as row},
    idempotency::{self, Claim, Reply},
    tx::{Loaded, Tx},
    wake,
    writes::Writes,
};

pub use crate::{error::Failure, tx::Prefetch};

/// One operation to commit.
#[async_trait]
pub trait Unit: Send + Sync + 'static {
    /// The tenant whose data it changes.
    fn tenant(&self) -> &TenantId;
    /// The ordering keys of its events, all locked before [`Unit::decide`] runs. Never empty.
    fn keys(&self) -> Vec<OrderingKey>;
    /// The idempotency key it came with.
    fn claim(&self) -> Option<&Claim>;
    /// The objects it will certainly load: read for the whole group at once.
    fn prefetch(&self) -> Vec<Prefetch> {
        Vec::new()
    }
    /// Loads, decides, collects writes. May run again after a failed commit, so it changes nothing but `tx`.
    async fn decide(&self, tx: &mut Tx<'_>) -> Result<Reply, Failure>;
}

pub(crate) struct Job {
    pub unit: Arc<dyn Unit>,
    answer: oneshot::Sender<Result<Reply, Failure>>,
}

/// The queues of the writer tasks.
pub(crate) struct Writers(Vec<mpsc::Sender<Job>>);

impl Writers {
    pub fn start(inner: Weak<Inner>, backend: Backend, options: &Options) -> Self {
        let count = if backend == Backend::Sqlite { 1 } else { options.writers.max(1) };
        let lines = (0..count).map(|_| {
            let (sender, jobs) = mpsc::channel(options.backlog_max / count);
            tokio::spawn(write(inner.clone(), jobs, options.group_max));
            sender
        });
        Self(lines.collect())
    }
}

impl Store {
    /// Commits one operation, together with others that are queued.
    ///
    /// # Errors
    /// The unit's refusal, or the database's failure; then nothing was changed.
    pub async fn commit(&self, unit: Arc<dyn Unit>) -> Result<Reply, Failure> {
        let lines = &self.0.writers.0;
        let line = unit.keys().first().map_or(0, |key| key.part(u32::try_from(lines.len()).unwrap_or(1))) as usize;
        let (answer, reply) = oneshot::channel();
        lines[line].try_send(Job { unit, answer }).map_err(|_| Failure::Overloaded)?;
        reply.await.unwrap_or_else(|_| Err(Error::Unavailable("the writer stopped".into()).into()))
    }
}

/// The ordering keys of a job.
fn lanes(job: &Job) -> Vec<(TenantId, OrderingKey)> {
    job.unit.keys().into_iter().map(|key| (job.unit.tenant().clone(), key)).collect()
}

/// The writer task: forms groups of queued jobs with distinct ordering keys.
async fn write(inner: Weak<Inner>, mut jobs: mpsc::Receiver<Job>, group_max: usize) {
    let mut held: VecDeque<Job> = VecDeque::new();
    loop {
        if held.is_empty() {
            let Some(job) = jobs.recv().await else { return };
            held.push_back(job);
        }
        while held.len() < group_max * 2
            && let Ok(job) = jobs.try_recv()
        {
            held.push_back(job);
        }
        let mut taken = HashSet::new();
        let mut group = Vec::new();
        let mut later = VecDeque::new();
        for job in held.drain(..) {
            let lanes = lanes(&job);
            if taken.len() < group_max && lanes.iter().all(|lane| !taken.contains(lane)) {
                taken.extend(lanes);
                group.push(job);
            } else {
                // Later jobs with one of its keys must not overtake it.
                taken.extend(lanes);
                later.push_back(job);
            }
        }
        held = later;
        let Some(inner) = inner.upgrade() else { return };
        settle(inner, group).await;
    }
}

/// Commits a group, or each of its units alone if that fails, and answers.
async fn settle(inner: Arc<Inner>, group: Vec<Job>) {
    // A task of its own, so that a panic in a decision ends this group and not the writer.
    let task = {
        let inner = inner.clone();
        tokio::spawn(async move {
            let result = attempt(&inner, &group).await;
            (group, result)
        })
    };
    let (group, result) = match task.await {
        Ok(done) => done,
        Err(panic) => return tracing::error!(error = %panic, "a decision panicked; its group was rolled back"),
    };
    match result {
        Ok(answers) => answer(group, answers),
        // Whether it was committed is unknown, or each unit alone would fail likewise: a full disk has no room for any of them.
        Err(error @ (Error::Unknown(_) | Error::StorageFull(_))) => {
            tracing::warn!(%error, operations = group.len(), "a group of operations could not be committed");
            let error = Arc::new(error);
            let answers = group.iter().map(|_| Err(Failure::Store(error.clone()))).collect();
            answer(group, answers);
        }
        Err(_) if group.len() > 1 => {
            for job in group {
                Box::pin(settle(inner.clone(), vec![job])).await;
            }
        }
        Err(error) => retry_alone(&inner, group, error).await,
    }
}

/// How often a unit that met a concurrent change is run again.
const CONTENTION_RETRIES: usize = 5;

async fn retry_alone(inner: &Inner, group: Vec<Job>, mut error: Error) {
    for _ in 0..CONTENTION_RETRIES {
        if !matches!(error, Error::Contention(_)) {
            break;
        }
        match attempt(inner, &group).await {
            Ok(answers) => return answer(group, answers),
            Err(again) => error = again,
        }
    }
    tracing::warn!(%error, "an operation could not be committed");
    let error = Arc::new(error);
    answer(group, vec![Err(Failure::Store(error))]);
}

fn answer(group: Vec<Job>, answers: Vec<Result<Reply, Failure>>) {
    for (job, answer) in group.into_iter().zip(answers) {
        // The client may have disconnected; what was committed stays committed.
        let _ = job.answer.send(answer);
    }
}

async fn attempt(inner: &Inner, group: &[Job]) -> Result<Vec<Result<Reply, Failure>>, Error> {
    let transaction = inner.begin().await?;
    match decide_all(inner, &transaction, group).await {
        Ok((answers, writes)) if writes.is_empty() => {
            transaction.rollback().await?;
            Ok(answers)
        }
        Ok((answers, writes)) => {
            let (what, first) = (woken_by(&writes), writes.first_transaction());
            if let Err(error) = writes.flush(&transaction).await {
                return Err(transaction.abandon(error).await);
            }
            match transaction.commit().await {
                Err(Error::Unknown(detail)) => read_back(inner, first, detail).await?,
                ended => ended?,
            }
            inner.wake.everywhere(what);
            Ok(answers)
        }
        Err(error) => Err(transaction.abandon(error).await),
    }
}

/// What others wait for among these writes.
fn woken_by(writes: &Writes) -> u8 {
    let of = |is: bool, what: u8| if is { what } else { 0 };
    of(writes.has_events(), wake::EVENTS) | of(writes.has_configuration(), wake::CONFIGURATION) | of(writes.at_once, wake::DELIVERIES)
}

/// How often a commit whose answer was lost is looked up, and the wait between two look-ups.
const READ_BACK: (usize, Duration) = (10, Duration::from_millis(100));

/// A commit that answered with an error may have succeeded all the same: the connection broke after it. Running its units again
/// would then do them twice, so the group's first business transaction is looked up: on another connection, since the failed one
/// may still show what nobody else will ever see.
async fn read_back(inner: &Inner, first: Option<Uuid>, detail: String) -> Result<(), Error> {
    let Some(first) = first else { return Err(Error::Unknown(detail)) };
    let final_now = inner.backend == Backend::Postgres || overwrite(inner).await.is_ok();
    let mut answered = false;
    for _ in 0..READ_BACK.0 {
        sleep(READ_BACK.1).await;
        match business_transaction::Entity::find_by_id(first).one(&inner.read).await {
            Ok(Some(_)) => return Ok(()),
            Ok(None) => answered = true,
            Err(_) => {}
        }
    }
    if answered && final_now { Err(Error::Unavailable(detail)) } else { Err(Error::Unknown(detail)) }
}

/// Overwrites what a failed commit left at the end of SQLite's log: nobody sees it now, but a recovery would treat it as committed.
async fn overwrite(inner: &Inner) -> Result<(), Error> {
    let transaction = inner.begin().await?;
    // A number that nobody uses; setting it writes a page even if it does not change.
    transaction.execute_unprepared("PRAGMA user_version = 0").await?;
    transaction.commit().await
}

async fn decide_all(
    inner: &Inner,
    transaction: &DatabaseTransaction,
    group: &[Job],
) -> Result<(Vec<Result<Reply, Failure>>, Writes), Error> {
    let sequences = crate::tx::lock(transaction, inner.dialect(), group.iter().flat_map(lanes).collect()).await?;
    let stored: HashMap<(String, String), row::Model> =
        idempotency::find(transaction, group.iter().filter_map(|job| Some((job.unit.tenant(), job.unit.claim()?))))
            .await?
            .into_iter()
            .map(|r| ((r.tenant.clone(), r.key.clone()), r))
            .collect();
    let wanted = group.iter().flat_map(|job| job.unit.prefetch()).collect();
    let loaded = Loaded::fetch(transaction, wanted).await?;

    let mut all = Writes::default();
    let mut answers = Vec::with_capacity(group.len());
    for job in group {
        if let Some(claim) = job.unit.claim()
            && let Some(row) = stored.get(&(job.unit.tenant().to_string(), claim.key.clone()))
        {
            answers.push(replay(inner, row, claim));
            continue;
        }
        let before: HashMap<OrderingKey, i64> =
            lanes(job).into_iter().map(|lane| (lane.1.clone(), sequences.get(&lane).copied().unwrap_or(0))).collect();
        let mut tx = Tx::new(transaction, &inner.sealer, &loaded, job.unit.tenant().clone(), before.clone());
        match job.unit.decide(&mut tx).await {
            Ok(reply) => {
                if let Some(claim) = job.unit.claim() {
                    tx.remember(claim, &reply)?;
                }
                all.merge(tx.into_writes(&before));
                answers.push(Ok(reply));
            }
            // A failure of the database fails the whole group; a refusal only the unit.
            Err(Failure::Store(error)) => return Err(Arc::into_inner(error).unwrap_or_else(|| Error::Unavailable("a load failed".into()))),
            Err(refusal) => answers.push(Err(refusal)),
        }
    }
    Ok((answers, all))
}

fn replay(inner: &Inner, row: &row::Model, claim: &Claim) -> Result<Reply, Failure> {
    if row.fingerprint != claim.fingerprint {
        let message = "This Idempotency-Key was used with another request; use a new key for a new request.";
        return Err(Rejected::violation("", Code::IdempotencyKeyReused, message).into());
    }
    let body = if row.sealed { inner.sealer.open(&row.body, &crate::tx::reply_aad(&row.tenant, &row.key))? } else { row.body.clone() };
    Ok(Reply { status: u16::try_from(row.status).unwrap_or(200), body, entity: None, secret: row.sealed, replayed: true })
}

#[cfg(test)]
mod tests {
    use billwire_schemas::ids::fresh;
    use sea_orm::IntoActiveModel;

    use super::*;
    use crate::transaction::tests::store;

    #[tokio::test]
    async fn a_commit_in_doubt_is_told_by_what_stands() {
        let (store, folder) = store().await;
        let text = || "x".to_owned();
        let (id, lost) = (fresh(), fresh());
        let standing = business_transaction::Model {
            id,
            tenant: text(),
            operation: text(),
            account_id: None,
            occurred_at: 0,
            object_id: None,
            body: text(),
        };
        business_transaction::Entity::insert(standing.into_active_model()).exec(&store.0.write).await.expect("a row");
        assert!(read_back(&store.0, Some(id), text()).await.is_ok());
        let gone = read_back(&store.0, Some(lost), text()).await.expect_err("not there");
        assert!(matches!(gone, Error::Unavailable(_)), "nothing was changed, for certain: {gone}");
        let unknown = read_back(&store.0, None, text()).await.expect_err("nothing to look for");
        assert!(matches!(unknown, Error::Unknown(_)), "{unknown}");
        let _ = std::fs::remove_dir_all(folder);
    }
}
