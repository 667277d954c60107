//! The issuers and audiences of identity providers: each pair belongs to one tenant. The providers themselves are configuration.

use sea_orm_migration::{prelude::*, sea_orm::DatabaseBackend};

pub struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &str {
        "m0010_identity_providers"
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
        let table = format!(
            "CREATE TABLE identity_provider (id {uuid} PRIMARY KEY, tenant TEXT NOT NULL, issuer TEXT NOT NULL, audience TEXT NOT NULL, \
             UNIQUE (issuer, audience))"
        );
        for statement in [table.as_str(), "CREATE INDEX identity_provider_tenant ON identity_provider (tenant)"] {
            manager.get_connection().execute_unprepared(statement).await?;
        }
        Ok(())
    }
}
