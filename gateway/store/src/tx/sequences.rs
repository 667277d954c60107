//! Locking ordering keys, and drawing sequences of those a unit holds.

use std::{collections::HashMap, time::Duration};

use billwire_schemas::ids::{OrderingKey, TenantId};
use sea_orm::{ConnectionTrait, DatabaseBackend, DatabaseTransaction, Statement, Value};

use super::Tx;
use crate::{Error, error::Failure};

impl Tx<'_> {
    /// The next sequence of one of the unit's ordering keys.
    ///
    /// # Errors
    /// When the unit has not locked the key.
    pub fn next_sequence(&mut self, key: &OrderingKey) -> Result<i64, Failure> {
        let last = self.sequences.get_mut(key).ok_or_else(|| Error::Other(format!("ordering key {key} is not locked by its operation")))?;
        *last += 1;
        Ok(*last)
    }

    /// Gives back the last `count` sequences drawn from a key: nothing uses them.
    pub fn give_back_sequences(&mut self, key: &OrderingKey, count: i64) {
        if let Some(last) = self.sequences.get_mut(key) {
            *last -= count;
        }
    }
}

/// Locks the ordering keys and gives their last sequences. Rows are taken in one fixed order, so two groups cannot
/// wait for each other; the upsert both makes a missing row and locks an existing one. Later statements of the transaction wait for
/// locks for `later` (PostgreSQL).
pub(crate) async fn lock(
    conn: &DatabaseTransaction,
    mut lanes: Vec<(TenantId, OrderingKey)>,
    later: Duration,
) -> Result<HashMap<(TenantId, OrderingKey), i64>, Error> {
    lanes.sort();
    let dialect = conn.get_database_backend();
    let rows: Vec<String> = (0..lanes.len()).map(|i| format!("(${}, ${}, 0)", 2 * i + 1, 2 * i + 2)).collect();
    let mut sql = format!(
        "INSERT INTO ordering_key (tenant, key, last_sequence) VALUES {} \
         ON CONFLICT (tenant, key) DO UPDATE SET last_sequence = ordering_key.last_sequence RETURNING tenant, key, last_sequence",
        rows.join(", ")
    );
    let mut values: Vec<Value> = lanes.iter().flat_map(|(tenant, key)| [tenant.as_str().into(), key.as_str().into()]).collect();
    if dialect == DatabaseBackend::Postgres {
        // Each row of the result is computed after the sort, so when every lock is held.
        sql = format!(
            "WITH locked AS ({sql}) SELECT tenant, key, last_sequence, set_config('lock_timeout', ${}, true) AS later FROM locked \
             ORDER BY tenant, key",
            values.len() + 1
        );
        values.push(later.as_millis().to_string().into());
    }
    let mut found = HashMap::new();
    for row in conn.query_all_raw(Statement::from_sql_and_values(dialect, sql, values)).await? {
        let (tenant, key): (String, String) = (row.try_get("", "tenant")?, row.try_get("", "key")?);
        if let (Ok(tenant), Ok(key)) = (tenant.parse(), key.parse()) {
            found.insert((tenant, key), row.try_get("", "last_sequence")?);
        }
    }
    Ok(found)
}
