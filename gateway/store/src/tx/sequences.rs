//! Locking ordering keys, and drawing sequences of those a unit holds.

use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

use billwire_schemas::ids::{OrderingKey, TenantId};
use sea_orm::{ConnectionTrait, DatabaseBackend, DatabaseTransaction, Statement};

use super::Tx;
use crate::{Error, error::Failure, row_security::SETTING};

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

    /// Whether the unit has locked the key.
    pub fn holds(&self, key: &OrderingKey) -> bool {
        self.sequences.contains_key(key)
    }

    /// Gives back the last `count` sequences drawn from a key: nothing uses them.
    pub fn give_back_sequences(&mut self, key: &OrderingKey, count: i64) {
        if let Some(last) = self.sequences.get_mut(key) {
            *last -= count;
        }
    }
}

/// What is known once the ordering keys are locked.
#[derive(Default)]
pub(crate) struct Locked {
    /// The keys' last sequences.
    pub sequences: HashMap<(TenantId, OrderingKey), i64>,
    /// The revision of each tenant's configuration, which is the last sequence of its own ordering key, or an earlier one. Only on PostgreSQL,
    /// where it costs nothing here.
    pub revisions: HashMap<TenantId, i64>,
}

/// Locks the ordering keys. Rows are taken in one fixed order, so two groups cannot wait for each other; the upsert both makes a missing row
/// and locks an existing one. Later statements of the transaction wait for locks for `later` (PostgreSQL).
pub(crate) async fn lock(
    conn: &DatabaseTransaction,
    mut lanes: Vec<(TenantId, OrderingKey)>,
    tenants: &BTreeSet<TenantId>,
    later: Duration,
) -> Result<Locked, Error> {
    const CLASH: &str =
        "ON CONFLICT (tenant, key) DO UPDATE SET last_sequence = ordering_key.last_sequence RETURNING tenant, key, last_sequence";
    lanes.sort();
    let dialect = conn.get_database_backend();
    let (sql, values) = if dialect == DatabaseBackend::Postgres {
        // Each row of the result is computed after the sort, so when every lock is held.
        let sql = format!(
            "WITH locked AS (INSERT INTO ordering_key (tenant, key, last_sequence) \
             SELECT tenant, key, 0 FROM UNNEST($1::text[], $2::text[]) WITH ORDINALITY AS r(tenant, key, n) ORDER BY n {CLASH}) \
             SELECT l.tenant, l.key, l.last_sequence, set_config('lock_timeout', $3, true) AS later, set_config('{SETTING}', $4, true) AS seen, \
             (SELECT c.last_sequence FROM ordering_key c WHERE c.tenant = l.tenant AND c.key = 'configuration') AS revision \
             FROM locked l ORDER BY l.tenant, l.key"
        );
        let seen = tenants.iter().map(TenantId::as_str).collect::<Vec<_>>().join(",");
        let (tenants, keys): (Vec<String>, Vec<String>) = lanes.iter().map(|(tenant, key)| (tenant.to_string(), key.to_string())).unzip();
        (sql, vec![tenants.into(), keys.into(), later.as_millis().to_string().into(), seen.into()])
    } else {
        let rows: Vec<String> = (0..lanes.len()).map(|i| format!("(${}, ${}, 0)", 2 * i + 1, 2 * i + 2)).collect();
        let sql = format!("INSERT INTO ordering_key (tenant, key, last_sequence) VALUES {} {CLASH}", rows.join(", "));
        (sql, lanes.iter().flat_map(|(tenant, key)| [tenant.as_str().into(), key.as_str().into()]).collect())
    };
    let mut locked = Locked::default();
    for row in conn.query_all_raw(Statement::from_sql_and_values(dialect, sql, values)).await? {
        let (tenant, key): (String, String) = (row.try_get("", "tenant")?, row.try_get("", "key")?);
        let (Ok(tenant), Ok(key)) = (tenant.parse::<TenantId>(), key.parse::<OrderingKey>()) else { continue };
        let last: i64 = row.try_get("", "last_sequence")?;
        if dialect == DatabaseBackend::Postgres {
            let revision = row.try_get::<Option<i64>>("", "revision")?.unwrap_or(0);
            locked.revisions.entry(tenant.clone()).or_insert(revision);
        }
        locked.sequences.insert((tenant, key), last);
    }
    // The configuration that is locked itself changes no more.
    for ((tenant, key), last) in &locked.sequences {
        if *key == OrderingKey::CONFIGURATION {
            locked.revisions.insert(tenant.clone(), *last);
        }
    }
    Ok(locked)
}
