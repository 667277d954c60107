//! What can go wrong with a database, by what the caller should do about it.

use sea_orm::{DbErr, SqlErr};

/// A failure of the store. Except for [`Error::Unknown`], nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database is away, overloaded or timed out: try again later.
    #[error("the database is not available: {0}")]
    Unavailable(String),
    /// Two transactions met: try again at once.
    #[error("a concurrent change was met: {0}")]
    Contention(String),
    /// The connection broke while committing and the database cannot be asked: the change may stand or not. A repeat under
    /// the same idempotency key settles it.
    #[error("whether the change was committed is not known: {0}")]
    Unknown(String),
    /// What the database holds is not what this program wrote.
    #[error("unexpected content in {table}: {detail}")]
    Corrupt {
        /// Where.
        table: &'static str,
        /// What.
        detail: String,
    },
    /// A programming or configuration error; the text is for the log.
    #[error("database error: {0}")]
    Other(String),
}

impl From<DbErr> for Error {
    fn from(error: DbErr) -> Self {
        // A reference to what is being deleted meanwhile: decided again, the one that comes second is refused by its rule.
        if matches!(error.sql_err(), Some(SqlErr::UniqueConstraintViolation(_) | SqlErr::ForeignKeyConstraintViolation(_))) {
            return Self::Contention(error.to_string());
        }
        let text = error.to_string();
        // SQLSTATE 40001, 40P01 (serialization failure, deadlock) and SQLITE_BUSY.
        if text.contains("deadlock") || text.contains("could not serialize") || text.contains("database is locked") {
            return Self::Contention(text);
        }
        match error {
            DbErr::ConnectionAcquire(_) | DbErr::Conn(_) => Self::Unavailable(text),
            _ if text.contains("disk I/O error") || text.contains("connection") || text.contains("database or disk is full") => {
                Self::Unavailable(text)
            }
            _ => Self::Other(text),
        }
    }
}

impl Error {
    pub(crate) fn corrupt(table: &'static str) -> impl Fn(serde_json::Error) -> Self {
        move |error| Self::Corrupt { table, detail: error.to_string() }
    }
}
