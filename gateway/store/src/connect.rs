//! Opening a database with the settings that its durability needs.

use std::{
    path::Path,
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

use billwire_schemas::events::size::MAX_PAYLOAD_DEFAULT;
use sea_orm::{
    ConnectOptions, ConnectionTrait, Database, DatabaseBackend, DatabaseConnection, SqliteTransactionMode, Statement, TransactionOptions,
    TransactionTrait,
};
use sea_orm_migration::MigratorTrait;
use sqlx::sqlite::{SqliteJournalMode, SqliteSynchronous};
use tokio::sync::watch;

use crate::{
    commit::Writers,
    error::Error,
    migration::Migrator,
    secrets::Sealer,
    transaction::{Distrust, Transaction, is_idle},
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

/// How to open a store.
#[derive(Debug, Clone)]
pub struct Options {
    /// `sqlite://<path>` or `postgres://…`.
    pub url: String,
    /// Connections for reads and for work besides group commit (PostgreSQL), or for reads (SQLite). Default 8.
    pub connections: u32,
    /// Operations queued for commit before new ones are refused. Default 4096.
    pub backlog_max: usize,
    /// Operations in one group at most. Default 128.
    pub group_max: usize,
    /// Tasks that commit groups, each with its share of the ordering keys. Default 2 on PostgreSQL; SQLite always has 1.
    pub writers: usize,
}

impl Options {
    /// The defaults for `url`.
    pub fn new(url: impl Into<String>) -> Self {
        Self { url: url.into(), connections: 8, backlog_max: 4096, group_max: 128, writers: 2 }
    }
}

/// The database. Cheap to clone.
#[derive(Clone)]
pub struct Store(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub backend: Backend,
    pub write: DatabaseConnection,
    /// SQLite: connections of their own. PostgreSQL: the same pool.
    pub read: DatabaseConnection,
    /// For leases. PostgreSQL: a connection of its own, so that no renewal waits for other work. SQLite: that of `write`.
    pub leases: DatabaseConnection,
    /// Which connections of `write` must not be used again.
    distrust: Arc<Distrust>,
    pub sealer: Sealer,
    pub writers: Writers,
    /// Who waits for commits.
    pub wake: Wake,
    /// The largest message that the stream accepts, as far as this process knows.
    pub max_payload: AtomicU64,
}

/// The oldest SQLite that is free of the WAL-reset corruption bug.
const SQLITE_MIN: (u32, u32, u32) = (3, 51, 3);

impl Store {
    /// Opens the database, creating or migrating its tables.
    ///
    /// # Errors
    /// When it cannot be reached, is too old, or a migration fails.
    pub async fn open(options: Options, sealer: Sealer) -> Result<Self, Error> {
        let distrust = Distrust::new();
        let (backend, write, read, leases) = if let Some(path) = options.url.strip_prefix("sqlite://") {
            let path = path.split('?').next().unwrap_or(path);
            if let Some(folder) = Path::new(path).parent() {
                std::fs::create_dir_all(folder).map_err(|e| Error::Unavailable(format!("{}: {e}", folder.display())))?;
            }
            let write = sqlite(path, 1, distrust.clone()).await?;
            check_sqlite(&write).await?;
            (Backend::Sqlite, write.clone(), sqlite(path, options.connections, Distrust::new()).await?, write)
        } else {
            let pool = postgres(&options, options.connections.max(4), distrust.clone()).await?;
            (Backend::Postgres, pool.clone(), pool, postgres(&options, 1, Distrust::new()).await?)
        };
        let store = Self(Arc::new_cyclic(|inner| Inner {
            backend,
            write,
            read,
            leases,
            distrust,
            sealer,
            writers: Writers::start(inner.clone(), backend, &options),
            wake: Wake::new(),
            max_payload: AtomicU64::new(MAX_PAYLOAD_DEFAULT),
        }));
        store.migrate().await?;
        if backend == Backend::Postgres {
            tokio::spawn(wake::announce(Arc::downgrade(&store.0)));
            tokio::spawn(wake::listen(Arc::downgrade(&store.0), options.url.clone()));
        }
        store.learn_max_payload().await?;
        Ok(store)
    }

    /// Brings the tables to this program's version. Two processes that start together take turns.
    async fn migrate(&self) -> Result<(), Error> {
        const LOCK: i64 = 0x6269_6c6c; // "bill"
        match self.0.backend {
            Backend::Sqlite => Migrator::up(&self.0.write, None).await?,
            Backend::Postgres => {
                let guard = self.begin().await?;
                let lock = Statement::from_sql_and_values(DatabaseBackend::Postgres, "SELECT pg_advisory_xact_lock($1)", [LOCK.into()]);
                guard.query_one_raw(lock).await?;
                Migrator::up(&self.0.write, None).await?;
                guard.commit().await?;
            }
        }
        Ok(())
    }

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
        self.0.read.execute_unprepared("SELECT 1").await?;
        Ok(())
    }

    pub(crate) async fn begin(&self) -> Result<Transaction, Error> {
        self.0.begin().await
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

    /// A transaction that may write. On SQLite it takes the write lock at once: a read that turns into a write later would
    /// fail after another writer's commit.
    pub async fn begin(&self) -> Result<Transaction, Error> {
        let immediate = (self.backend == Backend::Sqlite).then_some(SqliteTransactionMode::Immediate);
        let options = TransactionOptions { sqlite_transaction_mode: immediate, ..Default::default() };
        let write = self.write.clone();
        // A task of its own: sqlx loses sight of a transaction whose caller is dropped while BEGIN is under way. The connection would go back
        // to the pool inside it, and what others write there would not be committed.
        let begun = tokio::spawn(async move { write.begin_with_options(options).await });
        let begun = begun.await.map_err(|error| Error::Other(error.to_string()))?;
        Ok(Transaction::new(begun?, self.distrust.clone()))
    }

    /// SQL for the database's own clock, in microseconds: leases of several processes must agree on the time.
    pub fn now_sql(&self) -> &'static str {
        match self.backend {
            Backend::Sqlite => "CAST(unixepoch('subsec') * 1000000 AS INTEGER)",
            Backend::Postgres => "CAST(extract(epoch from clock_timestamp()) * 1000000 AS BIGINT)",
        }
    }
}

async fn sqlite(path: &str, connections: u32, distrust: Arc<Distrust>) -> Result<DatabaseConnection, Error> {
    let mut options = ConnectOptions::new(format!("sqlite://{path}?mode=rwc"));
    options
        .max_connections(connections)
        .test_before_acquire(false)
        .sqlx_logging(false)
        .acquire_timeout(Duration::from_secs(10))
        .map_sqlx_sqlite_opts(|o| {
            o.journal_mode(SqliteJournalMode::Wal)
                .synchronous(SqliteSynchronous::Full)
                .busy_timeout(Duration::from_secs(10))
                .statement_cache_capacity(256)
        })
        .map_sqlx_sqlite_before_acquire(move |_, connection| {
            let allowed = distrust.allows(&connection);
            Box::pin(async move { Ok(allowed) })
        })
        .map_sqlx_sqlite_pool_opts(|o| o.after_release(|connection, _| Box::pin(is_idle(connection))));
    Ok(Database::connect(options).await?)
}

async fn postgres(options: &Options, connections: u32, distrust: Arc<Distrust>) -> Result<DatabaseConnection, Error> {
    let mut connect = ConnectOptions::new(options.url.clone());
    connect
        .max_connections(connections)
        .test_before_acquire_if_idle_for(Duration::from_secs(30))
        .sqlx_logging(false)
        .acquire_timeout(Duration::from_secs(10))
        .map_sqlx_postgres_opts(|o| {
            // A prepared statement keeps the plan it got when its table was small: a scan of the whole table, harmless for a hundred
            // rows and far too slow for a million. Every frequent query has an index, so scans are switched off.
            o.options([("synchronous_commit", "on"), ("enable_seqscan", "off")]).statement_cache_capacity(512)
        })
        .map_sqlx_postgres_before_acquire(move |_, connection| {
            let allowed = distrust.allows(&connection);
            Box::pin(async move { Ok(allowed) })
        })
        .map_sqlx_postgres_pool_opts(|o| o.after_release(|connection, _| Box::pin(is_idle(connection))));
    Ok(Database::connect(connect).await?)
}

async fn check_sqlite(connection: &DatabaseConnection) -> Result<(), Error> {
    let row = connection.query_one_raw(Statement::from_string(DatabaseBackend::Sqlite, "SELECT sqlite_version() AS v")).await?;
    let version: String = row.map(|row| row.try_get("", "v")).transpose()?.unwrap_or_default();
    let mut numbers = version.split('.').map(|n| n.parse::<u32>().unwrap_or(0));
    let found = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if found < SQLITE_MIN {
        return Err(Error::Other(format!("SQLite {version} has a bug that can corrupt the write-ahead log; 3.51.3 or newer is needed")));
    }
    Ok(())
}
