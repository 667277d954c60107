//! Deleting a tenant, in steps that hold the writer only shortly. The order keeps others from working on what is half gone: first what lets
//! callers in and what routes events, then deliveries and history, then objects before those that they refer to.
//!
//! What is written meanwhile (a due action, the end of an attempt) is found by a later pass: a deletion has ended only when a pass has found
//! nothing, neither here nor on the stream.

use std::time::{Duration, Instant};

use billwire_domain::access::tenant::Tenant;
use billwire_schemas::{
    clock::{Clock, SystemClock, Timestamp},
    ids::TenantId,
    lease::Lease,
};
use sea_orm::{ConnectionTrait, DatabaseTransaction, DbErr, QueryResult, Value};
use uuid::Uuid;

use crate::{
    Error, Store, Tx,
    batching::filled,
    configurations::Kind,
    micros, moment,
    page::After,
    published::{SETTLED_EVERYWHERE, UNSETTLED},
    retention::{Candidate, Kind as Purged, Range, Step, marks},
};

/// Rows that are deleted together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Part {
    table: &'static str,
    /// The columns of the table's key.
    key: &'static str,
    /// Tables with rows that belong to these, few to each, and the columns with the first column of the key.
    with: &'static [(&'static str, &'static str)],
}

const fn part(table: &'static str, key: &'static str) -> Part {
    Part { table, key, with: &[] }
}

/// Rows with an id that others name.
const fn owner(table: &'static str, with: &'static [(&'static str, &'static str)]) -> Part {
    Part { table, key: "id", with }
}

const fn object(table: &'static str) -> Part {
    owner(table, &[("attribute", "object_id")])
}

const EVENTS: &str = "event";
const BILLED_ACCOUNTS: &str = "billed_account";

impl Part {
    /// All, in the order in which they are deleted.
    pub const ALL: [Self; 37] = [
        part("credential", "hash"),
        part("identity_provider", "id"),
        part("api_key", "id"),
        owner("configuration", &[("queue_progress", "queue_id")]),
        owner("delivery", &[("attempt", "delivery_id"), ("recipient", "delivery_id")]),
        part("attempt", "delivery_id, number"),
        part("replay", "id"),
        part("held_queue", "queue_id"),
        part("stream_progress", "subscription_id"),
        part("health", "target_id"),
        part("set_aside_event", "position"),
        part("throughput", "minute, tenant"),
        part(EVENTS, "position"),
        part("business_transaction", "id"),
        part("idempotency", "key, tenant"),
        object("chargeable_event"),
        object("adjustment"),
        object("invoice"),
        part(BILLED_ACCOUNTS, "run_id, account_id"),
        object("bill_run"),
        object("usage_identifier"),
        object("bucket"),
        object("contract"),
        object("credit"),
        object("refund"),
        object("payment"),
        object("service"),
        object("package_subscription"),
        object("contact"),
        object("account"),
        object("package"),
        object("bill_cycle"),
        part("purge", "kind, tenant"),
        part("audit_new", "id"),
        part("audit_entry", "number, tenant"),
        part("audit_head", "tenant"),
        part("ordering_key", "key, tenant"),
    ];

    /// The part's table.
    pub fn table(self) -> &'static str {
        self.table
    }
}

/// How far the deletion of a tenant has got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TenantDeletion {
    /// When it was asked for.
    pub requested_at: Timestamp,
    /// Rows deleted, without those that belong to them.
    pub rows: i64,
    /// Messages deleted from the stream.
    pub messages: i64,
    /// The table that rows were last deleted from.
    pub part: Option<String>,
    /// When nothing was left.
    pub completed_at: Option<Timestamp>,
}

fn read(row: &QueryResult) -> Result<TenantDeletion, DbErr> {
    Ok(TenantDeletion {
        requested_at: moment(row.try_get("", "requested_at")?),
        rows: row.try_get("", "deleted_rows")?,
        messages: row.try_get("", "messages")?,
        part: row.try_get("", "part")?,
        completed_at: row.try_get::<Option<i64>>("", "completed_at")?.map(moment),
    })
}

impl Store {
    /// How long an operation may take.
    pub fn operation_deadline(&self) -> Duration {
        self.0.deadlines.operation
    }

