//! Moves what SQLite's log holds into its database, beside the writer: left to the writer, one commit in twenty or so would wait for it.

use std::{sync::Weak, time::Duration};

use sea_orm::{ConnectionTrait, DatabaseBackend, DatabaseConnection, DbErr, Statement};
use tokio::time::sleep;

use crate::inner::Inner;

/// How often the log is looked at.
const EVERY: Duration = Duration::from_millis(50);
/// The same while nothing is written.
const IDLE: Duration = Duration::from_millis(500);
/// Pages in the log from which on they are moved. SQLite's own default is 1000.
const PAGES: i64 = 500;
/// Pages in the log at which the writer moves them itself: it outruns the checkpoints, which end at the writer's last page of the time they
/// begin. 16 MiB.
pub(crate) const WRITER_PAGES: u32 = 4_000;

/// Checkpoints on a connection of its own for as long as the store is open.
pub(crate) async fn run(inner: Weak<Inner>, connection: DatabaseConnection) {
    while inner.upgrade().is_some() {
        let pause = match step(&connection).await {
            Ok(true) => EVERY,
            Ok(false) => IDLE,
            Err(error) => {
                // The writer does it once the log is long.
                tracing::debug!(%error, "a checkpoint of SQLite failed");
                IDLE
            }
        };
        sleep(pause).await;
    }
}

/// Gives whether anything was in the log.
async fn step(connection: &DatabaseConnection) -> Result<bool, DbErr> {
    let pragma = |how: &str| Statement::from_string(DatabaseBackend::Sqlite, format!("PRAGMA wal_checkpoint({how})"));
    let Some(row) = connection.query_one_raw(pragma("NOOP")).await? else { return Ok(false) };
    let (pages, moved): (i64, i64) = (row.try_get_by_index(1)?, row.try_get_by_index(2)?);
    if pages - moved >= PAGES {
        connection.query_one_raw(pragma("PASSIVE")).await?;
    }
    Ok(pages > moved)
}
