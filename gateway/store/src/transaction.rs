//! A transaction whose connection is closed when its end fails.
//!
//! sqlx counts how deep a connection is in transactions and leaves the count as it is when a COMMIT or ROLLBACK fails. Used again, such
//! a connection would make every later transaction a savepoint in one that nobody commits, and would still answer reads from it. So each
//! pool closes connections that come back inside a transaction, and those that are older than a failed end.

use std::{
    ops::Deref,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use sea_orm::DatabaseTransaction;
use sqlx::{
    Connection, Sqlite,
    pool::{PoolConnection, PoolConnectionMetadata},
};

use crate::Error;

/// The moment before which connections must not be used again.
pub(crate) struct Distrust {
    start: Instant,
    /// In microseconds since `start`; 0: every connection is trusted.
    until: AtomicU64,
}

impl Distrust {
    /// How much younger than the failure a connection must be: its age is measured a little before it is compared.
    const MARGIN: Duration = Duration::from_secs(1);

    pub fn new() -> Arc<Self> {
        Arc::new(Self { start: Instant::now(), until: AtomicU64::new(0) })
    }

    /// Distrusts, for certain, every connection that is open now.
    pub fn note(&self) {
        self.distrust_before(self.start.elapsed() + Self::MARGIN);
    }

    /// Distrusts the connections that are open now: one of them was lost, and so perhaps all.
    pub fn note_lost(&self) {
        self.distrust_before(self.start.elapsed());
    }

    fn distrust_before(&self, until: Duration) {
        self.until.fetch_max(u64::try_from(until.as_micros()).unwrap_or(u64::MAX), Ordering::AcqRel);
    }

    /// Whether an idle connection may be used: only one opened after the last failed end.
    pub fn allows(&self, connection: &PoolConnectionMetadata) -> bool {
        let made = self.start.elapsed().saturating_sub(connection.age);
        let until = self.until.load(Ordering::Acquire);
        until == 0 || made > Duration::from_micros(until)
    }
}

/// Whether a connection that returns to its pool is outside of every transaction. A rollback requested by a dropped transaction is
/// awaited first.
///
/// # Errors
/// When the connection is broken; the pool then closes it too.
pub(crate) async fn is_idle(connection: &mut impl Connection) -> Result<bool, sqlx::Error> {
    if connection.is_in_transaction() {
        connection.ping().await?;
    }
    Ok(!connection.is_in_transaction())
}

/// A transaction that may write. Dropped, it rolls back.
pub(crate) struct Transaction {
    inner: DatabaseTransaction,
    distrust: Arc<Distrust>,
    /// The writer's connection, kept from others meanwhile.
    _writer: Option<PoolConnection<Sqlite>>,
}

impl Transaction {
    pub fn new(inner: DatabaseTransaction, distrust: Arc<Distrust>) -> Self {
        Self { inner, distrust, _writer: None }
    }

    /// This transaction, which runs on another connection instead of `writer`.
    pub fn instead_of(self, writer: PoolConnection<Sqlite>) -> Self {
        Self { _writer: Some(writer), ..self }
    }

    /// # Errors
    /// [`Error::Unknown`] when it may have been committed all the same; any other: nothing was changed.
    pub async fn commit(self) -> Result<(), Error> {
        self.inner.commit().await.map_err(|error| {
            self.distrust.note();
            Error::of_commit(error)
        })
    }

    /// # Errors
    /// When the database fails; nothing is changed then either.
    pub async fn rollback(self) -> Result<(), Error> {
        self.inner.rollback().await.map_err(|error| {
            self.distrust.note();
            error.into()
        })
    }

    /// Ends without waiting: the connection rolls back when what it is doing ends, and is not used again.
    pub fn leave(self) {
        self.distrust.note();
    }

    /// Rolls back after `error`, and gives it back. That the rollback may fail too says nothing new: SQLite has rolled back by itself
    /// when its disk is full.
    pub async fn abandon(self, error: Error) -> Error {
        if let Err(failed) = self.rollback().await {
            tracing::debug!(error = %failed, "a rollback failed; its connection is closed");
        }
        error
    }
}

impl Deref for Transaction {
    type Target = DatabaseTransaction;

    fn deref(&self) -> &DatabaseTransaction {
        &self.inner
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use billwire_schemas::ids::fresh;
    use sea_orm::ConnectionTrait;

    use super::*;
    use crate::{Options, Store, secrets::Sealer};

    pub(crate) async fn store() -> (Store, std::path::PathBuf) {
        let folder = std::env::temp_dir().join(format!("billwire-store-{}", fresh()));
        let url = format!("sqlite://{}", folder.join("billwire.db").display());
        let key = Sealer::fresh_master_key().expect("a key");
        let store = Store::open(Options::new(url), Sealer::new([key.as_str()]).expect("a sealer")).await.expect("a store");
        let tables = "CREATE TABLE parent (id INTEGER PRIMARY KEY); \
                      CREATE TABLE child (id INTEGER REFERENCES parent (id) DEFERRABLE INITIALLY DEFERRED, body BLOB)";
        store.0.write.execute_unprepared(tables).await.expect("tables");
        (store, folder)
    }

    async fn run(on: &impl ConnectionTrait, sql: &str) -> Result<(), Error> {
        on.execute_unprepared(sql).await?;
        Ok(())
    }

    /// What a connection of its own reads.
    async fn parents(store: &Store) -> i64 {
        let count = store.statement("SELECT count(*) AS n FROM parent", []);
        store.0.read.query_one_raw(count).await.expect("an answer").expect("a row").try_get("", "n").expect("a number")
    }

    /// Marks a connection, for as long as it is open.
    async fn mark(on: &impl ConnectionTrait) {
        run(on, "PRAGMA cache_size = 77").await.expect("a mark");
    }

    /// Whether the connection that writes next is the marked one.
    async fn is_marked(store: &Store) -> bool {
        let size = store.statement("PRAGMA cache_size", []);
        let size: i64 =
            store.0.write.query_one_raw(size).await.expect("an answer").expect("a row").try_get("", "cache_size").expect("a size");
        size == 77
    }

    async fn one_more(store: &Store, id: i64) {
        let transaction = store.begin().await.expect("a transaction");
        run(&*transaction, &format!("INSERT INTO parent (id) VALUES ({id})")).await.expect("a row");
        transaction.commit().await.expect("committed");
    }

    #[tokio::test]
    async fn a_connection_is_used_again_until_the_end_of_a_transaction_fails() {
        let (store, folder) = store().await;
        mark(&store.0.write).await;
        one_more(&store, 1).await;
        store.begin().await.expect("a transaction").rollback().await.expect("rolled back");
        drop(store.begin().await.expect("a transaction"));
        assert!(is_marked(&store).await, "thrown away without need");

        let transaction = store.begin().await.expect("a transaction");
        run(&*transaction, "INSERT INTO parent (id) VALUES (2)").await.expect("a row");
        run(&*transaction, "INSERT INTO child (id) VALUES (77)").await.expect("checked at the end");
        let failed = transaction.commit().await.expect_err("no such parent");
        assert!(!matches!(failed, Error::Unknown(_)), "the database has refused it: {failed}");
        assert!(!is_marked(&store).await, "used again");
        store.begin().await.expect("a transaction").rollback().await.expect("rolled back");
        one_more(&store, 3).await;
        assert_eq!(parents(&store).await, 2, "what is committed is there for others, and nothing else");
        let _ = std::fs::remove_dir_all(folder);
    }

    #[tokio::test]
    async fn a_transaction_that_sqlite_has_ended_by_itself_costs_its_connection_however_it_is_left() {
        let (store, folder) = store().await;
        for (id, left) in [(1, "abandoned"), (2, "dropped")] {
            let transaction = store.begin().await.expect("a transaction");
            mark(&*transaction).await;
            // As a full disk does.
            run(&*transaction, "PRAGMA max_page_count = 1").await.expect("a limit");
            run(&*transaction, "INSERT INTO parent (id) VALUES (100)").await.expect("a row that fits");
            let failed = run(&*transaction, "INSERT INTO child (body) VALUES (zeroblob(1000000))").await.expect_err("full");
            assert!(matches!(failed, Error::StorageFull(_)), "{failed}");
            match left {
                "abandoned" => assert!(matches!(transaction.abandon(failed).await, Error::StorageFull(_))),
                _ => drop(transaction),
            }
            assert!(!is_marked(&store).await, "{left}: used again");
            store.begin().await.expect("a transaction").rollback().await.expect("rolled back");
            one_more(&store, id).await;
            assert_eq!(parents(&store).await, id, "{left}");
        }
        let _ = std::fs::remove_dir_all(folder);
    }
}
