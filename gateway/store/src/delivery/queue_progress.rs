//! The statistics of queues: what waits in SQL, and the progress that the consumers report.

use billwire_schemas::{
    clock::Timestamp,
    delivery::{PartitionId, Progress},
    ids::QueueId,
};
use sea_orm::ConnectionTrait;

use crate::{Error, Store, delivery::deliveries::partition, micros, moment};

/// The deliveries that wait in a queue.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Depth {
    /// How many; counted up to [`COUNTED_MAX`].
    pub waiting: u64,
    /// When the oldest of them was created.
    pub oldest: Option<Timestamp>,
}

/// Waiting deliveries are counted up to this number.
pub const COUNTED_MAX: u64 = 100_000;

impl Store {
    /// Stores the progress of a partition.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn save_progress(&self, progress: Progress) -> Result<(), Error> {
        let sql = "INSERT INTO queue_progress (queue_id, partition, pending, delivered, failed, at) VALUES ($1, $2, $3, $4, $5, $6) \
                   ON CONFLICT (queue_id, partition) DO UPDATE SET pending = $3, delivered = $4, failed = $5, at = $6";
        let whole = |number: u64| i64::try_from(number).unwrap_or(i64::MAX).into();
        let values = [
            progress.partition_id.queue.0.into(),
            partition(progress.partition_id.number).into(),
            whole(progress.pending),
            whole(progress.delivered),
            whole(progress.failed),
            micros(progress.at).into(),
        ];
        self.0.write.execute_raw(self.statement(sql, values)).await?;
        Ok(())
    }

    /// The latest progress of each partition of a queue.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn progress(&self, queue: QueueId) -> Result<Vec<Progress>, Error> {
        let sql = "SELECT partition, pending, delivered, failed, at FROM queue_progress WHERE queue_id = $1 ORDER BY partition";
        let rows = self.0.read.query_all_raw(self.statement(sql, [queue.0.into()])).await?;
        rows.iter()
            .map(|row| {
                let whole = |column: &str| -> Result<u64, Error> { Ok(u64::try_from(row.try_get::<i64>("", column)?).unwrap_or(0)) };
                Ok(Progress {
                    partition_id: PartitionId { queue, number: u32::try_from(row.try_get::<i32>("", "partition")?).unwrap_or(0) },
                    pending: whole("pending")?,
                    delivered: whole("delivered")?,
                    failed: whole("failed")?,
                    at: moment(row.try_get("", "at")?),
                })
            })
            .collect()
    }

    /// What waits in a queue, counted in SQL.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn depth(&self, queue: QueueId) -> Result<Depth, Error> {
        let sql = format!(
            "SELECT COUNT(*) AS waiting, MIN(created_at) AS oldest FROM \
             (SELECT created_at FROM delivery WHERE queue_id = $1 AND state = 'waiting' LIMIT {COUNTED_MAX}) AS counted"
        );
        let row = self.0.read.query_one_raw(self.statement(&sql, [queue.0.into()])).await?;
        let Some(row) = row else { return Ok(Depth::default()) };
        let waiting: i64 = row.try_get("", "waiting")?;
        Ok(Depth { waiting: u64::try_from(waiting).unwrap_or(0), oldest: row.try_get::<Option<i64>>("", "oldest")?.map(moment) })
    }

    /// Deletes up to `limit` failed attempts that began before `before`, of events older than that. Gives how many.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn purge_attempts(&self, before: Timestamp, limit: u64) -> Result<u64, Error> {
        // Ids of deliveries begin with the time of their event, so the old ones are a range.
        let milliseconds = u64::try_from(before.timestamp_millis()).unwrap_or(0);
        let bound = uuid::Builder::from_unix_timestamp_millis(milliseconds, &[0; 10]).into_uuid();
        let sql = format!(
            "DELETE FROM attempt WHERE (delivery_id, number) IN \
             (SELECT delivery_id, number FROM attempt WHERE delivery_id < $1 AND at < $2 ORDER BY delivery_id LIMIT {limit})"
        );
        Ok(self.0.write.execute_raw(self.statement(&sql, [bound.into(), micros(before).into()])).await?.rows_affected())
    }
}
