//! How much each tenant had in each minute: operations, events, deliveries.

use sea_orm_migration::prelude::*;

pub struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &str {
        "m0013_throughput"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    /// Whole or not at all, on SQLite too.
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let table = "CREATE TABLE throughput (tenant TEXT NOT NULL, minute BIGINT NOT NULL, operations BIGINT NOT NULL, events BIGINT NOT NULL, \
                     delivered BIGINT NOT NULL, failed BIGINT NOT NULL, dead BIGINT NOT NULL, PRIMARY KEY (tenant, minute))";
        manager.get_connection().execute_unprepared(table).await?;
        manager.get_connection().execute_unprepared("CREATE INDEX throughput_minute ON throughput (minute)").await?;
        Ok(())
    }
}
