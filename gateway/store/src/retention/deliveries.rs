//! Purging deliveries, replays and the texts of answers.

use billwire_schemas::{clock::Timestamp, delivery::DeliveryState};
use sea_orm::{ConnectionTrait, DatabaseTransaction};

use super::{Candidate, Deleted, deleted, ids, marks};
use crate::{Error, Store, delivery::deliveries::OPEN, micros, published::UNSETTLED};

/// The condition on deliveries that are finished: nothing attempts them again.
fn finished() -> String {
    format!("state IN ('{}', '{}')", DeliveryState::Succeeded.name(), DeliveryState::Discarded.name())
}

impl Store {
    /// Deletes deliveries that were finished before `until`, with their attempts and recipients. Those stay whose event may be taken in again: it
    /// is not settled, or their queue is behind by it; without them, it would be delivered twice.
    pub(super) async fn purge_deliveries(
        &self,
        transaction: &DatabaseTransaction,
        until: Timestamp,
        page: &[Candidate],
    ) -> Result<Vec<Deleted>, Error> {
        let ids = ids(page);
        let unsettled = UNSETTLED.map(|table| format!("NOT EXISTS (SELECT 1 FROM {table} u WHERE u.position = delivery.position)"));
        let sql = format!(
            "DELETE FROM delivery WHERE id IN ({}) AND {} AND updated_at < $1 AND {} AND NOT EXISTS \
             (SELECT 1 FROM held_queue h WHERE h.queue_id = delivery.queue_id AND h.position <= delivery.position) RETURNING id, created_at",
            marks(2, ids.len()),
            finished(),
            unsettled.join(" AND ")
        );
        let values = std::iter::once(micros(until).into()).chain(ids);
        let deleted = deleted(&transaction.query_all_raw(self.statement(&sql, values)).await?, "created_at")?;
        let gone: Vec<_> = deleted.iter().map(|(_, id)| *id).collect();
        for table in ["attempt", "recipient"] {
            self.delete_belonging(transaction, (table, "delivery_id"), &gone).await?;
        }
        Ok(deleted)
    }

    /// Deletes replays that have ended. Those stay that have deliveries by which their counts go.
    pub(super) async fn purge_replays(&self, transaction: &DatabaseTransaction, page: &[Candidate]) -> Result<Vec<Deleted>, Error> {
        let ids = ids(page);
        // Two conditions, which two partial indexes have.
        let counted = [OPEN, "state IN ('dead', 'blocking', 'discarded')"]
            .map(|states| format!("NOT EXISTS (SELECT 1 FROM delivery d WHERE d.lane_id = replay.id AND d.{states})"));
        let sql = format!(
            "DELETE FROM replay WHERE id IN ({}) AND state <> 'collecting' AND {} RETURNING id, created_at",
            marks(1, ids.len()),
            counted.join(" AND ")
        );
        deleted(&transaction.query_all_raw(self.statement(&sql, ids)).await?, "created_at")
    }

    /// Clears the texts of answers in finished deliveries, and what was sent; status codes stay.
    pub(super) async fn purge_answers(&self, transaction: &DatabaseTransaction, page: &[Candidate]) -> Result<Vec<Deleted>, Error> {
        let ids = ids(page);
        let these = marks(1, ids.len());
        let finished = finished();
        let sql = format!(
            "UPDATE delivery SET last_detail = '', exchange = NULL WHERE id IN ({these}) AND {finished} \
             AND (last_detail <> '' OR exchange IS NOT NULL)"
        );
        transaction.execute_raw(self.statement(&sql, ids.clone())).await?;
        for (table, none, any) in [
            ("attempt", "detail = '', exchange = NULL", "(detail <> '' OR exchange IS NOT NULL)"),
            ("recipient", "detail = ''", "detail <> ''"),
        ] {
            let sql = format!(
                "UPDATE {table} SET {none} WHERE delivery_id IN (SELECT id FROM delivery WHERE id IN ({these}) AND {finished}) AND {any}"
            );
            transaction.execute_raw(self.statement(&sql, ids.clone())).await?;
        }
        Ok(Vec::new())
    }
}
