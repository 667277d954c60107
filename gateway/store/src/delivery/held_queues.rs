//! Held queues: those that are paused, and those that were resumed and have not caught up yet.
//!
//! A held queue takes in no events from the stream. Its row has the outbox position from which on it is behind, so what it is behind is read
//! from SQL, however long it was held and whatever became of the stream. When it has caught up, its row is deleted.

use std::collections::HashMap;

use billwire_schemas::{
    clock::Timestamp,
    delivery::Delivery,
    ids::{QueueId, TenantId},
};
use sea_orm::{ConnectionTrait, QueryResult, Value};

use crate::{
    Error, Store, Tx, Unpublished,
    outbox::{self, COLUMNS},
    wake,
};

/// Outbox positions examined in one step.
pub const WINDOW: i64 = 2_000;

/// A queue that is held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldQueue {
    /// The queue.
    pub queue: QueueId,
    /// Its tenant.
    pub tenant: TenantId,
    /// The lowest outbox position of an event that it has not taken in; `i64::MAX`: it is not behind.
    pub position: i64,
}

fn read(row: &QueryResult) -> Result<HeldQueue, Error> {
    let tenant: String = row.try_get("", "tenant")?;
    Ok(HeldQueue {
        queue: QueueId(row.try_get("", "queue_id")?),
        tenant: tenant.parse().map_err(|_| Error::Corrupt { table: "held_queue", detail: tenant })?,
        position: row.try_get("", "position")?,
    })
}

impl Tx<'_> {
    /// Holds a queue from now on.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn hold_queue(&mut self, queue: QueueId) -> Result<(), Error> {
        let sql = "INSERT INTO held_queue (queue_id, tenant, position) VALUES ($1, $2, $3) \
                   ON CONFLICT (queue_id) DO UPDATE SET position = held_queue.position RETURNING queue_id";
        let values = vec![queue.0.into(), self.tenant().as_str().into(), i64::MAX.into()];
        self.write(sql, values).await.map(drop)
    }
}

