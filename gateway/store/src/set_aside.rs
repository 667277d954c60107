//! Events set aside: those that are too large for the stream, and those behind them in their ordering keys.
//!
//! Only the relay moves rows between the outbox and this table, under its lease, so no other process changes a key concurrently; an
//! operation only marks events for a redrive. Events set aside cost the relay nothing, however many there are.

use std::{collections::HashSet, sync::atomic::Ordering};

use billwire_schemas::{
    clock::{Clock, SystemClock, Timestamp},
    events::size,
    ids::{EventId, TenantId, TransactionId},
    lease::Lease,
};
use sea_orm::{ConnectionTrait, QueryResult, Value};

use crate::{
    Error, Store, Tx,
    batching::filled,
    micros, moment,
    outbox::Unpublished,
    page::{After, Page, PageRequest},
};

/// The setting with the largest message that the stream accepts.
const MAX_PAYLOAD: &str = "max_payload";

/// An event that was too large for the stream, as it is listed.
#[derive(Debug, Clone)]
pub struct SetAsideEvent {
    /// Its id.
    pub event: EventId,
    /// Its type.
    pub kind: String,
    /// Its ordering key.
    pub key: String,
    /// Its sequence within the key.
    pub sequence: i64,
    /// Its business transaction.
    pub transaction: TransactionId,
    /// Its size, in bytes.
    pub size: i64,
    /// The largest event that the stream accepted at that time, in bytes.
    pub size_max: i64,
    /// When it was set aside.
    pub at: Timestamp,
    /// How many events of its key wait behind it.
    pub waiting: i64,
    position: i64,
}

impl SetAsideEvent {
    fn read(row: &QueryResult) -> Result<Self, Error> {
        Ok(Self {
            event: EventId(row.try_get("", "id")?),
            kind: row.try_get("", "kind")?,
            key: row.try_get("", "ordering_key")?,
            sequence: row.try_get("", "sequence")?,
            transaction: TransactionId(row.try_get("", "transaction_id")?),
            size: row.try_get("", "size")?,
            size_max: row.try_get("", "size_max")?,
            at: moment(row.try_get("", "set_aside_at")?),
            waiting: row.try_get("", "waiting")?,
            position: row.try_get("", "position")?,
        })
    }
}

/// The result of a redrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Redriven {
    /// How many events go to the stream now.
    pub events: usize,
    /// How many stay: still too large, or behind one that is.
    pub too_large: usize,
}

/// True while the lease of the first three values holds. Each statement checks it: rows that a stop between two statements leaves in both
/// tables are removed by the next relay before it publishes.
const HELD: &str = "EXISTS (SELECT 1 FROM lease WHERE name = $1 AND owner = $2 AND fence = $3)";

fn held(lease: &Lease) -> Vec<Value> {
    vec![lease.name.as_str().into(), lease.owner.as_str().into(), lease.fence.into()]
}

