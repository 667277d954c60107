//! One attempt to commit a group of operations in one transaction.

use std::{
    collections::HashMap,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use billwire_domain::Rejected;
use billwire_monitoring::metrics::METRICS;
use billwire_schemas::{ids::OrderingKey, refusal::Code};
use sea_orm::{ConnectionTrait, DatabaseTransaction, EntityTrait};
use tokio::time::{Instant, sleep, timeout, timeout_at};
use uuid::Uuid;

use super::job::Job;
use crate::{
    Backend, Error,
    entity::{business_transaction, idempotency as row},
    error::Failure,
    idempotency::{self, Claim, Reply},
    inner::Inner,
    throughput,
    tx::{Loaded, Locked, Tx},
    wake,
    writes::Writes,
};

/// The answers of a group's units, in their order.
pub(super) type Answers = Vec<Result<Reply, Failure>>;

/// Why a group was not committed.
pub(super) enum Failed {
    /// No transaction could be begun: no other could either.
    NotBegun(Error),
    /// Nothing was changed.
    Begun(Error),
    /// The connection was lost in the commit: running the units again is safe only for those with an idempotency key.
    Ended(Error),
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self::Begun(error)
    }
}

/// How long an attempt may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// The wait for an ordering key, if a unit waits alone; otherwise that of a group.
    pub alone: Option<Duration>,
    /// When the attempt is given up, unless it has come to its commit.
    pub until: Instant,
}

/// Runs [`attempt`] in a task of its own, so that a panic in a decision ends this group and not the writer; `None`: it has panicked.
pub(super) async fn guarded(inner: &Arc<Inner>, group: Vec<Job>, limits: Limits) -> Option<(Vec<Job>, Result<Answers, Failed>)> {
    let inner = inner.clone();
    let task = tokio::spawn(async move {
        let result = attempt(&inner, &group, limits).await;
        (group, result)
    });
    match task.await {
        Ok(done) => Some(done),
        Err(panic) => {
            tracing::error!(error = %panic, "a decision panicked; its group was rolled back");
            None
        }
    }
}