    /// The tenants that are being deleted.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn tenants_being_deleted(&self) -> Result<Vec<Tenant>, Error> {
        let sql = "SELECT c.body FROM tenant_deletion d JOIN configuration c ON c.tenant = $1 AND c.kind = $2 AND c.name = d.tenant \
                   WHERE d.completed_at IS NULL ORDER BY d.requested_at";
        let values = [TenantId::default_tenant().as_str().into(), Kind::Tenant.name().into()];
        let rows = self.0.read.query_all_raw(self.statement(sql, values)).await?;
        let read = |row: &QueryResult| -> Result<Tenant, Error> {
            serde_json::from_str(&row.try_get::<String>("", "body")?).map_err(Error::corrupt("configuration"))
        };
        rows.iter().map(read).collect()
    }

    /// How far the deletion of a tenant has got; `None`: nobody has asked for it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn tenant_deletion(&self, tenant: &TenantId) -> Result<Option<TenantDeletion>, Error> {
        let sql = "SELECT requested_at, deleted_rows, messages, part, completed_at FROM tenant_deletion WHERE tenant = $1";
        let row = self.0.read.query_one_raw(self.statement(sql, [tenant.as_str().into()])).await?;
        Ok(row.as_ref().map(read).transpose()?)
    }

    /// Deletes up to `limit` rows of a part of a tenant, behind `after` where it is given; those that are still needed by others stay for
    /// now. `None`: `lease` does not hold, and nothing was changed.
    ///
    /// # Errors
    /// When the database fails; then nothing was changed.
    pub async fn delete_of_tenant(
        &self,
        lease: &Lease,
        tenant: &TenantId,
        part: Part,
        (after, limit): (Option<After>, usize),
    ) -> Result<Option<Step>, Error> {
        let events = part.table == EVENTS;
        let range = Range { tenant, until: Timestamp::MAX_UTC, after, limit };
        let page = if events { self.candidates(Purged::Events, &range).await? } else { Vec::new() };
        let transaction = self.begin_repeatable().await?;
        let begun = Instant::now();
        if !self.holds(&transaction, lease).await? {
            transaction.rollback().await?;
            return Ok(None);
        }
        let (deleted, next) = if events {
            let next = page.last().filter(|_| page.len() == limit).map(|last| After { sort: last.at, id: last.id });
            (self.delete_events(&transaction, &page).await?, next)
        } else {
            let deleted = self.delete_rows(&transaction, tenant, part, limit).await?;
            // What comes next are the first rows again.
            let next = (deleted == limit as u64).then_some(After { sort: 0, id: Uuid::nil() });
            (deleted, next)
        };
        if deleted == 0 {
            transaction.rollback().await?;
        } else {
            let sql = "UPDATE tenant_deletion SET deleted_rows = deleted_rows + $2, part = $3 WHERE tenant = $1";
            let values = [tenant.as_str().into(), i64::try_from(deleted).unwrap_or(i64::MAX).into(), part.table.into()];
            transaction.execute_raw(self.statement(sql, values)).await?;
            if part.table == "configuration" {
                // Whoever has read the configuration reads it again.
                let sql = "UPDATE ordering_key SET last_sequence = last_sequence + 1 WHERE tenant = $1 AND key = 'configuration'";
                transaction.execute_raw(self.statement(sql, [tenant.as_str().into()])).await?;
            }
            transaction.commit().await?;
        }
        Ok(Some(Step { deleted, next, took: begun.elapsed() }))
    }

    async fn delete_rows(
        &self,
        transaction: &DatabaseTransaction,
        tenant: &TenantId,
        Part { table, key, with }: Part,
        limit: usize,
    ) -> Result<u64, Error> {
        let rows = match table {
            // The rows of a run may be many.
            BILLED_ACCOUNTS => {
                "SELECT b.run_id, b.account_id FROM bill_run r JOIN billed_account b ON b.run_id = r.id WHERE r.tenant = $1".to_owned()
            }
            _ => format!("SELECT {key} FROM {table} WHERE tenant = $1"),
        };
        let named = if with.is_empty() { "" } else { "RETURNING id" };
        let sql = format!("DELETE FROM {table} WHERE ({key}) IN ({rows} LIMIT {limit}) {named}");
        let statement = self.statement(&sql, [tenant.as_str().into()]);
        if with.is_empty() {
            return Ok(transaction.execute_raw(statement).await?.rows_affected());
        }
        let rows = transaction.query_all_raw(statement).await?;
        let ids = rows.iter().map(|row| row.try_get("", "id")).collect::<Result<Vec<Uuid>, DbErr>>()?;
        for belonging in with {
            self.delete_belonging(transaction, *belonging, &ids).await?;
        }
        Ok(ids.len() as u64)
    }

    /// Deletes events that all readers of the stream have settled and that no batch of the warehouse waits for; their places on the stream are
    /// forgotten.
    async fn delete_events(&self, transaction: &DatabaseTransaction, page: &[Candidate]) -> Result<u64, Error> {
        if page.is_empty() {
            return Ok(0);
        }
        let positions = filled(&page.iter().map(|one| one.position).collect::<Vec<_>>());
        let these = marks(1, positions.len());
        let values = || positions.iter().copied().map(Value::from);
        let settled = format!(
            "DELETE FROM published WHERE sequence IN (SELECT p.sequence FROM published p {SETTLED_EVERYWHERE} AND p.position IN ({these}))"
        );
        transaction.execute_raw(self.statement(&settled, values())).await?;
        let unsettled = UNSETTLED.map(|table| format!("AND NOT EXISTS (SELECT 1 FROM {table} u WHERE u.position = event.position)"));
        let sql = format!(
            "DELETE FROM event WHERE position IN ({these}) {} AND NOT EXISTS (SELECT 1 FROM warehouse_event w \
             JOIN warehouse_batch b ON b.id = w.batch WHERE w.event_id = event.id AND NOT b.written) RETURNING id",
            unsettled.join(" ")
        );
        let rows = transaction.query_all_raw(self.statement(&sql, values())).await?;
        let ids = rows.iter().map(|row| row.try_get("", "id")).collect::<Result<Vec<Uuid>, DbErr>>()?;
        self.delete_belonging(transaction, ("warehouse_event", "event_id"), &ids).await?;
        Ok(ids.len() as u64)
    }

    /// Whether events of a tenant are left: those that wait to be published, or for a reader of the stream.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn has_events(&self, tenant: &TenantId) -> Result<bool, Error> {
        let sql = "SELECT 1 FROM event WHERE tenant = $1 LIMIT 1";
        Ok(self.0.read.query_one_raw(self.statement(sql, [tenant.as_str().into()])).await?.is_some())
    }

    /// Counts messages of a tenant that were deleted from the stream.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn count_deleted_messages(&self, tenant: &TenantId, messages: u64) -> Result<(), Error> {
        let sql = "UPDATE tenant_deletion SET messages = messages + $2 WHERE tenant = $1";
        let values = [tenant.as_str().into(), i64::try_from(messages).unwrap_or(i64::MAX).into()];
        self.0.write.execute_raw(self.statement(sql, values)).await?;
        Ok(())
    }
}