fn whole(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

impl Store {
    /// The largest event that the stream accepts, in bytes of its JSON, as far as this process knows: [`Store::learn_max_payload`] reads
    /// what another process has found out.
    pub fn event_max(&self) -> u64 {
        size::event_max(self.0.max_payload.load(Ordering::Relaxed))
    }

    /// Stores the largest message that the stream accepts, in bytes.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn set_max_payload(&self, bytes: u64) -> Result<(), Error> {
        self.set(MAX_PAYLOAD, &bytes.to_string()).await?;
        self.0.max_payload.store(bytes, Ordering::Relaxed);
        Ok(())
    }

    /// Reads the largest message that the stream accepts; [`size::MAX_PAYLOAD_DEFAULT`] until a process has connected to NATS.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn learn_max_payload(&self) -> Result<(), Error> {
        let known = self.setting(MAX_PAYLOAD).await?.and_then(|text| text.parse().ok());
        self.0.max_payload.store(known.unwrap_or(size::MAX_PAYLOAD_DEFAULT), Ordering::Relaxed);
        Ok(())
    }

    /// Moves the events at these positions from the outbox to this table: those larger than `event_max` bytes, and those that wait for
    /// them. `false`: the lease is lost, and nothing was changed.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn set_aside(&self, lease: &Lease, positions: &[i64], event_max: u64) -> Result<bool, Error> {
        for part in positions.chunks(512) {
            let mut values = held(lease);
            values.extend([whole(event_max).into(), micros(SystemClock.now()).into()]);
            let first = values.len() + 1;
            values.extend(filled(part).into_iter().map(Value::from));
            let marks: Vec<String> = (first..=values.len()).map(|n| format!("${n}")).collect();
            let sql = format!(
                "INSERT INTO set_aside_event (position, tenant, ordering_key, size, size_max, set_aside_at, redrive) \
                 SELECT position, tenant, ordering_key, OCTET_LENGTH(body), CASE WHEN OCTET_LENGTH(body) > $4 THEN $4 END, $5, FALSE \
                 FROM event WHERE position IN ({}) AND {HELD} ON CONFLICT (position) DO NOTHING",
                marks.join(", ")
            );
            self.0.write.execute_raw(self.statement(&sql, values)).await?;
        }
        let transaction = self.begin().await?;
        if !self.holds(&transaction, lease).await? {
            return Ok(false);
        }
        self.delete_from_outbox(&*transaction, positions).await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// Which of these events are behind one that is set aside in their ordering key, by position.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn behind_set_aside(&self, events: &[Unpublished]) -> Result<HashSet<i64>, Error> {
        let mut behind = HashSet::new();
        for part in events.chunks(512) {
            let positions = filled(&part.iter().map(|event| event.position).collect::<Vec<_>>());
            let marks: Vec<String> = (1..=positions.len()).map(|n| format!("${n}")).collect();
            let sql = format!(
                "SELECT e.position FROM event e WHERE e.position IN ({}) AND EXISTS (SELECT 1 FROM set_aside_event s \
                 WHERE s.tenant = e.tenant AND s.ordering_key = e.ordering_key AND s.position < e.position)",
                marks.join(", ")
            );
            for row in self.0.read.query_all_raw(self.statement(&sql, positions.into_iter().map(Value::from))).await? {
                behind.insert(row.try_get("", "position")?);
            }
        }
        Ok(behind)
    }

    /// How many events are set aside for their size, in all tenants, counted up to `limit`.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn count_set_aside(&self, limit: u64) -> Result<u64, Error> {
        let sql = "SELECT CAST(COUNT(*) AS BIGINT) AS n FROM (SELECT 1 FROM set_aside_event WHERE size_max IS NOT NULL LIMIT $1) AS t";
        let row = self.0.read.query_one_raw(self.statement(sql, [whole(limit).into()])).await?;
        let n: i64 = row.map(|row| row.try_get("", "n")).transpose()?.unwrap_or(0);
        Ok(u64::try_from(n).unwrap_or(0))
    }

    /// Marks the events of all tenants that were set aside and fit `event_max` now, unless one before them in their ordering key does not.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn redrive_what_fits(&self, event_max: u64) -> Result<(), Error> {
        let sql = "UPDATE set_aside_event SET redrive = TRUE WHERE size_max IS NOT NULL AND size <= $1 AND NOT EXISTS (SELECT 1 \
                   FROM set_aside_event b WHERE b.tenant = set_aside_event.tenant AND b.ordering_key = set_aside_event.ordering_key \
                   AND b.position < set_aside_event.position AND b.size > $1)";
        self.0.write.execute_raw(self.statement(sql, [whole(event_max).into()])).await?;
        Ok(())
    }

    /// Moves the whole ordering keys that are marked back to the outbox, if `lease` still holds. Gives how many events, or
    /// `None`: the lease is lost, and nothing was changed.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn put_back_redriven(&self, lease: &Lease) -> Result<Option<u64>, Error> {
        let sql = "SELECT DISTINCT tenant, ordering_key FROM set_aside_event WHERE redrive";
        let keys = self.0.read.query_all_raw(self.statement(sql, [])).await?;
        let mut events = 0;
        for row in &keys {
            let (tenant, key): (String, String) = (row.try_get("", "tenant")?, row.try_get("", "ordering_key")?);
            let values = || held(lease).into_iter().chain([tenant.as_str().into(), key.as_str().into()]);
            let of_key = format!("FROM set_aside_event WHERE tenant = $4 AND ordering_key = $5 AND {HELD}");
            let back = format!("INSERT INTO outbox (position) SELECT position {of_key} ON CONFLICT (position) DO NOTHING");
            self.0.write.execute_raw(self.statement(&back, values())).await?;
            let gone = self.0.write.execute_raw(self.statement(&format!("DELETE {of_key}"), values())).await?.rows_affected();
            if gone == 0 {
                return Ok(None);
            }
            events += gone;
        }
        Ok(Some(events))
    }

    /// A page of events that were too large for the stream, newest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn list_set_aside(&self, tenant: &TenantId, page_request: PageRequest) -> Result<Page<SetAsideEvent>, Error> {
        let before = page_request.after.map_or(i64::MAX, |after| after.sort);
        let sql = "SELECT s.position, e.id, e.kind, s.ordering_key, e.sequence, e.transaction_id, s.size, s.size_max, s.set_aside_at, \
                   (SELECT CAST(COUNT(*) AS BIGINT) FROM set_aside_event w WHERE w.tenant = s.tenant AND w.ordering_key = s.ordering_key \
                   AND w.position > s.position) AS waiting FROM set_aside_event s JOIN event e ON e.position = s.position \
                   WHERE s.tenant = $1 AND s.size_max IS NOT NULL AND s.position < $2 ORDER BY s.position DESC LIMIT $3";
        let values = [tenant.as_str().into(), before.into(), whole(page_request.limit + 1).into()];
        let rows = self.0.read.query_all_raw(self.statement(sql, values)).await?;
        let rows = rows.iter().map(SetAsideEvent::read).collect::<Result<Vec<_>, _>>()?;
        Page::cut(rows, page_request, |one| After { sort: one.position, id: one.event.0 }, Ok)
    }
}