impl Store {
    /// All held queues.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn held_queues(&self) -> Result<Vec<HeldQueue>, Error> {
        let sql = "SELECT queue_id, tenant, position FROM held_queue ORDER BY queue_id";
        self.0.read.query_all_raw(self.statement(sql, [])).await?.iter().map(read).collect()
    }

    /// Holds queues that are behind from these positions on.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn hold_queues(&self, held: &[HeldQueue]) -> Result<(), Error> {
        let transaction = self.begin().await?;
        for one in held {
            let sql = "INSERT INTO held_queue (queue_id, tenant, position) VALUES ($1, $2, $3) ON CONFLICT (queue_id) DO UPDATE \
                       SET position = CASE WHEN excluded.position < held_queue.position THEN excluded.position ELSE held_queue.position END";
            let values = [one.queue.0.into(), one.tenant.as_str().into(), one.position.into()];
            transaction.execute_raw(self.statement(sql, values)).await?;
        }
        transaction.commit().await
    }

    /// Records that held queues are behind from these positions on. `false`: one of them is not held any more, and nothing was recorded.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn hold_back(&self, from: impl IntoIterator<Item = (QueueId, i64)>) -> Result<bool, Error> {
        let held: HashMap<QueueId, i64> = self.held_queues().await?.into_iter().map(|one| (one.queue, one.position)).collect();
        let mut lower = Vec::new();
        for (queue, position) in from {
            match held.get(&queue) {
                None => return Ok(false),
                // Nothing to record: whoever moves that position on stores the deliveries of this event first, since it is committed.
                Some(known) if *known <= position => {}
                Some(_) => lower.push((queue, position)),
            }
        }
        if lower.is_empty() {
            return Ok(true);
        }
        // In one order, so that two slots do not wait for each other.
        lower.sort_unstable_by_key(|(queue, _)| queue.0);
        let transaction = self.begin().await?;
        for (queue, position) in lower {
            let sql = "UPDATE held_queue SET position = CASE WHEN position < $2 THEN position ELSE $2 END WHERE queue_id = $1";
            let held = transaction.execute_raw(self.statement(sql, [queue.0.into(), position.into()])).await?.rows_affected();
            if held == 0 {
                transaction.rollback().await?;
                return Ok(false);
            }
        }
        transaction.commit().await?;
        Ok(true)
    }

    /// An outbox position up to which every event that will ever be there is there: no transaction that has drawn a lower position is still
    /// running.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn settled_position(&self) -> Result<i64, Error> {
        let transaction = self.begin().await?;
        let settled = outbox::settle(&transaction).await?;
        transaction.commit().await?;
        Ok(settled)
    }

    /// The events of a tenant with positions from `from` up to but without `to`, in order; without those that are set aside.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn events_from(&self, tenant: &TenantId, from: i64, to: i64) -> Result<Vec<Unpublished>, Error> {
        self.events_within(&self.0.read, tenant, from, to).await
    }

    async fn events_within(&self, conn: &impl ConnectionTrait, tenant: &TenantId, from: i64, to: i64) -> Result<Vec<Unpublished>, Error> {
        let sql = format!(
            "SELECT {COLUMNS} FROM event e WHERE e.position >= $1 AND e.position < $2 AND e.tenant = $3 \
             AND NOT EXISTS (SELECT 1 FROM set_aside_event s WHERE s.position = e.position) ORDER BY e.position"
        );
        let values: [Value; 3] = [from.into(), to.into(), tenant.as_str().into()];
        conn.query_all_raw(self.statement(&sql, values)).await?.iter().map(outbox::read).collect()
    }

    /// Stores deliveries of a held queue, and that it is behind only from position `to` on. `false`: it has fallen behind further meanwhile, or is
    /// not held any more, and nothing was stored.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn advance_held_queue(
        &self,
        held: &HeldQueue,
        to: i64,
        deliveries: Vec<Delivery>,
        in_order: bool,
        now: Timestamp,
    ) -> Result<bool, Error> {
        let transaction = self.begin().await?;
        let sql = "UPDATE held_queue SET position = $3 WHERE queue_id = $1 AND position = $2";
        let values = [held.queue.0.into(), held.position.into(), to.into()];
        if transaction.execute_raw(self.statement(sql, values)).await?.rows_affected() == 0 {
            transaction.rollback().await?;
            return Ok(false);
        }
        self.enqueue_within(&transaction, deliveries, in_order, now).await?;
        transaction.commit().await?;
        self.report_enqueued();
        Ok(true)
    }

    /// Ends the holding of a queue that is behind by few events only: stores the deliveries that `deliveries_of` gives for the rest of them, while
    /// no other events are recorded. `false`: it is behind by more, or has fallen behind further meanwhile, and nothing was changed.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn release_queue(
        &self,
        held: &HeldQueue,
        deliveries_of: impl FnOnce(Vec<Unpublished>) -> Vec<Delivery>,
        in_order: bool,
        now: Timestamp,
    ) -> Result<bool, Error> {
        let transaction = self.begin().await?;
        let sql = "DELETE FROM held_queue WHERE queue_id = $1 AND position = $2";
        // Before `settle`: a unit that holds the row has not recorded its events yet.
        let deleted = transaction.execute_raw(self.statement(sql, [held.queue.0.into(), held.position.into()])).await?.rows_affected();
        if deleted == 0 || outbox::settle(&transaction).await?.saturating_sub(held.position) > WINDOW {
            transaction.rollback().await?;
            return Ok(false);
        }
        let events = self.events_within(&*transaction, &held.tenant, held.position, i64::MAX).await?;
        self.enqueue_within(&transaction, deliveries_of(events), in_order, now).await?;
        transaction.commit().await?;
        self.0.wake.everywhere(wake::CONFIGURATION | wake::DELIVERIES);
        Ok(true)
    }

    /// Forgets that a queue is held: it was deleted.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn forget_held_queue(&self, queue: QueueId) -> Result<(), Error> {
        self.0.write.execute_raw(self.statement("DELETE FROM held_queue WHERE queue_id = $1", [queue.0.into()])).await?;
        Ok(())
    }

    /// How many events of a tenant there are from a position on, counted up to `limit`.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn count_events_from(&self, tenant: &TenantId, position: i64, limit: u64) -> Result<u64, Error> {
        let sql = format!("SELECT COUNT(*) AS n FROM (SELECT 1 FROM event WHERE position >= $1 AND tenant = $2 LIMIT {limit}) AS counted");
        let row = self.0.read.query_one_raw(self.statement(&sql, [position.into(), tenant.as_str().into()])).await?;
        let n: i64 = row.map(|row| row.try_get("", "n")).transpose()?.unwrap_or(0);
        Ok(u64::try_from(n).unwrap_or(0))
    }
}
