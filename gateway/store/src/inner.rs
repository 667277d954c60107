//! The database's connections, and what every module of this crate does with them.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64},
};

use aws_lc_rs::hmac;
use billwire_monitoring::metrics::METRICS;
use sea_orm::{
    ConnectionTrait, DatabaseBackend, DatabaseConnection, DbErr, RuntimeErr, SqliteTransactionMode, Statement, TransactionOptions,
    TransactionTrait,
};
use tokio::{
    sync::{OnceCell, mpsc, watch},
    time::Instant,
};

use crate::{
    audit::ChainKey,
    by_revision::KnownConfiguration,
    commit::job::Job,
    deadlines::Deadlines,
    error::{Error, is_broken},
    reader::Reader,
    secrets::Sealer,
    throughput::Counted,
    transaction::{Distrust, Transaction},
    wake::{self, Wake},
};

/// Which database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backend {
    /// SQLite: one writer, WAL, `synchronous=FULL`.
    Sqlite,
    /// PostgreSQL 15 or newer, `synchronous_commit=on`.
    Postgres,
}

/// The database. Cheap to clone.
#[derive(Clone)]
pub struct Store(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub backend: Backend,
    pub write: DatabaseConnection,
    /// For group commit. PostgreSQL: a connection for each writer task, with lock timeouts of their own. SQLite: that of `write`.
    pub group: DatabaseConnection,
    /// SQLite: a connection whose commits do not wait for the disk. PostgreSQL: none, each transaction says so itself.
    pub lazy: Option<DatabaseConnection>,
    /// SQLite: connections of their own. PostgreSQL: those of `write`.
    pub read: Reader,
    /// For leases. PostgreSQL: a connection of its own, so that no renewal waits for other work. SQLite: that of `write`.
    pub leases: DatabaseConnection,
    /// Which connections of `write` must not be used again.
    pub distrust: Arc<Distrust>,
    pub deadlines: Deadlines,
    pub sealer: Sealer,
    /// The key of the hashes of API keys' texts, once it is read.
    pub hash_key: OnceCell<hmac::Key>,
    /// The key of the audit's chains, once it is read.
    pub chain_key: ChainKey,
    /// The queues of the writer tasks.
    pub writers: Vec<mpsc::Sender<Job>>,
    /// Whether the last group that was written found no room.
    pub storage_full: AtomicBool,
    /// Whether the database was restored to an older moment than the stream knows.
    pub restored: AtomicBool,
    /// Who waits for commits.
    pub wake: Wake,
    /// Configuration that was read.
    pub known: KnownConfiguration,
    /// The largest message that the stream accepts, as far as this process knows.
    pub max_payload: AtomicU64,
    /// What was counted and not saved.
    pub throughput: Counted,
}

impl Store {
    /// Which database this is.
    pub fn backend(&self) -> Backend {
        self.0.backend
    }

    /// Seals and opens secrets at rest.
    pub fn sealer(&self) -> &Sealer {
        &self.0.sealer
    }

    /// Resolves after a commit with events to publish. A notification of another process may be lost, so poll as well.
    pub async fn committed(&self) {
        self.0.wake.committed.notified().await;
    }

    /// Reports to this process that the configuration has changed; a commit does so itself.
    pub fn report_configured(&self) {
        self.0.wake.here(wake::CONFIGURATION);
    }

    /// Changes with each commit of configuration.
    pub fn configured(&self) -> watch::Receiver<u64> {
        self.0.wake.configured.subscribe()
    }

    /// Reports that deliveries were stored, or became due, other than by the engine; the commit of an operation on deliveries does so itself.
    pub fn report_enqueued(&self) {
        self.0.wake.everywhere(wake::DELIVERIES);
    }

    /// Changes with each [`Store::report_enqueued`], and with each commit of an operation on deliveries.
    pub fn enqueued(&self) -> watch::Receiver<u64> {
        self.0.wake.enqueued.subscribe()
    }

    /// Checks that the database answers.
    ///
    /// # Errors
    /// When it does not.
    pub async fn ping(&self) -> Result<(), Error> {
        self.0.read.query_one_raw(self.statement("SELECT 1", [])).await?;
        Ok(())
    }