/// Decides, writes and commits a group.
async fn attempt(inner: &Inner, group: &[Job], limits: Limits) -> Result<Answers, Failed> {
    let began = Instant::now();
    let connections = if limits.alone.is_some() { &inner.write } else { &inner.group };
    let transaction = match inner.backend {
        Backend::Postgres => inner.begin_on(connections).await,
        // The one connection may be waiting for the lock too, for others.
        Backend::Sqlite => {
            let oldest = group.iter().map(|job| job.arrived.elapsed()).max().unwrap_or_default();
            let left = inner.deadlines.lock.saturating_sub(oldest).max(inner.deadlines.sqlite_lock());
            timeout(left, inner.begin_on(connections)).await.unwrap_or_else(|_| Err(Error::Busy("SQLite is locked".into())))
        }
    };
    let transaction = transaction.map_err(Failed::NotBegun)?;
    let deciding = async {
        if let Some(lock) = limits.alone.filter(|_| inner.backend == Backend::Postgres) {
            transaction.execute_unprepared(&format!("SET LOCAL lock_timeout = {}", lock.as_millis().max(1))).await?;
        }
        let (answers, writes) = decide_all(inner, &transaction, group, inner.deadlines.later_lock_of_group()).await?;
        let (what, first, changes) = (woken_by(&writes), writes.first_transaction(), !writes.is_empty());
        let counted = throughput::committed(&writes);
        if changes {
            writes.flush(&transaction).await?;
        }
        Ok((answers, what, first, changes, counted))
    };
    let decided = timeout_at(limits.until, deciding).await;
    let (answers, what, first, changes, counted) = match decided {
        Ok(Ok(decided)) => decided,
        Ok(Err(error)) => return Err(transaction.abandon(error).await.into()),
        Err(_) => {
            transaction.leave();
            return Err(Error::Busy("the operation took too long".into()).into());
        }
    };
    if !changes {
        transaction.rollback().await?;
        return Ok(answers);
    }
    match timeout(inner.deadlines.operation, transaction.commit()).await {
        Ok(Err(Error::Unknown(detail))) => read_back(inner, first, detail, true).await.map_err(Failed::Ended)?,
        Ok(ended) => ended?,
        Err(_) => {
            inner.distrust();
            read_back(inner, first, "the commit took too long".into(), false).await.map_err(Failed::Ended)?;
        }
    }
    METRICS.commit_group_operations.observe(group.len() as f64);
    METRICS.commit_seconds.observe(began.elapsed().as_secs_f64());
    inner.storage_full.store(false, Ordering::Relaxed);
    inner.throughput.committed(counted);
    inner.wake.everywhere(what);
    Ok(answers)
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
/// may still show what nobody else will ever see. `ended`: the commit is not under way any more.
async fn read_back(inner: &Inner, first: Option<Uuid>, detail: String, ended: bool) -> Result<(), Error> {
    let Some(first) = first else { return Err(Error::Unknown(detail)) };
    let final_now = ended && (inner.backend == Backend::Postgres || overwrite(inner).await.is_ok());
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
    later_lock: Duration,
) -> Result<(Vec<Result<Reply, Failure>>, Writes), Error> {
    let waits = Instant::now();
    let tenants = group.iter().flat_map(|job| std::iter::once(job.unit.tenant().clone()).chain(job.unit.further_tenants())).collect();
    let Locked { sequences, revisions } =
        crate::tx::lock(transaction, group.iter().flat_map(|job| job.lanes.clone()).collect(), &tenants, later_lock).await?;
    METRICS.lock_seconds.observe(waits.elapsed().as_secs_f64());
    let stored = stored_replies(transaction, group.iter()).await?;
    let wanted = group.iter().flat_map(|job| job.unit.prefetch()).collect();
    let loaded = Loaded::fetch(transaction, wanted, revisions).await?;

    let mut all = Writes::default();
    let mut answers = Vec::with_capacity(group.len());
    for job in group {
        if let Some(answer) = replay_of(inner, &stored, job) {
            answers.push(answer);
            continue;
        }
        let before: HashMap<OrderingKey, i64> =
            job.lanes.iter().map(|lane| (lane.1.clone(), sequences.get(lane).copied().unwrap_or(0))).collect();
        let mut tx = Tx::new(transaction, (&inner.sealer, &inner.known), &loaded, job.unit.tenant().clone(), before.clone());
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
    replay_refused(inner, transaction, group, &mut answers).await?;
    Ok((answers, all))
}

/// A unit may be refused because the same request has been done meanwhile, by another process or writer: its external id is taken then, or its
/// object gone. Whoever sees the effect of a commit sees its reply too, so a refused unit with a claim looks again.
async fn replay_refused(
    inner: &Inner,
    transaction: &DatabaseTransaction,
    group: &[Job],
    answers: &mut [Result<Reply, Failure>],
) -> Result<(), Error> {
    if inner.backend == Backend::Sqlite {
        // Nobody else has written since this transaction began.
        return Ok(());
    }
    let refused = group.iter().zip(&*answers).filter(|(_, answer)| answer.is_err()).map(|(job, _)| job);
    let stored = stored_replies(transaction, refused).await?;
    if stored.is_empty() {
        return Ok(());
    }
    for (job, answer) in group.iter().zip(answers).filter(|(_, answer)| answer.is_err()) {
        if let Some(replayed) = replay_of(inner, &stored, job) {
            *answer = replayed;
        }
    }
    Ok(())
}

/// Stored replies, by tenant and idempotency key.
type Stored = HashMap<(String, String), row::Model>;

/// The stored replies to the claims of these jobs.
async fn stored_replies(transaction: &DatabaseTransaction, jobs: impl Iterator<Item = &Job>) -> Result<Stored, Error> {
    let claims = jobs.filter_map(|job| Some((job.unit.tenant(), job.unit.claim()?)));
    let rows = idempotency::find(transaction, claims).await?;
    Ok(rows.into_iter().map(|row| ((row.tenant.clone(), row.key.clone()), row)).collect())
}

/// The stored reply to a job's claim, if there is one.
fn replay_of(inner: &Inner, stored: &Stored, job: &Job) -> Option<Result<Reply, Failure>> {
    let claim = job.unit.claim()?;
    let row = stored.get(&(job.unit.tenant().to_string(), claim.key.clone()))?;
    Some(replay(inner, row, claim))
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
        assert!(read_back(&store.0, Some(id), text(), true).await.is_ok());
        let gone = read_back(&store.0, Some(lost), text(), true).await.expect_err("not there");
        assert!(matches!(gone, Error::Unavailable(_)), "nothing was changed, for certain: {gone}");
        let unknown = read_back(&store.0, None, text(), true).await.expect_err("nothing to look for");
        assert!(matches!(unknown, Error::Unknown(_)), "{unknown}");
        let _ = std::fs::remove_dir_all(folder);
    }
}
