//! How far the consumers of stream subscriptions are: a consumer that the nats-server has lost goes on from there.

use sea_orm_migration::{prelude::*, sea_orm::DatabaseBackend};

pub struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &str {
        "m0011_stream_subscriptions"
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
        // One row for each stream subscription, deleted with it.
        let table = format!(
            "CREATE TABLE stream_progress (subscription_id {uuid} PRIMARY KEY, tenant TEXT NOT NULL, resets BIGINT NOT NULL, epoch TEXT, \
             settled BIGINT NOT NULL, pending BIGINT, outstanding BIGINT, acknowledged_at BIGINT, observed_at BIGINT)"
        );
        manager.get_connection().execute_unprepared(&table).await?;
        manager.get_connection().execute_unprepared("CREATE INDEX stream_progress_tenant ON stream_progress (tenant)").await?;
        Ok(())
    }
}