impl Tx<'_> {
    /// Records that the deletion of a tenant was asked for.
    pub fn begin_tenant_deletion(&mut self, tenant: &TenantId) {
        let sql = "INSERT INTO tenant_deletion (tenant, requested_at, deleted_rows, messages) VALUES ($1, $2, 0, 0)";
        self.defer(sql.to_owned(), vec![tenant.as_str().into(), micros(SystemClock.now()).into()]);
    }

    /// Records that nothing is left of a tenant.
    pub fn end_tenant_deletion(&mut self, tenant: &TenantId) {
        let sql = "UPDATE tenant_deletion SET completed_at = $2 WHERE tenant = $1";
        self.defer(sql.to_owned(), vec![tenant.as_str().into(), micros(SystemClock.now()).into()]);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::transaction::tests::store;

    /// Tables that are not of one tenant, or whose rows go with others, and where they are deleted.
    const OTHERS: [&str; 17] = [
        "attribute",
        "lease",
        "outbox",
        "published",
        "queue_progress",
        "recipient",
        "seaql_migrations",
        "setting",
        "settled",
        "sqlite_sequence",
        "tenant_deletion",
        "warehouse_batch",
        "warehouse_event",
        // Of the tests of transactions.
        "child",
        "parent",
        "sqlite_stat1",
        "sqlite_stat4",
    ];

    #[tokio::test]
    async fn every_table_with_rows_of_a_tenant_is_a_part() {
        let (store, folder) = store().await;
        let tables = store.0.read.query_all_raw(store.statement("SELECT name FROM sqlite_schema WHERE type = 'table'", [])).await;
        let parts: HashSet<&str> = Part::ALL.iter().map(|part| part.table).collect();
        assert_eq!(parts.len(), Part::ALL.len(), "none twice");
        for row in tables.expect("tables") {
            let name: String = row.try_get("", "name").expect("a name");
            assert!(parts.contains(name.as_str()) || OTHERS.contains(&name.as_str()), "{name}: is it deleted with its tenant?");
        }
        let _ = std::fs::remove_dir_all(folder);
    }
}
