//! The outbox: events to publish. A row of `outbox` *is* the flag "not published yet"; the event's own row stays.

use std::collections::{HashMap, HashSet};

use billwire_schemas::{
    clock::Timestamp,
    ids::{EventId, OrderingKey, TenantId, TransactionId},
};
use sea_orm::{ConnectionTrait, DatabaseBackend, DatabaseTransaction, QueryResult, Statement, Value};
use uuid::Uuid;

use crate::{Error, Store, batching::filled, moment, published::HIGHEST};

/// An event that the stream has not acknowledged.
#[derive(Debug, Clone)]
pub struct Unpublished {
    /// Position in the outbox.
    pub position: i64,
    /// The event's id.
    pub id: EventId,
    /// The tenant.
    pub tenant: TenantId,
    /// Its type.
    pub kind: String,
    /// Its ordering key.
    pub key: OrderingKey,
    /// Its sequence within the key.
    pub sequence: i64,
    /// Its business transaction.
    pub transaction: TransactionId,
    /// The message.
    pub body: String,
}

pub(crate) const COLUMNS: &str = "e.position, e.id, e.tenant, e.kind, e.ordering_key, e.sequence, e.transaction_id, e.body";

pub(crate) fn read(row: &QueryResult) -> Result<Unpublished, Error> {
    let corrupt = |detail: String| Error::Corrupt { table: "event", detail };
    let (tenant, key): (String, String) = (row.try_get("", "tenant")?, row.try_get("", "ordering_key")?);
    Ok(Unpublished {
        position: row.try_get("", "position")?,
        id: EventId(row.try_get::<Uuid>("", "id")?),
        tenant: tenant.parse().map_err(|_| corrupt(tenant))?,
        kind: row.try_get("", "kind")?,
        key: key.parse().map_err(|_| corrupt(key))?,
        sequence: row.try_get("", "sequence")?,
        transaction: TransactionId(row.try_get("", "transaction_id")?),
        body: row.try_get("", "body")?,
    })
}

/// The outbox position that everything committed until now has, and nothing that commits later. Until the transaction ends, no events are
/// recorded.
pub(crate) async fn settle(transaction: &DatabaseTransaction) -> Result<i64, Error> {
    let backend = transaction.get_database_backend();
    if backend == DatabaseBackend::Postgres {
        // Waits for concurrent inserts: positions are drawn before they commit, and an event that commits after this must not have a
        // position before it.
        transaction.execute_unprepared("LOCK TABLE event IN SHARE MODE").await?;
    }
    let sql = "SELECT CAST(COALESCE(MAX(position), 0) AS BIGINT) AS position FROM event";
    let row = transaction.query_one_raw(Statement::from_string(backend, sql)).await?;
    Ok(row.map(|row| row.try_get("", "position")).transpose()?.unwrap_or(0))
}

/// Events that [`Store::events_between`] gives at most.
const BETWEEN_MAX: u64 = 1000;

