//! Numbers that were used after the moment that the database was restored to: sequences, outbox positions, batches of the warehouse.

use billwire_schemas::{
    clock::{Clock, SystemClock},
    ids::{EventId, OrderingKey, TenantId},
    lease::Lease,
};
use sea_orm::{ConnectionTrait, DatabaseTransaction, Value};

use super::MissingKey;
use crate::{Backend, Error, Store, batching::filled, micros};

impl Store {
    /// The number of the last batch of the warehouse.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn last_batch(&self) -> Result<i64, Error> {
        let sql = match self.0.backend {
            Backend::Sqlite => "SELECT COALESCE(MAX(seq), 0) AS last FROM sqlite_sequence WHERE name = 'warehouse_batch'",
            Backend::Postgres => "SELECT CASE WHEN is_called THEN last_value ELSE 0 END AS last FROM warehouse_batch_id_seq",
        };
        let row = self.0.write.query_one_raw(self.statement(sql, [])).await?;
        Ok(row.map(|row| row.try_get("", "last")).transpose()?.unwrap_or(0))
    }

    /// Records batches of the warehouse that have files, with the events in them. Later batches have higher numbers.
    pub(super) async fn record_batches(&self, transaction: &DatabaseTransaction, batches: &[(i64, Vec<EventId>)]) -> Result<(), Error> {
        for (batch, events) in batches {
            let sql = "INSERT INTO warehouse_batch (id, written, created_at) VALUES ($1, TRUE, $2) ON CONFLICT (id) DO NOTHING";
            transaction.execute_raw(self.statement(sql, [(*batch).into(), micros(SystemClock.now()).into()])).await?;
            for part in events.chunks(512) {
                let part = filled(part);
                let rows: Vec<String> = (0..part.len()).map(|at| format!("(${}, $1)", at + 2)).collect();
                let rows = rows.join(", ");
                let sql = format!("INSERT INTO warehouse_event (event_id, batch) VALUES {rows} ON CONFLICT (event_id) DO NOTHING");
                let values = std::iter::once(Value::from(*batch)).chain(part.iter().map(|id| Value::from(id.0)));
                transaction.execute_raw(self.statement(&sql, values)).await?;
            }
            self.count_past(transaction, "warehouse_batch", "id", *batch).await?;
        }
        Ok(())
    }

    /// Gives the events that were accepted after the restore, and are on no stream, positions after `position` and sequences after those that
    /// the stream has, in the order that they had. Until [`Store::end_take_back`], their ordering keys count on from before the missing
    /// events, which are so recognised again if this is interrupted. `false`: `lease` does not hold, and nothing was changed.
    ///
    /// # Errors
    /// When the database fails; then nothing was changed.
    pub async fn make_room(&self, lease: &Lease, keys: &[MissingKey], position: i64) -> Result<bool, Error> {
        let transaction = self.begin().await?;
        if !self.holds(&transaction, lease).await? {
            return Ok(false);
        }
        for key in keys {
            self.renumber(&transaction, key).await?;
            let sql = "UPDATE ordering_key SET last_sequence = $3 WHERE tenant = $1 AND key = $2 AND last_sequence > $3";
            let values = [key.tenant.as_str().into(), key.key.as_str().into(), (key.first - 1).into()];
            transaction.execute_raw(self.statement(sql, values)).await?;
        }
        self.move_past(&transaction, position).await?;
        self.count_past(&transaction, "event", "position", position).await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// Gives unpublished events sequences after the missing ones; gives the last sequence of the key then.
    pub(super) async fn renumber(&self, transaction: &DatabaseTransaction, key: &MissingKey) -> Result<i64, Error> {
        let of = || [key.tenant.as_str().into(), key.key.as_str().into()];
        // From the last one down, so that no two have the same at any time.
        let sql = "SELECT e.position, e.sequence, e.body FROM event e JOIN outbox o ON o.position = e.position \
                   WHERE e.tenant = $1 AND e.ordering_key = $2 AND e.sequence >= $3 ORDER BY e.sequence DESC";
        let rows = transaction.query_all_raw(self.statement(sql, of().into_iter().chain([key.first.into()]))).await?;
        let lowest: Option<i64> = rows.last().map(|row| row.try_get("", "sequence")).transpose()?;
        let mut last = key.last;
        if lowest.is_some_and(|lowest| lowest <= key.last) {
            last += i64::try_from(rows.len()).unwrap_or(0);
            for (sequence, row) in (key.last + 1..=last).rev().zip(&rows) {
                let (position, before, body): (i64, i64, String) =
                    (row.try_get("", "position")?, row.try_get("", "sequence")?, row.try_get("", "body")?);
                let sql = "UPDATE event SET sequence = $1, body = $2 WHERE position = $3";
                let values = [sequence.into(), with_sequence(&body, before, sequence).into(), position.into()];
                transaction.execute_raw(self.statement(sql, values)).await?;
            }
        }
        Ok(last)
    }

    /// Makes the next sequence of an ordering key come after `last`.
    pub(super) async fn count_to(
        &self,
        transaction: &DatabaseTransaction,
        tenant: &TenantId,
        key: &OrderingKey,
        last: i64,
    ) -> Result<(), Error> {
        let sql = "INSERT INTO ordering_key (tenant, key, last_sequence) VALUES ($1, $2, $3) ON CONFLICT (tenant, key) DO UPDATE SET \
                   last_sequence = CASE WHEN ordering_key.last_sequence > excluded.last_sequence THEN ordering_key.last_sequence \
                   ELSE excluded.last_sequence END";
        let values = [tenant.as_str().into(), key.as_str().into(), last.into()];
        transaction.execute_raw(self.statement(sql, values)).await?;
        Ok(())
    }

    /// Gives unpublished events positions after this one.
    pub(super) async fn move_past(&self, transaction: &DatabaseTransaction, position: i64) -> Result<(), Error> {
        let sql = "SELECT MIN(position) AS first FROM outbox";
        let row = transaction.query_one_raw(self.statement(sql, [])).await?;
        let first: Option<i64> = row.map(|row| row.try_get("", "first")).transpose()?.flatten();
        if first.is_none_or(|first| first > position) {
            return Ok(());
        }
        let sql = "SELECT position FROM outbox ORDER BY position";
        let rows = transaction.query_all_raw(self.statement(sql, [])).await?;
        let sql = "SELECT CAST(COALESCE(MAX(position), 0) AS BIGINT) AS last FROM event";
        let row = transaction.query_one_raw(self.statement(sql, [])).await?;
        let last: i64 = row.map(|row| row.try_get("", "last")).transpose()?.unwrap_or(0);
        let last = last.max(position);
        for (row, new) in rows.iter().zip(last + 1..) {
            let old: i64 = row.try_get("", "position")?;
            for table in ["event", "outbox", "set_aside_event"] {
                let sql = format!("UPDATE {table} SET position = $1 WHERE position = $2");
                transaction.execute_raw(self.statement(&sql, [new.into(), old.into()])).await?;
            }
        }
        self.count_past(transaction, "event", "position", last + i64::try_from(rows.len()).unwrap_or(0)).await
    }

    /// Makes the numbers that a table draws by itself higher than `last`.
    pub(super) async fn count_past(&self, transaction: &DatabaseTransaction, table: &str, column: &str, last: i64) -> Result<(), Error> {
        let statements = match self.0.backend {
            Backend::Postgres => {
                let drawn = format!("{table}_{column}_seq");
                vec![format!("SELECT setval('{drawn}', GREATEST($1, (SELECT last_value FROM {drawn})))")]
            }
            Backend::Sqlite => vec![
                format!(
                    "INSERT INTO sqlite_sequence (name, seq) SELECT '{table}', $1 WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = '{table}')"
                ),
                format!("UPDATE sqlite_sequence SET seq = MAX(seq, $1) WHERE name = '{table}'"),
            ],
        };
        if last > 0 {
            for sql in statements {
                transaction.execute_raw(self.statement(&sql, [last.into()])).await?;
            }
        }
        Ok(())
    }
}

