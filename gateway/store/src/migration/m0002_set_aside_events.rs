//! Events that are too large for the stream, apart from the outbox.

use sea_orm_migration::prelude::*;

pub struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &str {
        "m0002_set_aside_events"
    }
}

const STATEMENTS: &[&str] = &[
    // `size_max` is the limit that an event was too large for; absent: it only waits behind one of its ordering key.
    "CREATE TABLE set_aside_event (position BIGINT PRIMARY KEY, tenant TEXT NOT NULL, ordering_key TEXT NOT NULL, size BIGINT NOT NULL,
        size_max BIGINT, set_aside_at BIGINT NOT NULL, redrive BOOLEAN NOT NULL)",
    "CREATE INDEX set_aside_event_key ON set_aside_event (tenant, ordering_key, position)",
    "CREATE INDEX set_aside_event_large ON set_aside_event (tenant, position) WHERE size_max IS NOT NULL",
    "CREATE INDEX set_aside_event_redrive ON set_aside_event (tenant, ordering_key) WHERE redrive",
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
