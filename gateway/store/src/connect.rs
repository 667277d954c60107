//! Opening a database with the settings that its durability needs.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64},
    },
    time::Duration,
};

use billwire_schemas::events::size::MAX_PAYLOAD_DEFAULT;
use sea_orm::{ConnectOptions, ConnectionTrait, Database, DatabaseBackend, DatabaseConnection, Statement, TransactionTrait};
use sea_orm_migration::MigratorTrait;
use sqlx::{
    AssertSqlSafe, Connection, Executor, PgConnection,
    sqlite::{SqliteJournalMode, SqliteSynchronous},
};
use tokio::sync::OnceCell;

use crate::{
    Store,
    audit::ChainKey,
    by_revision::KnownConfiguration,
    checkpoint, commit,
    deadlines::{Deadlines, Timeouts},
    error::{Error, timed_out},
    inner::{Backend, Inner},
    migration::Migrator,
    reader::Reader,
    row_security::{self, ALL, SETTING, SetTo, TenantReader},
    secrets::Sealer,
    throughput::Counted,
    transaction::{Distrust, is_idle},
    wake::{self, Wake},
};

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
    /// How long the database may take.
    pub deadlines: Deadlines,
}

impl Options {
    /// The defaults for `url`.
    pub fn new(url: impl Into<String>) -> Self {
        Self { url: url.into(), connections: 8, backlog_max: 4096, group_max: 128, writers: 2, deadlines: Deadlines::default() }
    }
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
        let deadlines = options.deadlines;
        let sqlite_path = options.url.strip_prefix("sqlite://").map(|path| path.split('?').next().unwrap_or(path));
        let (backend, write, group, lazy, read, leases) = if let Some(path) = sqlite_path {
            if let Some(folder) = Path::new(path).parent() {
                std::fs::create_dir_all(folder).map_err(|e| Error::Unavailable(format!("{}: {e}", folder.display())))?;
            }
            let write = sqlite(path, 1, SqliteSynchronous::Full, deadlines, distrust.clone()).await?;
            check_sqlite(&write).await?;
            let lazy = sqlite(path, 1, SqliteSynchronous::Normal, deadlines, distrust.clone()).await?;
            let reading = Distrust::new();
            let read = Reader::new(
                sqlite(path, options.connections.max(1), SqliteSynchronous::Full, deadlines, reading.clone()).await?,
                None,
                reading,
            );
            (Backend::Sqlite, write.clone(), write.clone(), Some(lazy), read, write)
        } else {
            let url = &options.url;
            let pool = postgres(url, (options.connections.max(1), None), deadlines.lock, deadlines.into(), distrust.clone()).await?;
            let short = Timeouts { lock: deadlines.lock_of_group(), ..deadlines.into() };
            let writers = u32::try_from(options.writers.max(1)).unwrap_or(1);
            let group = postgres(url, (writers, None), deadlines.lock, short, distrust.clone()).await?;
            let leases = postgres(url, (1, None), deadlines.lock, deadlines.into(), Distrust::new()).await?;
            let mut of_tenants = Vec::new();
            for _ in 0..options.connections.max(1) {
                let set_to = SetTo::default();
                let one = (1, Some(set_to.clone()));
                of_tenants.push((postgres(url, one, deadlines.lock, deadlines.into(), distrust.clone()).await?, set_to));
            }
            let of_tenants = TenantReader::new(of_tenants, deadlines.lock);
            (Backend::Postgres, pool.clone(), group, None, Reader::new(pool, Some(of_tenants), distrust.clone()), leases)
        };
        let writers = if backend == Backend::Sqlite { 1 } else { options.writers.max(1) };
        let store = Self(Arc::new_cyclic(|inner| Inner {
            backend,
            write,
            group,
            lazy,
            read,
            leases,
            distrust,
            deadlines,
            sealer,
            hash_key: OnceCell::new(),
            chain_key: ChainKey::default(),
            writers: commit::start(inner, writers, options.connections as usize, options.backlog_max, options.group_max),
            storage_full: AtomicBool::new(false),
            restored: AtomicBool::new(false),
            wake: Wake::new(),
            known: KnownConfiguration::default(),
            max_payload: AtomicU64::new(MAX_PAYLOAD_DEFAULT),
            throughput: Counted::default(),
        }));
        store.migrate(&options.url).await?;
        if backend == Backend::Postgres {
            tokio::spawn(wake::announce(Arc::downgrade(&store.0)));
            tokio::spawn(wake::listen(Arc::downgrade(&store.0), options.url.clone()));
        }
        if let Some(path) = sqlite_path {
            let own = sqlite(path, 1, SqliteSynchronous::Normal, deadlines, Distrust::new()).await?;
            tokio::spawn(checkpoint::run(Arc::downgrade(&store.0), own));
        }
        store.learn_max_payload().await?;
        Ok(store)
    }

    /// Brings the tables to this program's version. Two processes that start together take turns.
    async fn migrate(&self, url: &str) -> Result<(), Error> {
        const LOCK: i64 = 0x6269_6c6c; // "bill"
        match self.0.backend {
            Backend::Sqlite => Migrator::up(&self.0.write, None).await?,
            Backend::Postgres => {
                // One connection holds the lock, the other migrates. A migration may take as long as it needs.
                let pool = postgres(url, (2, None), self.0.deadlines.lock, Timeouts::NONE, Distrust::new()).await?;
                let guard = pool.begin().await?;
                let lock = Statement::from_sql_and_values(DatabaseBackend::Postgres, "SELECT pg_advisory_xact_lock($1)", [LOCK.into()]);
                guard.query_one_raw(lock).await?;
                Migrator::up(&pool, None).await?;
                row_security::ensure(&pool).await?;
                if let Some(role) = row_security::exempt_role(&pool).await? {
                    tracing::warn!(
                        role,
                        "row-level security does not hold for this role of PostgreSQL; use one without SUPERUSER and BYPASSRLS"
                    );
                }
                guard.commit().await?;
                pool.close().await?;
            }
        }
        Ok(())
    }
}

