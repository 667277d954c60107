//! What can go wrong with a database, by what the caller should do about it.

use std::sync::Arc;

use billwire_domain::Rejected;
use sea_orm::{ConnAcquireErr, DbErr, RuntimeErr, SqlErr};
use sqlx::{
    postgres::{PgDatabaseError, PgSeverity},
    sqlite::SqliteError,
};

/// A failure of the store. Except for [`Error::Unknown`], nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database is away, overloaded or timed out: retry later.
    #[error("the database is not available: {0}")]
    Unavailable(String),
    /// The database's disk is full, or refuses writes for another reason: retry when there is room.
    #[error("the database's storage is full: {0}")]
    StorageFull(String),
    /// The database was restored to an older moment than the stream knows: nothing is accepted until a person has recovered it.
    #[error("the database was restored to an older moment; stop the gateway and run `billwire recover`")]
    Restored,
    /// A lock was not free in time, or a statement or the operation exceeded its deadline: retry later.
    #[error("the database is busy: {0}")]
    Busy(String),
    /// Two transactions conflicted: retry at once.
    #[error("a concurrent change was met: {0}")]
    Contention(String),
    /// The connection broke or the log could not be flushed while committing, and the database cannot be read: the change may have
    /// been committed or not. A repeat with the same idempotency key settles it.
    #[error("whether the change was committed is not known: {0}")]
    Unknown(String),
    /// What the database holds is not what this program wrote.
    #[error("unexpected content in {table}: {detail}")]
    Corrupt {
        /// The table.
        table: &'static str,
        /// What is wrong.
        detail: String,
    },
    /// The database's files are damaged: only a backup helps.
    #[error("the database is damaged; stop the gateway and restore a backup: {0}")]
    Damaged(String),
    /// A programming or configuration error; the text is for the log.
    #[error("database error: {0}")]
    Other(String),
}

/// Why an operation was not committed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Failure {
    /// A rule refused it.
    #[error(transparent)]
    Rejected(#[from] Rejected),
    /// The database failed. Shared, since one failure may answer several units.
    #[error(transparent)]
    Store(Arc<Error>),
    /// Too many operations are queued.
    #[error("too many operations are waiting to be committed")]
    Overloaded,
    /// What it was prepared with (the configuration, or an external id) has changed meanwhile; nothing was changed.
    #[error("what the operation was prepared with has changed meanwhile")]
    Outdated,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Store(Arc::new(error))
    }
}

impl From<DbErr> for Error {
    fn from(error: DbErr) -> Self {
        // A reference to an object that is deleted concurrently: run again, the later operation is refused by its rule.
        if matches!(error.sql_err(), Some(SqlErr::UniqueConstraintViolation(_) | SqlErr::ForeignKeyConstraintViolation(_))) {
            return Self::Contention(error.to_string());
        }
        let connecting = matches!(error, DbErr::ConnectionAcquire(_) | DbErr::Conn(_));
        let text = if timed_out(&error) { NO_CONNECTION.to_owned() } else { error.to_string() };
        match class(driver(&error)) {
            Class::Full => Self::StorageFull(text),
            Class::Busy => Self::Busy(text),
            Class::Contention => Self::Contention(text),
            Class::Away => Self::Unavailable(text),
            Class::Damaged => Self::Damaged(text),
            Class::Other if connecting => Self::Unavailable(text),
            Class::Other => Self::Other(text),
        }
    }
}

impl Error {
    pub(crate) fn corrupt(table: &'static str) -> impl Fn(serde_json::Error) -> Self {
        move |error| Self::Corrupt { table, detail: error.to_string() }
    }

    /// The meaning of a failed COMMIT: only some failures say that nothing was changed.
    pub(crate) fn of_commit(error: DbErr) -> Self {
        let refused = match driver(&error) {
            Some(sqlx::Error::Database(told)) => match told.try_downcast_ref::<PgDatabaseError>() {
                // FATAL and PANIC end the connection, and may come after the commit.
                Some(told) => told.severity() == PgSeverity::Error,
                // When the log is written but cannot be flushed or indexed it may hold the whole commit, and a recovery would find it.
                None => sqlite_code(told.as_ref()).is_some_and(|code| code & 0xff != sqlite::IOERR || code == sqlite::IOERR_WRITE),
            },
            _ => false,
        };
        if refused { error.into() } else { Self::Unknown(error.to_string()) }
    }
}

/// The driver's error, if it is one.
fn driver(error: &DbErr) -> Option<&sqlx::Error> {
    match error {
        DbErr::Conn(RuntimeErr::SqlxError(told)) | DbErr::Exec(RuntimeErr::SqlxError(told)) | DbErr::Query(RuntimeErr::SqlxError(told)) => {
            Some(told)
        }
        _ => None,
    }
}

/// Whether no connection was to be had within the deadline.
pub(crate) fn timed_out(error: &DbErr) -> bool {
    matches!(error, DbErr::ConnectionAcquire(ConnAcquireErr::Timeout)) || matches!(driver(error), Some(sqlx::Error::PoolTimedOut))
}

/// What a pool that waited in vain does not tell.
const NO_CONNECTION: &str = "no connection within the deadline: the database does not accept one, or all are in use";

