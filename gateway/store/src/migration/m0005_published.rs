//! Where each event stands on the stream, and up to where each reader has settled the stream.

use sea_orm_migration::prelude::*;

pub struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &str {
        "m0005_published"
    }
}

const STATEMENTS: &[&str] = &[
    "CREATE TABLE published (sequence BIGINT PRIMARY KEY, slot INTEGER NOT NULL, position BIGINT NOT NULL, at BIGINT NOT NULL)",
    "CREATE INDEX published_slot ON published (slot, sequence)",
    "CREATE TABLE settled (reader INTEGER PRIMARY KEY, sequence BIGINT NOT NULL, generation BIGINT NOT NULL)",
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    /// Whole or not at all, on SQLite too.
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for statement in STATEMENTS {
            manager.get_connection().execute_unprepared(statement).await?;
        }
        Ok(())
    }
}