async fn sqlite(
    path: &str,
    connections: u32,
    synchronous: SqliteSynchronous,
    deadlines: Deadlines,
    distrust: Arc<Distrust>,
) -> Result<DatabaseConnection, Error> {
    let mut options = ConnectOptions::new(format!("sqlite://{path}?mode=rwc"));
    options
        .max_connections(connections)
        .test_before_acquire(false)
        .sqlx_logging(false)
        // Longer than any caller waits for the lock.
        .acquire_timeout(deadlines.lock * 2)
        .map_sqlx_sqlite_opts(move |o| {
            o.journal_mode(SqliteJournalMode::Wal)
                .synchronous(synchronous)
                .pragma("wal_autocheckpoint", checkpoint::WRITER_PAGES.to_string())
                .busy_timeout(deadlines.sqlite_lock())
                .statement_cache_capacity(256)
        })
        .map_sqlx_sqlite_before_acquire(move |_, connection| {
            let allowed = distrust.allows(&connection);
            Box::pin(async move { Ok(allowed) })
        })
        .map_sqlx_sqlite_pool_opts(|o| o.after_release(|connection, _| Box::pin(is_idle(connection))));
    Ok(Database::connect(options).await?)
}

/// Up to `connections` connections, for each of which a caller waits `wait` at most. They see all tenants, or the one that `set_to` says.
async fn postgres(
    url: &str,
    (connections, set_to): (u32, Option<SetTo>),
    wait: Duration,
    timeouts: Timeouts,
    distrust: Arc<Distrust>,
) -> Result<DatabaseConnection, Error> {
    let mut connect = ConnectOptions::new(url.to_owned());
    let seen = if set_to.is_some() { "" } else { ALL };
    connect
        .max_connections(connections)
        // Those for one tenant are opened when calls first need them.
        .connect_lazy(set_to.is_some())
        .test_before_acquire_if_idle_for(Duration::from_secs(30))
        .sqlx_logging(false)
        .acquire_timeout(wait)
        .map_sqlx_postgres_opts(move |o| {
            // A prepared statement keeps the plan it got when its table was small: a scan of the whole table, harmless for a hundred
            // rows and far too slow for a million. Every frequent query has an index, so scans are switched off. A scan that there is no way
            // around then costs so much by the planner's count that it would be compiled to machine code, which takes 100 ms each time.
            let o = o.options([("synchronous_commit", "on"), ("enable_seqscan", "off"), ("jit", "off"), (SETTING, seen)]);
            o.options(timeouts.settings()).statement_cache_capacity(512)
        })
        .map_sqlx_postgres_before_acquire(move |_, connection| {
            let allowed = distrust.allows(&connection);
            Box::pin(async move { Ok(allowed) })
        })
        .map_sqlx_postgres_pool_opts(move |o| {
            let o = o.after_release(|connection, _| Box::pin(is_idle(connection)));
            let Some(set_to) = set_to.clone() else { return o };
            o.after_connect(move |connection, _| {
                let set = AssertSqlSafe(set_to.statement());
                Box::pin(async move { connection.execute(sqlx::raw_sql(set)).await.map(drop) })
            })
        });
    match Database::connect(connect).await {
        // A pool tries again until it may not wait longer, and then forgets why.
        Err(error) if timed_out(&error) => Err(refused(url, wait).await.unwrap_or_else(|| error.into())),
        other => Ok(other?),
    }
}

/// Why PostgreSQL cannot be reached; `None`: it can.
async fn refused(url: &str, wait: Duration) -> Option<Error> {
    match tokio::time::timeout(wait, PgConnection::connect(url)).await {
        Ok(Ok(_)) => None,
        Ok(Err(error)) => Some(Error::Unavailable(error.to_string())),
        Err(_) => Some(Error::Unavailable(format!("PostgreSQL does not answer within {} s", wait.as_secs()))),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_start_tells_why_postgresql_cannot_be_reached() {
        let nobody = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
        let mut options = Options::new(format!("postgres://billwire@{nobody}/billwire"));
        options.deadlines.lock = Duration::from_millis(100);
        let key = Sealer::fresh_master_key().expect("a key");
        let told = Store::open(options, Sealer::new([key.as_str()]).expect("a sealer")).await.err().expect("refused").to_string();
        assert!(told.contains("onnection refused"), "{told}");
    }

    #[test]
    fn who_waited_in_vain_for_a_connection_is_told_so() {
        let told = Error::from(sea_orm::DbErr::ConnectionAcquire(sea_orm::ConnAcquireErr::Timeout));
        assert!(matches!(&told, Error::Unavailable(text) if text.contains("no connection within the deadline")), "{told}");
    }
}
