//! Purging events and business transactions.

use billwire_schemas::{
    delivery::DeliveryState,
    ids::{DeliveryId, EventId, TenantId},
};
use sea_orm::{ConnectionTrait, DatabaseTransaction, Value};

use super::{Candidate, Deleted, deleted, ids, marks};
use crate::{Backend, Error, Store, batching::filled, published::UNSETTLED};

impl Store {
    /// Deletes events, with their places in the warehouse's batches. Those stay that are not settled, that a queue is behind by, that a
    /// replay is looking for, that are to be written into the warehouse, or that have a delivery which waits or is a dead letter.
    pub(super) async fn purge_events(
        &self,
        transaction: &DatabaseTransaction,
        tenant: &TenantId,
        page: &[Candidate],
    ) -> Result<Vec<Deleted>, Error> {
        if self.0.backend == Backend::Postgres {
            // Waits for replays that have begun and are not committed; later ones see how far the purge has got.
            transaction.execute_unprepared("LOCK TABLE replay IN SHARE MODE").await?;
        }
        const COLUMNS: usize = 5;
        let page = filled(page);
        let mut values: Vec<Value> = vec![tenant.as_str().into()];
        for one in &page {
            let (first, last) = DeliveryId::all_of(EventId(one.id));
            values.extend([one.position.into(), one.id.into(), one.at.into(), first.0.into(), last.0.into()]);
        }
        let rows: Vec<String> = (0..page.len()).map(|row| format!("({})", marks(2 + row * COLUMNS, COLUMNS))).collect();
        let unsettled = UNSETTLED.map(|table| format!("SELECT 1 FROM {table} u WHERE u.position = a.position"));
        let kept = [
            "SELECT 1 FROM held_queue h WHERE h.tenant = $1 AND h.position <= a.position".to_owned(),
            "SELECT 1 FROM replay r WHERE r.tenant = $1 AND r.state = 'collecting' AND r.from_at <= a.at".to_owned(),
            "SELECT 1 FROM warehouse_event w JOIN warehouse_batch b ON b.id = w.batch WHERE w.event_id = a.id AND NOT b.written".to_owned(),
            format!(
                "SELECT 1 FROM delivery d WHERE d.id >= a.first_id AND d.id <= a.last_id AND d.event_id = a.id AND d.state IN ('{}', '{}', '{}')",
                DeliveryState::Waiting.name(),
                DeliveryState::Blocking.name(),
                DeliveryState::Dead.name()
            ),
        ];
        let kept: Vec<String> = unsettled.into_iter().chain(kept).map(|kept| format!("NOT EXISTS ({kept})")).collect();
        let sql = format!(
            "WITH asked (position, id, at, first_id, last_id) AS (VALUES {}) DELETE FROM event WHERE position IN \
             (SELECT a.position FROM asked a WHERE {}) RETURNING id, occurred_at",
            rows.join(", "),
            kept.join(" AND ")
        );
        let deleted = deleted(&transaction.query_all_raw(self.statement(&sql, values)).await?, "occurred_at")?;
        let gone: Vec<_> = deleted.iter().map(|(_, id)| *id).collect();
        self.delete_belonging(transaction, ("warehouse_event", "event_id"), &gone).await?;
        Ok(deleted)
    }

    /// Deletes business transactions of which no event is left.
    pub(super) async fn purge_business_transactions(
        &self,
        transaction: &DatabaseTransaction,
        page: &[Candidate],
    ) -> Result<Vec<Deleted>, Error> {
        let ids = ids(page);
        let sql = format!(
            "DELETE FROM business_transaction WHERE id IN ({}) AND NOT EXISTS \
             (SELECT 1 FROM event e WHERE e.transaction_id = business_transaction.id) RETURNING id, occurred_at",
            marks(1, ids.len())
        );
        deleted(&transaction.query_all_raw(self.statement(&sql, ids)).await?, "occurred_at")
    }

    /// Deletes up to `limit` batches of the warehouse that are written and of which no event is left, after this one. Gives the last one
    /// examined; `None`: there are no more.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn purge_batches(&self, after: i64, limit: u64) -> Result<Option<i64>, Error> {
        let sql = format!(
            "SELECT b.id, EXISTS (SELECT 1 FROM warehouse_event w WHERE w.batch = b.id) AS used FROM warehouse_batch b \
             WHERE b.id > $1 AND b.written ORDER BY b.id LIMIT {limit}"
        );
        let rows = self.0.read.query_all_raw(self.statement(&sql, [after.into()])).await?;
        let mut empty: Vec<i64> = Vec::new();
        for row in &rows {
            if !row.try_get::<bool>("", "used")? {
                empty.push(row.try_get("", "id")?);
            }
        }
        if !empty.is_empty() {
            let empty = filled(&empty);
            let sql = format!("DELETE FROM warehouse_batch WHERE id IN ({}) AND written", marks(1, empty.len()));
            self.0.write.execute_raw(self.statement(&sql, empty.into_iter().map(Value::from))).await?;
        }
        Ok(rows.last().filter(|_| rows.len() as u64 == limit).map(|row| row.try_get("", "id")).transpose()?)
    }
}
