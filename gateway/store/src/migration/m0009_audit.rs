//! The audit: entries as they are made (`audit_new`), and chained (`audit_entry`). No entry is ever changed.

use sea_orm_migration::{prelude::*, sea_orm::DatabaseBackend};

pub struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &str {
        "m0009_audit"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    /// Whole or not at all, on SQLite too.
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let uuid = if manager.get_database_backend() == DatabaseBackend::Postgres { "UUID" } else { "BLOB" };
        for statement in [
            &format!(
                "CREATE TABLE audit_new (id {uuid} PRIMARY KEY, tenant TEXT NOT NULL, kind TEXT NOT NULL, occurred_at BIGINT NOT NULL, \
                 body TEXT NOT NULL)"
            ),
            &format!(
                "CREATE TABLE audit_entry (tenant TEXT NOT NULL, number BIGINT NOT NULL, id {uuid} NOT NULL, kind TEXT NOT NULL, \
                 occurred_at BIGINT NOT NULL, body TEXT NOT NULL, hash TEXT NOT NULL, PRIMARY KEY (tenant, number))"
            ),
            "CREATE INDEX audit_entry_occurred ON audit_entry (tenant, occurred_at, id)",
            // The last entry of each tenant, and the last one deleted after its retention, so that none is deleted unnoticed.
            "CREATE TABLE audit_head (tenant TEXT PRIMARY KEY, number BIGINT NOT NULL, hash TEXT NOT NULL, seal TEXT NOT NULL, \
             purged BIGINT NOT NULL DEFAULT 0, purged_hash TEXT NOT NULL DEFAULT '', purged_seal TEXT NOT NULL DEFAULT '')",
        ] {
            manager.get_connection().execute_unprepared(statement).await?;
        }
        Ok(())
    }
}