    pub(crate) async fn begin(&self) -> Result<Transaction, Error> {
        self.0.begin().await
    }

    /// A transaction that is done again if it is lost with the machine: it does not wait for the disk, and later commits bring it there with
    /// them.
    pub(crate) async fn begin_repeatable(&self) -> Result<Transaction, Error> {
        let Some(lazy) = &self.0.lazy else {
            let transaction = self.begin().await?;
            transaction.execute_unprepared("SET LOCAL synchronous_commit = off").await?;
            return Ok(transaction);
        };
        // Whoever holds the writer's connection does not meet its lock, for which SQLite would wait by looking again and again.
        let writer = self.0.write.get_sqlite_connection_pool().acquire().await;
        let writer = writer.map_err(|error| DbErr::Conn(RuntimeErr::SqlxError(error.into())))?;
        Ok(self.0.begin_patiently(lazy).await?.instead_of(writer))
    }

    pub(crate) fn statement<I: IntoIterator<Item = sea_orm::Value>>(&self, sql: &str, values: I) -> Statement {
        Statement::from_sql_and_values(self.0.dialect(), sql, values)
    }
}

impl Inner {
    pub fn dialect(&self) -> DatabaseBackend {
        match self.backend {
            Backend::Sqlite => DatabaseBackend::Sqlite,
            Backend::Postgres => DatabaseBackend::Postgres,
        }
    }

    /// A transaction that may write. While another process holds SQLite's write lock, it waits.
    pub async fn begin(&self) -> Result<Transaction, Error> {
        self.begin_patiently(&self.write).await
    }

    /// The same on one of these connections.
    async fn begin_patiently(&self, connections: &DatabaseConnection) -> Result<Transaction, Error> {
        let until = Instant::now() + self.deadlines.lock;
        loop {
            match self.begin_on(connections).await {
                Err(Error::Busy(_)) if self.backend == Backend::Sqlite && Instant::now() < until => {}
                done => return done,
            }
        }
    }

    /// A transaction that may write, on one of these connections. On SQLite it takes the write lock at once: a read that turns into a write
    /// later would fail after another writer's commit. A lost connection is replaced once.
    pub async fn begin_on(&self, connections: &DatabaseConnection) -> Result<Transaction, Error> {
        let waits = Instant::now();
        let begun = match self.begin_once(connections).await? {
            Err(error) if is_broken(&error) => {
                self.distrust.note_lost();
                self.begin_once(connections).await?
            }
            begun => begun,
        };
        METRICS.transaction_begin_seconds.observe(waits.elapsed().as_secs_f64());
        begun.map_err(Error::from)
    }

    async fn begin_once(&self, connections: &DatabaseConnection) -> Result<Result<Transaction, DbErr>, Error> {
        let immediate = (self.backend == Backend::Sqlite).then_some(SqliteTransactionMode::Immediate);
        let options = TransactionOptions { sqlite_transaction_mode: immediate, ..Default::default() };
        let (connections, distrust) = (connections.clone(), self.distrust.clone());
        // A task of its own: sqlx loses sight of a transaction whose caller is dropped while BEGIN is under way. The connection would go back
        // to the pool inside it, and what others write there would not be committed.
        let begun = tokio::spawn(async move { connections.begin_with_options(options).await });
        let begun = begun.await.map_err(|error| Error::Other(error.to_string()))?;
        Ok(begun.map(|begun| Transaction::new(begun, distrust)))
    }

    /// Distrusts every connection for writes that is open now.
    pub fn distrust(&self) {
        self.distrust.note();
    }

    /// SQL for the database's own clock, in microseconds: leases of several processes must agree on the time.
    pub fn now_sql(&self) -> &'static str {
        match self.backend {
            Backend::Sqlite => "CAST(unixepoch('subsec') * 1000000 AS INTEGER)",
            Backend::Postgres => "CAST(extract(epoch from clock_timestamp()) * 1000000 AS BIGINT)",
        }
    }
}
