//! Lists of events by ordering key or object read those events only, on SQLite. Without statistics, its planner prefers the index that
//! gives the order, and reads all events of the tenant; that of PostgreSQL does not.

use sea_orm_migration::{prelude::*, sea_orm::DatabaseBackend};

pub struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &str {
        "m0004_event_lists"
    }
}

const STATEMENTS: &[&str] = &[
    "DROP INDEX event_object",
    "CREATE INDEX event_object ON event (tenant, object_id, occurred_at, id)",
    "CREATE INDEX event_key ON event (tenant, ordering_key, occurred_at, id)",
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    /// Whole or not at all, on SQLite too.
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        if manager.get_database_backend() == DatabaseBackend::Sqlite {
            for statement in STATEMENTS {
                manager.get_connection().execute_unprepared(statement).await?;
            }
        }
        Ok(())
    }
}
