//! Retention: what was kept long enough is purged, in steps that hold the writer only shortly. Each step is one transaction under the lease of
//! the purge; it deletes what nothing needs any more, and records how far the purge has got.
//!
//! What is still owed stays, however old it is: [`history`] and [`deliveries`] say what that is.

mod deliveries;
mod history;
#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

use billwire_schemas::{clock::Timestamp, ids::TenantId, lease::Lease};
use sea_orm::{ConnectionTrait, DatabaseTransaction, DbErr, QueryResult, Value};
use uuid::Uuid;

use crate::{Backend, Error, Store, Tx, batching::filled, micros, moment, page::After};

/// What has a retention of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Events, with their places in the warehouse's batches.
    Events,
    /// Business transactions.
    BusinessTransactions,
    /// Finished deliveries, with their attempts and recipients.
    Deliveries,
    /// The texts of receivers' and mail servers' answers in finished deliveries.
    Answers,
    /// Failed attempts.
    Attempts,
    /// Replies to idempotency keys.
    Replies,
    /// Replays that have ended, once none of their deliveries waits, is a dead letter, or was discarded and is still there.
    Replays,
    /// Entries of the audit.
    Audit,
}

impl Kind {
    /// All kinds, in the order in which they are purged: deliveries hold events, and events hold business transactions.
    pub const ALL: [Self; 8] = [
        Self::Replies,
        Self::Answers,
        Self::Attempts,
        Self::Deliveries,
        Self::Replays,
        Self::Events,
        Self::BusinessTransactions,
        Self::Audit,
    ];

    /// The kind's name in the database and in the log.
    pub fn name(self) -> &'static str {
        match self {
            Self::Events => "events",
            Self::BusinessTransactions => "business_transactions",
            Self::Deliveries => "deliveries",
            Self::Answers => "answers",
            Self::Attempts => "attempts",
            Self::Replies => "replies",
            Self::Replays => "replays",
            Self::Audit => "audit",
        }
    }

    /// The table and its time, by which it is purged.
    fn source(self) -> (&'static str, &'static str) {
        match self {
            Self::Events => ("event", "occurred_at"),
            Self::BusinessTransactions => ("business_transaction", "occurred_at"),
            Self::Deliveries | Self::Answers => ("delivery", "created_at"),
            Self::Attempts => ("attempt", "at"),
            Self::Replies => ("idempotency", "created_at"),
            Self::Replays => ("replay", "created_at"),
            Self::Audit => ("audit_entry", "occurred_at"),
        }
    }
}

/// The rows that a step examines: those of a tenant before a moment, oldest first.
#[derive(Debug, Clone, Copy)]
pub struct Range<'a> {
    /// The tenant.
    pub tenant: &'a TenantId,
    /// Only rows before this moment.
    pub until: Timestamp,
    /// Only rows after this one.
    pub after: Option<After>,
    /// The number of rows at most; the same few numbers again and again, since each is a statement of its own.
    pub limit: usize,
}

/// What a step has done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Step {
    /// Rows deleted, without those that belong to them.
    pub deleted: u64,
    /// Where the next step continues; `None`: nothing is left in the range.
    pub next: Option<After>,
    /// For how long the step held the writer.
    pub took: Duration,
}

/// Up to where a tenant's rows of a kind are gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Horizon {
    /// No row from this moment on was deleted.
    pub before: Timestamp,
    /// The highest id that was deleted.
    pub last: Uuid,
}

/// How far the purge has got with a tenant's rows of a kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PurgeProgress {
    /// The tenant.
    pub tenant: TenantId,
    /// The kind, by [`Kind::name`].
    pub kind: String,
    /// No row from this moment on was deleted.
    pub before: Timestamp,
    /// How far the purge is behind.
    pub lag: Duration,
}

/// A row that may be purged.
#[derive(Debug, Clone)]
pub(crate) struct Candidate {
    pub id: Uuid,
    pub at: i64,
    /// The outbox position of an event; 0 in other rows.
    pub position: i64,
}

