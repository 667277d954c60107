//! Up to where each tenant's rows are purged, and the indexes that the purge and the clock need.

use sea_orm_migration::{prelude::*, sea_orm::DatabaseBackend};

pub struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &str {
        "m0006_retention"
    }
}

const STATEMENTS: &[&str] = &[
    // `deleted_before` and `last_id` tell what is gone from what never was; `reached` and `due` tell how far behind the purge is.
    "CREATE TABLE purge (tenant TEXT NOT NULL, kind TEXT NOT NULL, deleted_before BIGINT NOT NULL, last_id {uuid} NOT NULL,
        reached BIGINT NOT NULL, due BIGINT NOT NULL, PRIMARY KEY (tenant, kind))",
    // Whether an event is settled is asked by its position.
    "CREATE INDEX published_position ON published (position)",
    // What is due is found tenant by tenant, where it is much.
    "CREATE INDEX account_due_of_tenant ON account (tenant, due_at) WHERE due_at IS NOT NULL",
    "CREATE INDEX usage_identifier_due_of_tenant ON usage_identifier (tenant, due_at) WHERE due_at IS NOT NULL",
    "CREATE INDEX contract_due_of_tenant ON contract (tenant, due_at) WHERE due_at IS NOT NULL",
    "CREATE INDEX invoice_due_of_tenant ON invoice (tenant, due_at) WHERE due_at IS NOT NULL",
    // Each tenant has a retention of its own.
    "ALTER TABLE attempt ADD COLUMN tenant TEXT NOT NULL DEFAULT ''",
    "UPDATE attempt SET tenant = COALESCE((SELECT delivery.tenant FROM delivery WHERE delivery.id = attempt.delivery_id), '')",
    "DELETE FROM attempt WHERE tenant = ''",
    "CREATE INDEX attempt_age ON attempt (tenant, at)",
    "DROP INDEX idempotency_age",
    "CREATE INDEX idempotency_age ON idempotency (tenant, created_at)",
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    /// Whole or not at all, on SQLite too.
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let uuid = if manager.get_database_backend() == DatabaseBackend::Postgres { "UUID" } else { "BLOB" };
        for statement in STATEMENTS {
            manager.get_connection().execute_unprepared(&statement.replace("{uuid}", uuid)).await?;
        }
        Ok(())
    }
}
