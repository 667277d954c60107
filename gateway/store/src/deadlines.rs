//! How long the database may take.

use std::time::Duration;

/// How long the database may take before an operation is refused.
#[derive(Debug, Clone, Copy)]
pub struct Deadlines {
    /// The wait for a connection or a lock. Default 5 s.
    pub lock: Duration,
    /// One statement (PostgreSQL). Default 15 s.
    pub statement: Duration,
    /// A transaction in which no statement runs (PostgreSQL). Default 10 s.
    pub idle: Duration,
    /// A whole operation: half of it in the queue, half of it at work. Default 20 s.
    pub operation: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        let [lock, statement, idle, operation] = [5, 15, 10, 20].map(Duration::from_secs);
        Self { lock, statement, idle, operation }
    }
}

impl Deadlines {
    /// How long a group of operations waits for the lock of one of its ordering keys, before the operation that needs it waits alone.
    pub(crate) fn lock_of_group(&self) -> Duration {
        self.lock / 25
    }

    /// How long a group waits for any other lock.
    pub(crate) fn later_lock_of_group(&self) -> Duration {
        self.lock / 2
    }

    /// How long one BEGIN waits while another process has locked SQLite. The wait is repeated; meanwhile the connection is free for others.
    pub(crate) fn sqlite_lock(&self) -> Duration {
        self.lock / 25
    }
}

/// The timeouts of PostgreSQL's sessions.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timeouts {
    pub lock: Duration,
    pub statement: Duration,
    pub idle: Duration,
}

impl Timeouts {
    /// No timeouts, for migrations: zero is what PostgreSQL calls none.
    pub const NONE: Self = Self { lock: Duration::ZERO, statement: Duration::ZERO, idle: Duration::ZERO };

    /// The session settings of these timeouts, in milliseconds.
    pub fn settings(self) -> [(&'static str, String); 3] {
        let ms = |timeout: Duration| timeout.as_millis().to_string();
        [("lock_timeout", ms(self.lock)), ("statement_timeout", ms(self.statement)), ("idle_in_transaction_session_timeout", ms(self.idle))]
    }
}

impl From<Deadlines> for Timeouts {
    fn from(of: Deadlines) -> Self {
        Self { lock: of.lock, statement: of.statement, idle: of.idle }
    }
}
