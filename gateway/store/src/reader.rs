//! Reads that are repeated once when their connection was lost, and on PostgreSQL see only the tenant that they are for.

use std::sync::Arc;

use async_trait::async_trait;
use sea_orm::{ConnectionTrait, DatabaseBackend, DatabaseConnection, DbErr, ExecResult, QueryResult, Statement};

use crate::{
    error::is_broken,
    row_security::{ReadTransaction, Taken, TenantReader},
    transaction::Distrust,
};

/// The connections that read.
pub(crate) struct Reader {
    pool: DatabaseConnection,
    /// PostgreSQL: connections that see one tenant.
    of_tenants: Option<TenantReader>,
    distrust: Arc<Distrust>,
}

impl Reader {
    pub fn new(pool: DatabaseConnection, of_tenants: Option<TenantReader>, distrust: Arc<Distrust>) -> Self {
        Self { pool, of_tenants, distrust }
    }

    /// A connection for the tenant that the current task works for, if it works for one and there are such connections.
    async fn taken(&self) -> Result<Option<Taken>, DbErr> {
        match &self.of_tenants {
            Some(of_tenants) => of_tenants.take().await,
            None => Ok(None),
        }
    }

    /// Begins a transaction that reads.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn begin(&self) -> Result<ReadTransaction, DbErr> {
        ReadTransaction::begin(self.taken().await?, &self.pool).await
    }

    async fn one(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        match self.taken().await? {
            Some(taken) => taken.connection.query_one_raw(statement).await,
            None => self.pool.query_one_raw(statement).await,
        }
    }

    async fn all(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        match self.taken().await? {
            Some(taken) => taken.connection.query_all_raw(statement).await,
            None => self.pool.query_all_raw(statement).await,
        }
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
        let first = self.one(statement.clone()).await;
        if self.is_worth_repeating(&first) { self.one(statement).await } else { first }
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        let first = self.all(statement.clone()).await;
        if self.is_worth_repeating(&first) { self.all(statement).await } else { first }
    }
}
