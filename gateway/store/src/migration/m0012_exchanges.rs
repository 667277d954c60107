//! What was sent and what came back of attempts over HTTP.

use sea_orm_migration::prelude::*;

pub struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &str {
        "m0012_exchanges"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    /// Whole or not at all, on SQLite too.
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // A failed attempt has its row in `attempt`; one that succeeded is in the row of its delivery alone.
        for table in ["attempt", "delivery"] {
            manager.get_connection().execute_unprepared(&format!("ALTER TABLE {table} ADD COLUMN exchange TEXT")).await?;
        }
        Ok(())
    }
}