/// Whether the connection, and not the statement, failed: the same statement may succeed on another connection.
pub(crate) fn is_broken(error: &DbErr) -> bool {
    match driver(error) {
        Some(sqlx::Error::Database(told)) => {
            sqlite_code(told.as_ref()).is_none() && told.code().is_some_and(|state| state.starts_with("08") || ENDED.contains(&&*state))
        }
        Some(sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::Protocol(_)) => true,
        _ => false,
    }
}

/// SQLSTATEs with which PostgreSQL ends a connection: admin_shutdown, crash_shutdown, idle_in_transaction_session_timeout,
/// transaction_timeout, idle_session_timeout.
const ENDED: [&str; 5] = ["57P01", "57P02", "25P03", "25P04", "57P05"];

enum Class {
    Full,
    Busy,
    Contention,
    Away,
    Damaged,
    Other,
}

fn class(error: Option<&sqlx::Error>) -> Class {
    match error {
        Some(sqlx::Error::Database(told)) => match (sqlite_code(told.as_ref()), told.code()) {
            (Some(code), _) => sqlite::class(code),
            (None, Some(state)) => postgres_class(&state),
            (None, None) => Class::Other,
        },
        Some(
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::Protocol(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed
            | sqlx::Error::BeginFailed,
        ) => Class::Away,
        _ => Class::Other,
    }
}

/// The extended result code, if the error is SQLite's.
fn sqlite_code(error: &dyn sqlx::error::DatabaseError) -> Option<u32> {
    error.try_downcast_ref::<SqliteError>()?;
    error.code()?.parse().ok()
}

/// SQLite's result codes, <https://sqlite.org/rescode.html>. The lowest eight bits are the primary code.
mod sqlite {
    use super::Class;

    pub const IOERR: u32 = 10;
    pub const IOERR_WRITE: u32 = 778;

    pub fn class(code: u32) -> Class {
        const FULL: u32 = 13;
        // SQLITE_IOERR_WRITE, _FSYNC, _DIR_FSYNC, _TRUNCATE, _SHMOPEN, _SHMSIZE, _MMAP, _GETTEMPPATH: what cannot be written, flushed or
        // made longer. Some file systems say so by these when they are full or over a quota.
        const NO_MORE: [u32; 8] = [IOERR_WRITE, 1034, 1290, 1546, 4618, 4874, 6154, 6410];
        match code & 0xff {
            FULL => Class::Full,
            IOERR if NO_MORE.contains(&code) => Class::Full,
            // SQLITE_BUSY_SNAPSHOT: another connection has written since the transaction began. SQLITE_LOCKED.
            _ if code == 517 || code & 0xff == 6 => Class::Contention,
            // SQLITE_BUSY: another process holds the write lock.
            5 => Class::Busy,
            // SQLITE_NOMEM, SQLITE_READONLY, SQLITE_IOERR, SQLITE_CANTOPEN.
            7 | 8 | IOERR | 14 => Class::Away,
            // SQLITE_CORRUPT, SQLITE_NOTADB.
            11 | 26 => Class::Damaged,
            _ => Class::Other,
        }
    }
}

/// By SQLSTATE, <https://www.postgresql.org/docs/current/errcodes-appendix.html>.
fn postgres_class(state: &str) -> Class {
    match state {
        // disk_full: every ENOSPC, also that of a temporary file and of shared memory.
        "53100" => Class::Full,
        // serialization_failure, deadlock_detected.
        "40001" | "40P01" => Class::Contention,
        // lock_not_available (the lock timeout), query_canceled (the statement timeout).
        "55P03" | "57014" => Class::Busy,
        // read_only_sql_transaction (a standby), and the ends of a session that was idle or too long in a transaction.
        "25006" | "25P03" | "25P04" => Class::Away,
        // data_corrupted, index_corrupted.
        "XX001" | "XX002" => Class::Damaged,
        // Connection exceptions, insufficient resources, operator intervention (shutdown, crash, starting up), system errors.
        _ if ["08", "53", "57P", "58"].iter().any(|class| state.starts_with(class)) => Class::Away,
        _ => Class::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_to_do_is_told_by_code() {
        let told = |class| match class {
            Class::Full => "full",
            Class::Busy => "busy",
            Class::Contention => "contention",
            Class::Away => "away",
            Class::Damaged => "damaged",
            Class::Other => "other",
        };
        // Of SQLite: FULL, IOERR_WRITE, IOERR_FSYNC, IOERR_SHMSIZE, IOERR_READ, BUSY, BUSY_SNAPSHOT, CANTOPEN, READONLY_DBMOVED, ERROR, CORRUPT_INDEX.
        let codes = [13, 778, 1034, 4874, 266, 5, 517, 14, 1032, 1, 779];
        let classes = codes.map(|code| told(sqlite::class(code)));
        assert_eq!(classes, ["full", "full", "full", "full", "away", "busy", "contention", "away", "away", "other", "damaged"]);
        // disk_full, out_of_memory, io_error, admin_shutdown, connection_failure, deadlock_detected, syntax_error.
        let states = ["53100", "53200", "58030", "57P01", "08006", "40P01", "42601"];
        assert_eq!(states.map(|state| told(postgres_class(state))), ["full", "away", "away", "away", "away", "contention", "other"]);
        // lock_not_available, query_canceled, read_only_sql_transaction, idle_in_transaction_session_timeout, too_many_connections, index_corrupted.
        let states = ["55P03", "57014", "25006", "25P03", "53300", "XX002"];
        assert_eq!(states.map(|state| told(postgres_class(state))), ["busy", "busy", "away", "away", "away", "damaged"]);
    }
}