/// A row that was deleted: its moment and its id.
pub(crate) type Deleted = (i64, Uuid);

fn deleted(rows: &[QueryResult], time: &str) -> Result<Vec<Deleted>, Error> {
    let read = |row: &QueryResult| Ok((row.try_get("", time)?, row.try_get("", "id")?));
    Ok(rows.iter().map(read).collect::<Result<_, DbErr>>()?)
}

/// `$from, $from+1, …` for this many values.
pub(crate) fn marks(from: usize, count: usize) -> String {
    (from..from + count).map(|n| format!("${n}")).collect::<Vec<_>>().join(", ")
}

/// As many as the next power of two, so that there are few statements.
fn ids(page: &[Candidate]) -> Vec<Value> {
    filled(&page.iter().map(|one| one.id).collect::<Vec<_>>()).into_iter().map(Value::from).collect()
}

impl Store {
    /// The tenants with rows that may be purged.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn tenants_to_purge(&self) -> Result<Vec<TenantId>, Error> {
        let mut tenants = Vec::new();
        for kind in Kind::ALL {
            let table = kind.source().0;
            // From one tenant to the next through the index.
            let sql = format!(
                "WITH RECURSIVE t (tenant) AS (SELECT (SELECT MIN(tenant) FROM {table}) UNION ALL \
                 SELECT (SELECT MIN(tenant) FROM {table} WHERE {table}.tenant > t.tenant) FROM t WHERE t.tenant IS NOT NULL) \
                 SELECT tenant FROM t WHERE tenant IS NOT NULL"
            );
            for row in self.0.read.query_all_raw(self.statement(&sql, [])).await? {
                let tenant: String = row.try_get("", "tenant")?;
                tenants.push(tenant.parse().map_err(|_| Error::Corrupt { table, detail: tenant })?);
            }
        }
        tenants.sort();
        tenants.dedup();
        Ok(tenants)
    }

    /// Purges some of the rows of a range. `None`: `lease` does not hold, and nothing was changed.
    ///
    /// # Errors
    /// When the database fails; then nothing was changed.
    pub async fn purge(&self, lease: &Lease, kind: Kind, range: &Range<'_>) -> Result<Option<Step>, Error> {
        // Of these nothing is held.
        let all = matches!(kind, Kind::Attempts | Kind::Replies | Kind::Audit);
        let page = if all { Vec::new() } else { self.candidates(kind, range).await? };
        if page.is_empty() && !all {
            return Ok(Some(Step::default()));
        }
        if kind == Kind::Audit {
            // Read before the transaction: making it takes the writer's connection.
            self.chain_key().await?;
        }
        let transaction = match self.0.backend {
            // Others wait for the writer meanwhile, but need not wait for the disk.
            Backend::Sqlite => self.begin_repeatable().await?,
            Backend::Postgres => self.begin().await?,
        };
        let begun = Instant::now();
        if !self.holds(&transaction, lease).await? {
            transaction.rollback().await?;
            return Ok(None);
        }
        let deleted = match kind {
            Kind::Events => self.purge_events(&transaction, range.tenant, &page).await?,
            Kind::BusinessTransactions => self.purge_business_transactions(&transaction, &page).await?,
            Kind::Deliveries => self.purge_deliveries(&transaction, range.until, &page).await?,
            Kind::Answers => self.purge_answers(&transaction, &page).await?,
            Kind::Replays => self.purge_replays(&transaction, &page).await?,
            Kind::Audit => self.purge_audit(&transaction, range).await?,
            Kind::Attempts => self.purge_oldest(&transaction, kind, "delivery_id, number", range).await?,
            Kind::Replies => self.purge_oldest(&transaction, kind, "tenant, key", range).await?,
        };
        let next = match page.last() {
            None => deleted.last().filter(|_| deleted.len() == range.limit).map(|last| After { sort: last.0, id: last.1 }),
            Some(last) => (page.len() == range.limit).then_some(After { sort: last.at, id: last.id }),
        };
        if deleted.is_empty() && kind != Kind::Answers {
            transaction.rollback().await?;
        } else {
            let reached = next.map_or(range.until, |next| moment(next.sort));
            self.record_purge(&*transaction, kind, range, &deleted, reached).await?;
            transaction.commit().await?;
        }
        Ok(Some(Step { deleted: deleted.len() as u64, next, took: begun.elapsed() }))
    }

    pub(crate) async fn candidates(&self, kind: Kind, range: &Range<'_>) -> Result<Vec<Candidate>, Error> {
        let (table, time) = kind.source();
        let position = if kind == Kind::Events { "position" } else { "CAST(0 AS BIGINT) AS position" };
        let mut values: Vec<Value> = vec![range.tenant.as_str().into(), micros(range.until).into()];
        let mut after = String::new();
        if let Some(last) = range.after {
            values.extend([last.sort.into(), last.id.into()]);
            after = format!("AND ({time}, id) > ($3, $4)");
        }
        let sql = format!(
            "SELECT id, {time} AS at, {position} FROM {table} WHERE tenant = $1 AND {time} < $2 {after} ORDER BY {time}, id LIMIT {}",
            range.limit
        );
        let read = |row: &QueryResult| -> Result<Candidate, DbErr> {
            Ok(Candidate { id: row.try_get("", "id")?, at: row.try_get("", "at")?, position: row.try_get("", "position")? })
        };
        let rows = self.0.read.query_all_raw(self.statement(&sql, values)).await?;
        Ok(rows.iter().map(read).collect::<Result<_, _>>()?)
    }

    /// Deletes the oldest rows of a range, of a kind of which nothing is held; `key` are the columns of the table's key.
    async fn purge_oldest(
        &self,
        transaction: &DatabaseTransaction,
        kind: Kind,
        key: &str,
        range: &Range<'_>,
    ) -> Result<Vec<Deleted>, Error> {
        let (table, time) = kind.source();
        let sql = format!(
            "DELETE FROM {table} WHERE ({key}) IN (SELECT {key} FROM {table} WHERE tenant = $1 AND {time} < $2 ORDER BY {time} LIMIT {}) \
             RETURNING {time} AS at",
            range.limit
        );
        let rows = transaction.query_all_raw(self.statement(&sql, [range.tenant.as_str().into(), micros(range.until).into()])).await?;
        let read = |row: &QueryResult| Ok((row.try_get("", "at")?, Uuid::nil()));
        let mut deleted = rows.iter().map(read).collect::<Result<Vec<Deleted>, DbErr>>()?;
        deleted.sort_unstable();
        Ok(deleted)
    }

    /// Deletes the rows of a table that belong to others with these ids.
    pub(crate) async fn delete_belonging(
        &self,
        transaction: &DatabaseTransaction,
        (table, column): (&str, &str),
        ids: &[Uuid],
    ) -> Result<(), Error> {
        if ids.is_empty() {
            return Ok(());
        }
        let ids = filled(ids);
        let sql = format!("DELETE FROM {table} WHERE {column} IN ({})", marks(1, ids.len()));
        transaction.execute_raw(self.statement(&sql, ids.into_iter().map(Value::from))).await?;
        Ok(())
    }

    async fn record_purge(
        &self,
        conn: &impl ConnectionTrait,
        kind: Kind,
        range: &Range<'_>,
        deleted: &[Deleted],
        reached: Timestamp,
    ) -> Result<(), Error> {
        let before = deleted.iter().map(|(at, _)| at + 1).max().unwrap_or(0);
        let last = deleted.iter().map(|(_, id)| *id).max().unwrap_or_default();
        let sql = "INSERT INTO purge (tenant, kind, deleted_before, last_id, reached, due) VALUES ($1, $2, $3, $4, $5, $6) \
                   ON CONFLICT (tenant, kind) DO UPDATE SET reached = excluded.reached, due = excluded.due, \
                   deleted_before = CASE WHEN purge.deleted_before > excluded.deleted_before THEN purge.deleted_before \
                   ELSE excluded.deleted_before END, \
                   last_id = CASE WHEN purge.last_id > excluded.last_id THEN purge.last_id ELSE excluded.last_id END";
        let (reached, due) = (micros(reached).into(), micros(range.until).into());
        let values = [range.tenant.as_str().into(), kind.name().into(), before.into(), last.into(), reached, due];
        conn.execute_raw(self.statement(sql, values)).await?;
        Ok(())
    }

    /// Records that nothing is left in a range.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn record_purged(&self, kind: Kind, range: &Range<'_>) -> Result<(), Error> {
        self.record_purge(&self.0.write, kind, range, &[], range.until).await
    }

    /// Up to where a tenant's rows of a kind are gone; `None`: none of them is.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn purge_horizon(&self, tenant: &TenantId, kind: Kind) -> Result<Option<Horizon>, Error> {
        let row = self.0.read.query_one_raw(self.statement(HORIZON, [tenant.as_str().into(), kind.name().into()])).await?;
        row.as_ref().map(horizon).transpose()
    }

    /// Whether a row of a tenant that is not there was purged: a row with a higher id was.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn is_purged(&self, tenant: &TenantId, kind: Kind, id: Uuid) -> Result<bool, Error> {
        // Ids of version 8 are deliveries', which begin as their events' do.
        let of_ours = matches!(id.get_version_num(), 7 | 8);
        Ok(of_ours && self.purge_horizon(tenant, kind).await?.is_some_and(|horizon| id <= horizon.last))
    }

    /// How far the purge has got, by tenant and kind.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn purge_progress(&self) -> Result<Vec<PurgeProgress>, Error> {
        let sql = "SELECT tenant, kind, deleted_before, reached, due FROM purge ORDER BY tenant, kind";
        let read = |row: &QueryResult| -> Result<PurgeProgress, Error> {
            let (tenant, reached, due): (String, i64, i64) =
                (row.try_get("", "tenant")?, row.try_get("", "reached")?, row.try_get("", "due")?);
            Ok(PurgeProgress {
                tenant: tenant.parse().map_err(|_| Error::Corrupt { table: "purge", detail: tenant })?,
                kind: row.try_get("", "kind")?,
                before: moment(row.try_get("", "deleted_before")?),
                lag: Duration::from_micros(u64::try_from(due - reached).unwrap_or(0)),
            })
        };
        self.0.read.query_all_raw(self.statement(sql, [])).await?.iter().map(read).collect()
    }

    /// Up to where a kind of which no row is deleted has been purged: where its next pass begins.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn purge_reached(&self, tenant: &TenantId, kind: Kind) -> Result<Option<Timestamp>, Error> {
        let sql = "SELECT reached FROM purge WHERE tenant = $1 AND kind = $2";
        let row = self.0.read.query_one_raw(self.statement(sql, [tenant.as_str().into(), kind.name().into()])).await?;
        Ok(row.map(|row| row.try_get("", "reached")).transpose()?.map(moment))
    }
}

const HORIZON: &str = "SELECT deleted_before, last_id FROM purge WHERE tenant = $1 AND kind = $2 AND deleted_before > 0";

fn horizon(row: &QueryResult) -> Result<Horizon, Error> {
    Ok(Horizon { before: moment(row.try_get("", "deleted_before")?), last: row.try_get("", "last_id")? })
}

impl Tx<'_> {
    /// The first moment from which on all events of the tenant are there; `None`: none was purged.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn events_purged_before(&self) -> Result<Option<Timestamp>, Error> {
        let rows = self.query(HORIZON, vec![self.tenant().as_str().into(), Kind::Events.name().into()]).await?;
        Ok(rows.first().map(horizon).transpose()?.map(|horizon| horizon.before))
    }
}
