//! PostgreSQL's row-level security: a second wall between tenants, behind the conditions of every query. A connection sees only rows of the
//! tenants that it is set to. The gateway's own work (relay, clock, consumers, migrations) is set to all of them; a group of operations to
//! those of its operations; and what an API call reads to the caller's, whatever the query says.
//!
//! A connection that is set to nothing sees nothing. SQLite has no such wall.

use std::{
    ops::Deref,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use billwire_schemas::ids::TenantId;
use sea_orm::{
    ConnAcquireErr, ConnectionTrait, DatabaseBackend, DatabaseConnection, DatabaseTransaction, DbErr, Statement, TransactionTrait,
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use crate::Error;

/// The session setting with the tenants whose rows are seen, separated by commas.
pub(crate) const SETTING: &str = "billwire.tenants";
/// All tenants.
pub(crate) const ALL: &str = "*";
/// The policy's name; another condition gets another name.
const POLICY: &str = "billwire_tenants_1";

/// Tables with a tenant that are asked about all of them: by the operator, and whether an issuer is taken.
const COMMON: &[&str] = &["tenant_deletion", "identity_provider"];
/// Tables whose rows belong to rows of others: the table, the other one, and how they are joined.
const BELONGING: &[(&str, &str, &str)] = &[
    ("recipient", "delivery", "delivery.id = recipient.delivery_id"),
    ("billed_account", "bill_run", "bill_run.id = billed_account.run_id"),
];

tokio::task_local! {
    static TENANT: TenantId;
}

/// Runs `work` so that, on PostgreSQL, what it reads is of this tenant.
pub async fn within<T>(tenant: TenantId, work: impl Future<Output = T>) -> T {
    TENANT.scope(tenant, work).await
}

/// The tenant that the current task works for, if it is one.
fn current() -> Option<TenantId> {
    TENANT.try_with(Clone::clone).ok()
}

/// Sets a connection to these tenants, for as long as it is open.
const SET: &str = "SELECT set_config('billwire.tenants', $1, false)";

/// What gives every table with a tenant its policy; nothing where it is there.
///
/// # Errors
/// When the database fails, or its role does not own the tables.
pub(crate) async fn ensure(conn: &impl ConnectionTrait) -> Result<(), Error> {
    let sql = "SELECT c.relname AS name, EXISTS (SELECT 1 FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'tenant' \
               AND NOT a.attisdropped) AS of_tenants, c.relrowsecurity AND c.relforcerowsecurity \
               AND EXISTS (SELECT 1 FROM pg_policy p WHERE p.polrelid = c.oid AND p.polname = $1) AS done \
               FROM pg_class c WHERE c.relkind = 'r' AND c.relnamespace = current_schema()::regnamespace ORDER BY c.relname";
    let rows = conn.query_all_raw(Statement::from_sql_and_values(DatabaseBackend::Postgres, sql, [POLICY.into()])).await?;
    let seen = format!("current_setting('{SETTING}', true)");
    for row in rows {
        let (table, of_tenants, done): (String, bool, bool) =
            (row.try_get("", "name")?, row.try_get("", "of_tenants")?, row.try_get("", "done")?);
        let belonging = BELONGING.iter().find(|(name, ..)| *name == table);
        let condition = match belonging {
            _ if done || COMMON.contains(&table.as_str()) => continue,
            Some((_, owner, join)) => format!("EXISTS (SELECT 1 FROM {owner} WHERE {join})"),
            None if of_tenants => format!("tenant = ANY (string_to_array({seen}, ','))"),
            None => continue,
        };
        let policy = format!(
            "DROP POLICY IF EXISTS {POLICY} ON {table}; CREATE POLICY {POLICY} ON {table} USING ({seen} = '{ALL}' OR {condition}); \
             ALTER TABLE {table} ENABLE ROW LEVEL SECURITY; ALTER TABLE {table} FORCE ROW LEVEL SECURITY"
        );
        conn.execute_unprepared(&policy).await?;
    }
    Ok(())
}

/// The role of a connection, if row-level security does not hold for it.
///
/// # Errors
/// When the database fails.
pub(crate) async fn exempt_role(conn: &impl ConnectionTrait) -> Result<Option<String>, Error> {
    let sql = "SELECT CAST(rolname AS TEXT) AS name FROM pg_roles WHERE rolname = current_user AND (rolsuper OR rolbypassrls)";
    let row = conn.query_one_raw(Statement::from_string(DatabaseBackend::Postgres, sql)).await?;
    Ok(row.map(|row| row.try_get("", "name")).transpose()?)
}

/// The tenant that a connection is set to, by whoever opens it.
#[derive(Clone, Default)]
pub(crate) struct SetTo(Arc<Mutex<String>>);

impl SetTo {
    fn lock(&self) -> MutexGuard<'_, String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The statement that sets a new connection.
    pub fn statement(&self) -> String {
        // Names of tenants have no quotes; an empty one is nobody's.
        format!("SET {SETTING} = '{}'", self.lock().replace('\'', ""))
    }
}

/// A pool of one connection, and the tenant that it is set to.
pub(crate) struct Lane {
    pool: DatabaseConnection,
    set_to: SetTo,
    /// The same, once the open connection is known to be: a call that ends early leaves that open.
    known: Option<TenantId>,
}

/// Connections that read for one tenant at a time. Each is used by one call at a time, preferably by the tenant that had it last.
pub(crate) struct TenantReader {
    free: Arc<Mutex<Vec<Lane>>>,
    permits: Arc<Semaphore>,
    wait: Duration,
}

/// A connection that is set to a tenant.
pub(crate) struct Taken {
    /// The connection.
    pub connection: DatabaseConnection,
    lane: Option<Lane>,
    free: Arc<Mutex<Vec<Lane>>>,
    _permit: OwnedSemaphorePermit,
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.free.lock().unwrap_or_else(PoisonError::into_inner).extend(self.lane.take());
    }
}

impl TenantReader {
    /// Reads on these pools, each with the tenant that its next connection is set to. A caller waits for one for `wait` at most.
    pub fn new(pools: Vec<(DatabaseConnection, SetTo)>, wait: Duration) -> Self {
        let permits = Arc::new(Semaphore::new(pools.len()));
        let lanes = pools.into_iter().map(|(pool, set_to)| Lane { pool, set_to, known: None }).collect();
        Self { free: Arc::new(Mutex::new(lanes)), permits, wait }
    }

    /// A connection for the tenant that the current task works for; `None`: it works for none.
    ///
    /// # Errors
    /// When there is none in time, or the database fails.
    pub async fn take(&self) -> Result<Option<Taken>, DbErr> {
        let Some(tenant) = current() else { return Ok(None) };
        let busy = || DbErr::ConnectionAcquire(ConnAcquireErr::Timeout);
        let permit = timeout(self.wait, self.permits.clone().acquire_owned()).await.map_err(|_| busy())?.map_err(|_| busy())?;
        let mut lane = self.free_lane(&tenant).ok_or_else(busy)?;
        let known = lane.known.take().filter(|known| *known == tenant);
        tenant.as_str().clone_into(&mut lane.set_to.lock());
        let mut taken = Taken { connection: lane.pool.clone(), lane: Some(lane), free: self.free.clone(), _permit: permit };
        if known.is_none() {
            let set = Statement::from_sql_and_values(DatabaseBackend::Postgres, SET, [tenant.as_str().into()]);
            taken.connection.query_one_raw(set).await?;
        }
        if let Some(lane) = &mut taken.lane {
            lane.known = Some(tenant);
        }
        Ok(Some(taken))
    }

    /// A lane that nobody uses: the tenant's last one, or the one that was not used for longest, which is at the front.
    fn free_lane(&self, tenant: &TenantId) -> Option<Lane> {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let at = free.iter().rposition(|lane| lane.known.as_ref() == Some(tenant)).unwrap_or(0);
        (at < free.len()).then(|| free.remove(at))
    }
}

/// A transaction that reads.
pub(crate) struct ReadTransaction {
    transaction: DatabaseTransaction,
    _taken: Option<Taken>,
}

impl ReadTransaction {
    /// Begins on `taken`, or else on `pool`.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn begin(taken: Option<Taken>, pool: &DatabaseConnection) -> Result<Self, DbErr> {
        let transaction = match &taken {
            Some(taken) => taken.connection.begin().await?,
            None => pool.begin().await?,
        };
        Ok(Self { transaction, _taken: taken })
    }
}

impl Deref for ReadTransaction {
    type Target = DatabaseTransaction;

    fn deref(&self) -> &DatabaseTransaction {
        &self.transaction
    }
}