impl Store {
    /// Unpublished events, whole transactions only, one after the other in the order of their first positions: those that `limit` would cut
    /// are left for the next call, unless there is no other. Two transactions that commit at the same time may have drawn their positions in
    /// turns. Within a key, this is commit order: positions are drawn under the locks of all keys of a transaction.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn unpublished(&self, limit: u64) -> Result<Vec<Unpublished>, Error> {
        Ok(self.unpublished_and_end(limit).await?.0)
    }

    /// [`Store::unpublished`], with the highest sequence that the stream had acknowledged then; `None` if there are no events, or it has
    /// acknowledged nothing yet.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn unpublished_and_end(&self, limit: u64) -> Result<(Vec<Unpublished>, Option<u64>), Error> {
        // Bounded on both sides: a planner that starts with the events would otherwise read all stored events.
        let sql = format!(
            "WITH page AS MATERIALIZED (SELECT position FROM outbox ORDER BY position LIMIT $1) \
             SELECT {COLUMNS}, (SELECT value FROM setting WHERE \"key\" = '{HIGHEST}') AS stream_end FROM page o JOIN event e ON e.position = o.position \
             WHERE e.position BETWEEN (SELECT MIN(position) FROM page) AND (SELECT MAX(position) FROM page) ORDER BY e.position"
        );
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = self.0.read.query_all_raw(self.statement(&sql, [limit.into()])).await?;
        let cut = rows.len() as i64 == limit;
        let end: Option<String> = rows.first().map(|row| row.try_get("", "stream_end")).transpose()?.flatten();
        let mut events = rows.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        if cut && let Some(end) = events.last().map(|event| event.position) {
            let continued = self.continued(&events, end).await?;
            if events.iter().any(|event| !continued.contains(&event.transaction)) {
                events.retain(|event| !continued.contains(&event.transaction));
            }
        }
        let mut first: HashMap<TransactionId, i64> = HashMap::new();
        for event in &events {
            first.entry(event.transaction).or_insert(event.position);
        }
        events.sort_by_key(|event| (first.get(&event.transaction).copied(), event.position));
        Ok((events, end.and_then(|end| end.parse().ok())))
    }

    /// Which transactions of these events have unpublished events after this position.
    async fn continued(&self, events: &[Unpublished], end: i64) -> Result<HashSet<TransactionId>, Error> {
        let of: HashSet<TransactionId> = events.iter().map(|event| event.transaction).collect();
        let of: Vec<TransactionId> = of.into_iter().collect();
        let mut continued = HashSet::new();
        for part in of.chunks(512) {
            let part = filled(part);
            let marks: Vec<String> = (0..part.len()).map(|at| format!("${}", at + 2)).collect();
            let sql = format!(
                "SELECT DISTINCT e.transaction_id FROM event e JOIN outbox o ON o.position = e.position \
                 WHERE e.transaction_id IN ({}) AND e.position > $1",
                marks.join(", ")
            );
            let values = std::iter::once(end.into()).chain(part.iter().map(|id| Value::from(id.0)));
            for row in self.0.read.query_all_raw(self.statement(&sql, values)).await? {
                continued.insert(TransactionId(row.try_get("", "transaction_id")?));
            }
        }
        Ok(continued)
    }

    /// How many events are unpublished, counted up to `limit`.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn backlog(&self, limit: u64) -> Result<u64, Error> {
        let sql = "SELECT CAST(COUNT(*) AS BIGINT) AS n FROM (SELECT 1 FROM outbox LIMIT $1) AS t";
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let row = self.0.read.query_one_raw(self.statement(sql, [limit.into()])).await?;
        let n: i64 = row.map(|row| row.try_get("", "n")).transpose()?.unwrap_or(0);
        Ok(u64::try_from(n).unwrap_or(0))
    }

    /// When the event that has waited longest for the stream was recorded.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn oldest_unpublished(&self) -> Result<Option<Timestamp>, Error> {
        let sql = "SELECT recorded_at FROM event WHERE position = (SELECT MIN(position) FROM outbox)";
        let row = self.0.read.query_one_raw(self.statement(sql, [])).await?;
        Ok(row.map(|row| row.try_get("", "recorded_at").map(moment)).transpose()?)
    }

    /// Events by id, in order of their positions.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn events(&self, ids: &[EventId]) -> Result<Vec<Unpublished>, Error> {
        let mut found = Vec::with_capacity(ids.len());
        for part in ids.chunks(512) {
            let part = filled(part);
            let marks: Vec<String> = (1..=part.len()).map(|i| format!("${i}")).collect();
            let sql = format!("SELECT {COLUMNS} FROM event e WHERE e.id IN ({}) ORDER BY e.position", marks.join(", "));
            let rows = self.0.read.query_all_raw(self.statement(&sql, part.iter().map(|id| Value::from(id.0)))).await?;
            found.extend(rows.iter().map(read).collect::<Result<Vec<_>, _>>()?);
        }
        found.sort_by_key(|e: &Unpublished| e.position);
        Ok(found)
    }

    /// Events of `key` with sequences strictly between `after` and `before`, in order, up to [`BETWEEN_MAX`].
    ///
    /// # Errors
    /// When the database fails.
    pub async fn events_between(&self, tenant: &TenantId, key: &OrderingKey, after: i64, before: i64) -> Result<Vec<Unpublished>, Error> {
        let sql = format!(
            "SELECT {COLUMNS} FROM event e WHERE e.tenant = $1 AND e.ordering_key = $2 AND e.sequence > $3 AND e.sequence < $4 ORDER BY e.sequence \
             LIMIT {BETWEEN_MAX}"
        );
        let values = [tenant.as_str().into(), key.as_str().into(), after.into(), before.into()];
        let rows = self.0.read.query_all_raw(self.statement(&sql, values)).await?;
        rows.iter().map(read).collect()
    }
}