/// The message with another sequence. No text before it can be taken for it: quotes within strings are escaped, and `data` is behind it.
fn with_sequence(body: &str, before: i64, after: i64) -> String {
    body.replacen(&format!("\"sequence\":\"{before:020}\""), &format!("\"sequence\":\"{after:020}\""), 1)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use billwire_schemas::ids::fresh;

    use super::*;
    use crate::transaction::tests::store;

    /// The last sequence of the only ordering key.
    async fn last(store: &Store) -> i64 {
        let row = store.0.write.query_one_raw(store.statement("SELECT last_sequence FROM ordering_key", [])).await.expect("read");
        row.expect("a key").try_get("", "last_sequence").expect("a number")
    }

    #[tokio::test]
    async fn what_was_accepted_after_a_restore_is_numbered_after_what_the_stream_has() {
        let (store, folder) = store().await;
        let lease = store.acquire_lease("relay", "me", Duration::from_secs(60)).await.expect("asked").expect("free");
        let (tenant, key) = (TenantId::default_tenant(), OrderingKey::from(fresh()));
        for (position, sequence, published) in [(8_i64, 2_i64, true), (9, 3, true), (10, 4, false), (11, 5, false)] {
            let sql = "INSERT INTO event (position, id, tenant, ordering_key, sequence, kind, object_id, transaction_id, occurred_at, \
                       recorded_at, body) VALUES ($1, $2, $3, $4, $5, 'account.updated', 'o', $2, 0, 0, $6)";
            let body = format!("{{\"subject\":\"\\\"sequence\\\":\",\"sequence\":\"{sequence:020}\"}}");
            let values = [position.into(), fresh().into(), tenant.as_str().into(), key.as_str().into(), sequence.into(), body.into()];
            store.0.write.execute_raw(store.statement(sql, values)).await.expect("an event");
            if !published {
                let sql = "INSERT INTO outbox (position) VALUES ($1)";
                store.0.write.execute_raw(store.statement(sql, [position.into()])).await.expect("a row");
            }
        }
        let sql = "INSERT INTO ordering_key (tenant, key, last_sequence) VALUES ($1, $2, 5)";
        store.0.write.execute_raw(store.statement(sql, [tenant.as_str().into(), key.as_str().into()])).await.expect("a key");
        let missing = MissingKey { tenant: tenant.clone(), key: key.clone(), first: 4, last: 6 };
        for _ in 0..2 {
            assert!(store.make_room(&lease, std::slice::from_ref(&missing), 20).await.expect("done"));
            assert_eq!(last(&store).await, 3, "what is missing is still recognised");
            let events = store.events_between(&tenant, &key, 0, 100).await.expect("read");
            let stands = events.iter().map(|one| (one.position, one.sequence)).collect::<Vec<_>>();
            assert_eq!(stands, [(8, 2), (9, 3), (21, 7), (22, 8)]);
            assert!(events.iter().all(|one| one.body.ends_with(&format!("\"sequence\":\"{:020}\"}}", one.sequence))), "{events:?}");
            let unpublished = store.unpublished(10).await.expect("read");
            assert_eq!(unpublished.iter().map(|one| one.position).collect::<Vec<_>>(), [21, 22]);
        }
        assert!(store.end_take_back(&lease, std::slice::from_ref(&missing), &[]).await.expect("done"));
        assert_eq!(last(&store).await, 8);
        let other = Lease { fence: 0, ..lease };
        assert!(!store.make_room(&other, &[missing], 50).await.expect("done"), "without the lease nothing is done");
        std::fs::remove_dir_all(folder).expect("a folder");
    }

    #[tokio::test]
    async fn batches_are_numbered_after_those_that_have_files() {
        let (store, folder) = store().await;
        let lease = store.acquire_lease("relay", "me", Duration::from_secs(60)).await.expect("asked").expect("free");
        let ids: Vec<EventId> = (0..3).map(|_| EventId(fresh())).collect();
        assert_eq!(store.last_batch().await.expect("read"), 0);
        for _ in 0..2 {
            assert!(store.end_take_back(&lease, &[], &[(7, ids[..2].to_vec())]).await.expect("recorded"));
            assert_eq!(store.last_batch().await.expect("read"), 7);
        }
        assert_eq!(store.in_written_batches(&ids).await.expect("read").len(), 2);
        let (batch, taken) = store.assign_to_warehouse(&ids, SystemClock.now()).await.expect("assigned").expect("one is new");
        assert_eq!((batch, taken), (8, vec![ids[2]]));
        std::fs::remove_dir_all(folder).expect("a folder");
    }
}