impl Tx<'_> {
    /// Marks events that are set aside for the stream: those in `ids` or, if it is empty, all of the tenant, as far as they and the events
    /// before them fit `size_max` now. All events of their ordering keys that are set aside are marked with them.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn redrive_set_aside(&mut self, ids: &[EventId], size_max: u64) -> Result<Redriven, Error> {
        let mut values: Vec<Value> = vec![self.tenant().as_str().into()];
        values.extend(filled(ids).into_iter().map(|id| Value::from(id.0)));
        let marks: Vec<String> = (2..=values.len()).map(|n| format!("${n}")).collect();
        let named = if marks.is_empty() { String::new() } else { format!(" AND e.id IN ({})", marks.join(", ")) };
        let meant =
            format!("FROM set_aside_event s JOIN event e ON e.position = s.position WHERE s.tenant = $1 AND s.size_max IS NOT NULL{named}");
        let rows = self.query(&format!("SELECT CAST(COUNT(*) AS BIGINT) AS n {meant}"), values.clone()).await?;
        let all: i64 = rows.first().map(|row| row.try_get("", "n")).transpose()?.unwrap_or(0);
        values.push(whole(size_max).into());
        let limit = format!("${}", values.len());
        let sql = format!(
            "UPDATE set_aside_event SET redrive = TRUE WHERE position IN (SELECT s.position {meant} AND s.size <= {limit} \
             AND NOT EXISTS (SELECT 1 FROM set_aside_event b WHERE b.tenant = s.tenant AND b.ordering_key = s.ordering_key \
             AND b.position < s.position AND b.size > {limit})) RETURNING position"
        );
        let events = self.write(&sql, values).await?.len();
        Ok(Redriven { events, too_large: usize::try_from(all).unwrap_or(0).saturating_sub(events) })
    }
}
