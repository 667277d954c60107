//! What payments have left, to be found when an account is billed; what is due of invoices, for the account's balance; the billing dates of
//! bill runs; the columns that lists of accounts and invoices are filtered by; the payers of accounts; and the attributes that objects are found by.

use sea_orm_migration::{
    prelude::*,
    sea_orm::{DatabaseBackend, Statement},
};
use uuid::Uuid;

use crate::customers::accounts::search;

pub struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &str {
        "m0007_prepayments"
    }
}

/// What differs between the databases: expressions over `body`, and the collation in which texts are ordered by their bytes.
struct Dialect {
    unallocated: &'static str,
    amount_due: &'static str,
    name: &'static str,
    issued_on: &'static str,
    due_on: &'static str,
    billing_date: &'static str,
    by_bytes: &'static str,
    uuid: &'static str,
}

/// Amounts are in millionths. SQLite has no exact decimals, but rounds to the right one below 9 * 10^9 units.
const SQLITE: Dialect = Dialect {
    unallocated: "CAST(ROUND(CAST(json_extract(body, '$.unallocated.amount') AS REAL) * 1000000) AS INTEGER)",
    amount_due: "CAST(ROUND(CAST(json_extract(body, '$.amountDue.amount') AS REAL) * 1000000) AS INTEGER)",
    name: "json_extract(body, '$.name')",
    issued_on: "CAST(julianday(json_extract(body, '$.issuedOn')) - julianday('1970-01-01') AS INTEGER)",
    due_on: "CAST(julianday(json_extract(body, '$.dueOn')) - julianday('1970-01-01') AS INTEGER)",
    billing_date: "CAST(julianday(json_extract(body, '$.billingDate')) - julianday('1970-01-01') AS INTEGER)",
    by_bytes: "",
    uuid: "BLOB",
};

const POSTGRES: Dialect = Dialect {
    unallocated: "CAST(CAST(CAST(body AS jsonb) #>> '{unallocated,amount}' AS numeric) * 1000000 AS BIGINT)",
    amount_due: "CAST(CAST(CAST(body AS jsonb) #>> '{amountDue,amount}' AS numeric) * 1000000 AS BIGINT)",
    name: "CAST(body AS jsonb) ->> 'name'",
    issued_on: "CAST(CAST(body AS jsonb) ->> 'issuedOn' AS date) - DATE '1970-01-01'",
    due_on: "CAST(CAST(body AS jsonb) ->> 'dueOn' AS date) - DATE '1970-01-01'",
    billing_date: "CAST(CAST(body AS jsonb) ->> 'billingDate' AS date) - DATE '1970-01-01'",
    by_bytes: "COLLATE \"C\"",
    uuid: "UUID",
};

/// Accounts that are read at once.
const ACCOUNTS: i64 = 1_000;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    /// Whole or not at all, on SQLite too.
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let dialect = if manager.get_database_backend() == DatabaseBackend::Postgres { POSTGRES } else { SQLITE };
        let Dialect { unallocated, amount_due, issued_on, due_on, billing_date, by_bytes, uuid, .. } = dialect;
        for statement in [
            "ALTER TABLE payment ADD COLUMN unallocated BIGINT NOT NULL DEFAULT 0",
            &format!("UPDATE payment SET unallocated = {unallocated}"),
            "CREATE INDEX payment_unallocated ON payment (account_id) WHERE unallocated > 0",
            "ALTER TABLE invoice ADD COLUMN amount_due BIGINT NOT NULL DEFAULT 0",
            &format!("UPDATE invoice SET amount_due = {amount_due} WHERE status = 'open'"),
            "ALTER TABLE invoice ADD COLUMN issued_on BIGINT NOT NULL DEFAULT 0",
            "ALTER TABLE invoice ADD COLUMN due_on BIGINT NOT NULL DEFAULT 0",
            &format!("UPDATE invoice SET issued_on = {issued_on}, due_on = {due_on}"),
            "CREATE INDEX invoice_issued ON invoice (tenant, issued_on, id)",
            "CREATE INDEX invoice_due_on ON invoice (tenant, due_on, id)",
            "CREATE INDEX invoice_status ON invoice (tenant, status, id)",
            // For lists that are filtered and sorted at once: SQLite prefers the index that gives the order, and would read all invoices.
            "CREATE INDEX invoice_status_due_on ON invoice (tenant, status, due_on, id)",
            "ALTER TABLE bill_run ADD COLUMN billing_date BIGINT NOT NULL DEFAULT 0",
            &format!("UPDATE bill_run SET billing_date = {billing_date}"),
            "CREATE INDEX bill_run_billing_date ON bill_run (bill_cycle_id, billing_date)",
            &format!("ALTER TABLE account ADD COLUMN search TEXT {by_bytes} NOT NULL DEFAULT ''"),
            "CREATE INDEX account_status ON account (tenant, status, id)",
            &format!("ALTER TABLE account ADD COLUMN payer_id {uuid}"),
            "CREATE INDEX account_payer ON account (payer_id) WHERE payer_id IS NOT NULL",
            &format!("CREATE TABLE attribute (digest {uuid} NOT NULL, object_id {uuid} NOT NULL, PRIMARY KEY (digest, object_id))"),
            "CREATE INDEX attribute_object ON attribute (object_id)",
        ] {
            manager.get_connection().execute_unprepared(statement).await?;
        }
        fill_search(manager, &dialect).await?;
        manager.get_connection().execute_unprepared("CREATE INDEX account_search ON account (tenant, search)").await?;
        Ok(())
    }
}

/// Fills the search texts of accounts here: the databases do not lower the case of every letter.
async fn fill_search(manager: &SchemaManager<'_>, dialect: &Dialect) -> Result<(), DbErr> {
    let (connection, backend) = (manager.get_connection(), manager.get_database_backend());
    let name = dialect.name;
    let sql = format!("SELECT id, {name} AS name, external_id FROM account WHERE id > $1 ORDER BY id LIMIT {ACCOUNTS}");
    let mut last = Uuid::nil();
    loop {
        let rows = connection.query_all_raw(Statement::from_sql_and_values(backend, &sql, [last.into()])).await?;
        for row in &rows {
            last = row.try_get("", "id")?;
            let (name, external_id): (String, Option<String>) = (row.try_get("", "name")?, row.try_get("", "external_id")?);
            let values = [search(&name, external_id.as_deref()).into(), last.into()];
            let update = Statement::from_sql_and_values(backend, "UPDATE account SET search = $1 WHERE id = $2", values);
            connection.execute_raw(update).await?;
        }
        if rows.is_empty() {
            return Ok(());
        }
    }
}
