//! Table `health`: the targets that fail, since when, and until when their circuit breaker is open. A target has a row only while it
//! fails, so that a restart does not forget it.

use std::time::Duration;

use billwire_schemas::{delivery::Health, ids::TenantId};
use sea_orm::{ConnectionTrait, QueryResult, Value};
use uuid::Uuid;

use crate::{Error, Store, Tx, micros, moment};

fn read(row: &QueryResult) -> Result<Health, Error> {
    let tenant: String = row.try_get("", "tenant")?;
    let whole = |column: &str| -> Result<u64, Error> { Ok(u64::try_from(row.try_get::<i64>("", column)?).unwrap_or(0)) };
    let wait = Duration::from_millis(whole("wait_ms")?);
    Ok(Health {
        target: row.try_get("", "target_id")?,
        tenant: tenant.parse().map_err(|_| Error::Corrupt { table: "health", detail: tenant })?,
        failing_since: moment(row.try_get("", "failing_since")?),
        failures: whole("failures")?,
        open: row.try_get::<Option<i64>>("", "open_until")?.map(|until| (moment(until), wait)),
    })
}

impl Store {
    /// The targets that fail, of all tenants.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn all_health(&self) -> Result<Vec<Health>, Error> {
        let rows = self.0.read.query_all_raw(self.statement("SELECT * FROM health", [])).await?;
        rows.iter().map(read).collect()
    }

    /// The health of a target; `None`: it does not fail.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn health(&self, tenant: &TenantId, target: Uuid) -> Result<Option<Health>, Error> {
        let values = [target.into(), tenant.as_str().into()];
        let row = self.0.read.query_one_raw(self.statement("SELECT * FROM health WHERE target_id = $1 AND tenant = $2", values)).await?;
        row.as_ref().map(read).transpose()
    }

    /// Stores the health of targets that fail, and deletes that of those that no longer do.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn save_health(&self, failing: &[Health], healed: &[Uuid]) -> Result<(), Error> {
        let transaction = self.begin().await?;
        for one in failing {
            let sql = "INSERT INTO health (target_id, tenant, failing_since, failures, open_until, wait_ms) VALUES ($1, $2, $3, $4, $5, $6) \
                       ON CONFLICT (target_id) DO UPDATE SET failing_since = $3, failures = $4, open_until = $5, wait_ms = $6";
            let whole = |number: u64| Value::from(i64::try_from(number).unwrap_or(i64::MAX));
            let values = [
                one.target.into(),
                one.tenant.as_str().into(),
                micros(one.failing_since).into(),
                whole(one.failures),
                one.open.map(|(until, _)| micros(until)).into(),
                whole(one.open.map_or(0, |(_, wait)| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX))),
            ];
            transaction.execute_raw(self.statement(sql, values)).await?;
        }
        for target in healed {
            transaction.execute_raw(self.statement("DELETE FROM health WHERE target_id = $1", [(*target).into()])).await?;
        }
        transaction.commit().await
    }
}

impl Tx<'_> {
    /// Deletes the health of a target: it counts as healthy.
    pub fn delete_health(&mut self, target: Uuid) {
        self.defer("DELETE FROM health WHERE target_id = $1".to_owned(), vec![target.into()]);
    }
}
