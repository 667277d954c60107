//! The statistics of queues: what waits in SQL, and the progress that the consumers report.

use billwire_schemas::{
    clock::Timestamp,
    delivery::Progress,
    ids::{QueueId, Slot},
};
use sea_orm::{ConnectionTrait, QueryResult, Value};

use crate::{Error, Store, delivery::deliveries::slot, micros, moment};

/// The deliveries that wait in a queue.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Depth {
    /// How many; counted up to [`COUNTED_MAX`].
    pub waiting: u64,
    /// When the oldest of them was created.
    pub oldest: Option<Timestamp>,
}

/// Rows written by one statement.
const PROGRESS_AT_ONCE: usize = 256;

/// Waiting deliveries are counted up to this number.
pub const COUNTED_MAX: u64 = 100_000;

impl Store {
    /// Stores the progress of queues.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn save_progress(&self, progress: &[Progress]) -> Result<(), Error> {
        const COLUMNS: usize = 6;
        let whole = |number: u64| Value::from(i64::try_from(number).unwrap_or(i64::MAX));
        for some in progress.chunks(PROGRESS_AT_ONCE) {
            let marks: Vec<String> = (0..some.len())
                .map(|row| (1..=COLUMNS).map(|column| format!("${}", row * COLUMNS + column)).collect::<Vec<_>>().join(", "))
                .collect();
            let sql = format!(
                "INSERT INTO queue_progress (queue_id, slot, pending, delivered, failed, at) VALUES ({}) ON CONFLICT (queue_id, slot) \
                 DO UPDATE SET pending = excluded.pending, delivered = excluded.delivered, failed = excluded.failed, at = excluded.at",
                marks.join("), (")
            );
            let values = some.iter().flat_map(|one| {
                let (queue, at) = (one.queue.0.into(), micros(one.at).into());
                [queue, slot(one.slot).into(), whole(one.pending), whole(one.delivered), whole(one.failed), at]
            });
            self.0.write.execute_raw(self.statement(&sql, values)).await?;
        }
        Ok(())
    }

    /// The latest progress of a queue in each slot.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn progress(&self, queue: QueueId) -> Result<Vec<Progress>, Error> {
        let sql = "SELECT slot, pending, delivered, failed, at FROM queue_progress WHERE queue_id = $1 ORDER BY slot";
        let rows = self.0.read.query_all_raw(self.statement(sql, [queue.0.into()])).await?;
        let read = |row: &QueryResult| -> Result<Option<Progress>, Error> {
            let whole = |column: &str| -> Result<u64, Error> { Ok(u64::try_from(row.try_get::<i64>("", column)?).unwrap_or(0)) };
            let number: i32 = row.try_get("", "slot")?;
            let Some(slot) = Slot::all().find(|one| slot(*one) == number) else { return Ok(None) };
            let (pending, delivered, failed) = (whole("pending")?, whole("delivered")?, whole("failed")?);
            Ok(Some(Progress { queue, slot, pending, delivered, failed, at: moment(row.try_get("", "at")?) }))
        };
        rows.iter().filter_map(|row| read(row).transpose()).collect()
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
}
