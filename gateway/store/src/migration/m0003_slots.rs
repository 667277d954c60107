//! Deliveries are found by the slot of their ordering key, not by a partition of their queue; and queues that are held.

use std::collections::HashMap;

use billwire_schemas::ids::{OrderingKey, Slot, TenantId};
use sea_orm_migration::{
    prelude::*,
    sea_orm::{DatabaseBackend, Statement, Value},
};
use uuid::Uuid;

pub struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &str {
        "m0003_slots"
    }
}

const STATEMENTS: &[&str] = &[
    "DROP INDEX delivery_due",
    "ALTER TABLE delivery RENAME COLUMN partition TO slot",
    // By lane first: deliveries that wait for a closed target must not slow down the reads of those that are due for others.
    "CREATE INDEX delivery_due ON delivery (slot, lane_id, next_attempt_at) WHERE state = 'waiting'",
    "CREATE INDEX delivery_waiting ON delivery (queue_id) WHERE state = 'waiting'",
    "DELETE FROM queue_progress",
    "ALTER TABLE queue_progress RENAME COLUMN partition TO slot",
    "CREATE TABLE held_queue (queue_id {uuid} PRIMARY KEY, tenant TEXT NOT NULL, position BIGINT NOT NULL)",
    "DELETE FROM lease WHERE name LIKE 'queue-%'",
    // Where nothing was delivered before, there is nothing to take over.
    "INSERT INTO setting (key, value) SELECT 'slots', '1' WHERE NOT EXISTS \
     (SELECT 1 FROM configuration WHERE kind IN ('queue', 'webhook_endpoint'))",
];

/// Deliveries read and written at once.
const PAGE: usize = 2_000;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    /// Whole or not at all, on SQLite too.
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let conn = manager.get_connection();
        let uuid = if manager.get_database_backend() == DatabaseBackend::Postgres { "UUID" } else { "BLOB" };
        for statement in STATEMENTS {
            conn.execute_unprepared(&statement.replace("{uuid}", uuid)).await?;
        }
        set_slots(manager).await
    }
}

/// Sets the slot of each delivery that may still be attempted. A slot is a hash, which SQL cannot compute.
async fn set_slots(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let (conn, backend) = (manager.get_connection(), manager.get_database_backend());
    let mut after = Uuid::nil();
    loop {
        let sql = format!("SELECT id, tenant, ordering_key FROM delivery WHERE id > $1 AND state <> 'succeeded' ORDER BY id LIMIT {PAGE}");
        let rows = conn.query_all_raw(Statement::from_sql_and_values(backend, sql, [after.into()])).await?;
        let mut by_slot: HashMap<u8, Vec<Uuid>> = HashMap::new();
        for row in &rows {
            let (tenant, key): (String, String) = (row.try_get("", "tenant")?, row.try_get("", "ordering_key")?);
            let parsed = tenant.parse::<TenantId>().ok().zip(key.parse::<OrderingKey>().ok());
            let (tenant, key) = parsed.ok_or_else(|| DbErr::Custom(format!("a delivery has the tenant {tenant:?} and key {key:?}")))?;
            after = row.try_get("", "id")?;
            by_slot.entry(Slot::of(&tenant, &key).number()).or_default().push(after);
        }
        for (slot, ids) in by_slot {
            let marks: Vec<String> = (2..ids.len() + 2).map(|n| format!("${n}")).collect();
            let sql = format!("UPDATE delivery SET slot = $1 WHERE id IN ({})", marks.join(", "));
            let values = std::iter::once(Value::from(i32::from(slot))).chain(ids.into_iter().map(Value::from));
            conn.execute_raw(Statement::from_sql_and_values(backend, sql, values)).await?;
        }
        if rows.len() < PAGE {
            return Ok(());
        }
    }
}
