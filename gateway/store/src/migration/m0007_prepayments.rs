//! What payments have left, to be found when an account is billed.

use sea_orm_migration::{prelude::*, sea_orm::DatabaseBackend};

pub struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &str {
        "m0007_prepayments"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    /// Whole or not at all, on SQLite too.
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // In millionths. Only whether anything is left is asked of it, so SQLite's floating point is exact enough.
        let left = if manager.get_database_backend() == DatabaseBackend::Postgres {
            "CAST(CAST(CAST(body AS jsonb) #>> '{unallocated,amount}' AS numeric) * 1000000 AS BIGINT)"
        } else {
            "CAST(CAST(json_extract(body, '$.unallocated.amount') AS REAL) * 1000000 AS INTEGER)"
        };
        for statement in [
            "ALTER TABLE payment ADD COLUMN unallocated BIGINT NOT NULL DEFAULT 0",
            &format!("UPDATE payment SET unallocated = {left}"),
            "CREATE INDEX payment_unallocated ON payment (account_id) WHERE unallocated > 0",
        ] {
            manager.get_connection().execute_unprepared(statement).await?;
        }
        Ok(())
    }
}
