//! The credentials of API keys. The keys of version 0.2 are taken over when the master key is known (`access/former_keys.rs`).

use sea_orm_migration::{prelude::*, sea_orm::DatabaseBackend};

pub struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &str {
        "m0008_access"
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
                "CREATE TABLE credential (hash TEXT PRIMARY KEY, tenant TEXT NOT NULL, api_key_id {uuid} NOT NULL, \
                 ends_at BIGINT, last_used_at BIGINT)"
            ),
            "CREATE INDEX credential_api_key ON credential (api_key_id)",
            "CREATE INDEX credential_tenant ON credential (tenant)",
            "CREATE TABLE tenant_deletion (tenant TEXT PRIMARY KEY, requested_at BIGINT NOT NULL, deleted_rows BIGINT NOT NULL, \
             messages BIGINT NOT NULL, part TEXT, completed_at BIGINT)",
        ] {
            manager.get_connection().execute_unprepared(statement).await?;
        }
        Ok(())
    }
}
