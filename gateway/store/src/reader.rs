//! Reads that are repeated once when their connection was lost.

use std::sync::Arc;

use async_trait::async_trait;
use sea_orm::{ConnectionTrait, DatabaseBackend, DatabaseConnection, DbErr, ExecResult, QueryResult, Statement};

use crate::{error::is_broken, transaction::Distrust};

/// The connections that read.
pub(crate) struct Reader {
    /// The pool, for transactions.
    pub pool: DatabaseConnection,
    distrust: Arc<Distrust>,
}

impl Reader {
    pub fn new(pool: DatabaseConnection, distrust: Arc<Distrust>) -> Self {
        Self { pool, distrust }
    }

    /// Whether a failed read is to be repeated. Whatever ended one connection may have ended all of them, so that no idle one is used.
    fn is_worth_repeating<T>(&self, result: &Result<T, DbErr>) -> bool {
        let broken = result.as_ref().is_err_and(is_broken);
        if broken {
            self.distrust.note_lost();
        }
        broken
    }
}

#[async_trait]
impl ConnectionTrait for Reader {
    fn get_database_backend(&self) -> DatabaseBackend {
        self.pool.get_database_backend()
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        self.pool.execute_raw(statement).await
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        self.pool.execute_unprepared(sql).await
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        let first = self.pool.query_one_raw(statement.clone()).await;
        if self.is_worth_repeating(&first) { self.pool.query_one_raw(statement).await } else { first }
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        let first = self.pool.query_all_raw(statement.clone()).await;
        if self.is_worth_repeating(&first) { self.pool.query_all_raw(statement).await } else { first }
    }
}
