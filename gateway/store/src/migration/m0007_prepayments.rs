//! What payments have left, to be found when an account is billed, and what is due of invoices, for the account's balance.

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
        // In millionths. SQLite has no exact decimals, but rounds to the right one below 9 * 10^9 units.
        let millionths = |member: &str| {
            if manager.get_database_backend() == DatabaseBackend::Postgres {
                format!("CAST(CAST(CAST(body AS jsonb) #>> '{{{member},amount}}' AS numeric) * 1000000 AS BIGINT)")
            } else {
                format!("CAST(ROUND(CAST(json_extract(body, '$.{member}.amount') AS REAL) * 1000000) AS INTEGER)")
            }
        };
        for statement in [
            "ALTER TABLE payment ADD COLUMN unallocated BIGINT NOT NULL DEFAULT 0",
            &format!("UPDATE payment SET unallocated = {}", millionths("unallocated")),
            "CREATE INDEX payment_unallocated ON payment (account_id) WHERE unallocated > 0",
            "ALTER TABLE invoice ADD COLUMN amount_due BIGINT NOT NULL DEFAULT 0",
            &format!("UPDATE invoice SET amount_due = {} WHERE status = 'open'", millionths("amountDue")),
        ] {
            manager.get_connection().execute_unprepared(statement).await?;
        }
        Ok(())
    }
}
