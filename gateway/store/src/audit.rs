//! The audit: entries are recorded in the transaction of what they tell of (`audit_new`), and moved into their tenant's chain
//! (`audit_entry`) within moments. Each link is a keyed hash of the entry and the link before it, so that nobody without the master key
//! can change or remove an entry unnoticed. The last link is kept apart (`audit_head`), so that the end cannot be cut off.

mod purge;
mod verify;

use std::collections::BTreeMap;

use aws_lc_rs::{digest, hmac};
use billwire_domain::access::audit::{ChangeMade, Entry, Kind};
use billwire_schemas::{
    clock::{Clock, SystemClock, Timestamp},
    ids::{TenantId, fresh},
    lease::Lease,
};
use sea_orm::{ConnectionTrait, DatabaseTransaction, DbErr, EntityTrait, IntoActiveModel, QueryOrder, QueryResult, QuerySelect, Value};
use tokio::sync::OnceCell;

use crate::{
    Error, Store,
    batching::filled,
    entity::audit_new,
    micros,
    secrets::{Sealer, hex},
};

pub use verify::{Fault, Report};

/// The setting with the key of the chains.
const CHAIN_KEY: &str = "audit_key";
/// Changes of an entry at most.
const CHANGES_MAX: usize = 200;
/// Entries that are chained in a transaction.
const CHAINED_AT_ONCE: u64 = 256;

/// Selects entries.
#[derive(Debug, Clone, Default)]
pub struct AuditEntries {
    /// Only of this kind.
    pub kind: Option<Kind>,
    /// Only from this moment on.
    pub from: Option<Timestamp>,
    /// Only before this moment.
    pub to: Option<Timestamp>,
}

/// An entry in its chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chained {
    /// Its number, from 1.
    pub number: i64,
    /// The entry, JSON, with its number.
    pub body: String,
    /// Its link.
    pub hash: String,
}

/// SHA-256, in hexadecimal digits.
pub(crate) fn digest_of(text: &str) -> String {
    hex(digest::digest(&digest::SHA256, text.as_bytes()).as_ref())
}

/// The rows of what a group has changed, by tenant.
///
/// # Errors
/// When an entry cannot be written as JSON.
pub(crate) fn rows(changes: Vec<(String, ChangeMade)>) -> Result<Vec<audit_new::Model>, Error> {
    let mut by_tenant: BTreeMap<String, Vec<ChangeMade>> = BTreeMap::new();
    for (tenant, change) in changes {
        by_tenant.entry(tenant).or_default().push(change);
    }
    let now = SystemClock.now();
    let mut rows = Vec::new();
    for (tenant, changes) in by_tenant {
        for part in changes.chunks(CHANGES_MAX) {
            rows.push(row(&tenant, &Entry::changes(now, part.to_vec()))?);
        }
    }
    Ok(rows)
}

fn row(tenant: &str, entry: &Entry) -> Result<audit_new::Model, Error> {
    Ok(audit_new::Model {
        id: fresh(),
        tenant: tenant.to_owned(),
        kind: entry.kind.name().to_owned(),
        occurred_at: micros(entry.at),
        body: serde_json::to_string(entry).map_err(Error::corrupt("audit_new"))?,
    })
}

/// The key of the chains, once it is read.
#[derive(Default)]
pub(crate) struct ChainKey(OnceCell<hmac::Key>);

impl ChainKey {
    fn mac(key: &hmac::Key, parts: [&str; 3]) -> String {
        hex(hmac::sign(key, parts.join("\n").as_bytes()).as_ref())
    }
}

/// The link of an entry.
fn link(key: &hmac::Key, tenant: &str, before: &str, body: &str) -> String {
    ChainKey::mac(key, [tenant, before, body])
}

/// What proves the end of a chain.
fn seal(key: &hmac::Key, tenant: &str, number: i64, hash: &str) -> String {
    ChainKey::mac(key, ["head", tenant, &format!("{number} {hash}")])
}

/// What proves that a chain begins behind an entry.
fn seal_of_start(key: &hmac::Key, tenant: &str, number: i64, hash: &str) -> String {
    ChainKey::mac(key, ["start", tenant, &format!("{number} {hash}")])
}

/// The entry with its number.
fn numbered(number: i64, body: &str) -> String {
    format!("{{\"number\":{number},{}", body.strip_prefix('{').unwrap_or(body))
}

fn chained(row: &QueryResult) -> Result<Chained, DbErr> {
    Ok(Chained { number: row.try_get("", "number")?, body: row.try_get("", "body")?, hash: row.try_get("", "hash")? })
}

impl Store {
    pub(crate) async fn chain_key(&self) -> Result<&hmac::Key, Error> {
        let read = async {
            let text = self.secret_setting(CHAIN_KEY, Sealer::fresh_master_key).await?;
            Ok(hmac::Key::new(hmac::HMAC_SHA256, text.as_bytes()))
        };
        self.0.chain_key.0.get_or_try_init(|| read).await
    }

    /// Records an entry that tells of no change.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn note_in_audit(&self, tenant: &TenantId, entry: &Entry) -> Result<(), Error> {
        let row = row(tenant.as_str(), entry)?.into_active_model();
        audit_new::Entity::insert(row).exec_without_returning(&self.0.write).await?;
        Ok(())
    }

    /// Moves new entries into their chains; gives how many there were. `None`: `lease` does not hold, and nothing was changed.
    ///
    /// # Errors
    /// When the database fails; then nothing was changed.
    pub async fn chain_audit(&self, lease: &Lease) -> Result<Option<usize>, Error> {
        if self.0.read.query_one_raw(self.statement("SELECT 1 FROM audit_new ORDER BY id LIMIT 1", [])).await?.is_none() {
            return Ok(Some(0));
        }
        let key = self.chain_key().await?;
        let transaction = self.begin_repeatable().await?;
        if !self.holds(&transaction, lease).await? {
            transaction.rollback().await?;
            return Ok(None);
        }
        let oldest = audit_new::Entity::find().order_by_asc(audit_new::Column::Id).limit(CHAINED_AT_ONCE);
        let new = oldest.all(&*transaction).await?;
        let count = new.len();
        let mut of: BTreeMap<String, Vec<audit_new::Model>> = BTreeMap::new();
        for row in new {
            of.entry(row.tenant.clone()).or_default().push(row);
        }
        for (tenant, rows) in of {
            self.extend_chain(&transaction, key, &tenant, rows).await?;
        }
        transaction.commit().await?;
        Ok(Some(count))
    }

    async fn extend_chain(
        &self,
        transaction: &DatabaseTransaction,
        key: &hmac::Key,
        tenant: &str,
        rows: Vec<audit_new::Model>,
    ) -> Result<(), Error> {
        let last = "SELECT number, hash FROM audit_entry WHERE tenant = $1 ORDER BY number DESC LIMIT 1";
        let last = transaction.query_one_raw(self.statement(last, [tenant.into()])).await?;
        let (mut number, mut hash) = match last {
            Some(row) => (row.try_get("", "number")?, row.try_get("", "hash")?),
            None => (0_i64, String::new()),
        };
        let ids: Vec<_> = rows.iter().map(|row| row.id).collect();
        let insert = "INSERT INTO audit_entry (tenant, number, id, kind, occurred_at, body, hash) VALUES ($1, $2, $3, $4, $5, $6, $7)";
        for row in rows {
            number += 1;
            let body = numbered(number, &row.body);
            hash = link(key, tenant, &hash, &body);
            let values: [Value; 7] =
                [tenant.into(), number.into(), row.id.into(), row.kind.into(), row.occurred_at.into(), body.into(), hash.as_str().into()];
            transaction.execute_raw(self.statement(insert, values)).await?;
        }
        let head = "INSERT INTO audit_head (tenant, number, hash, seal) VALUES ($1, $2, $3, $4) ON CONFLICT (tenant) DO UPDATE SET \
                    number = excluded.number, hash = excluded.hash, seal = excluded.seal";
        let values: [Value; 4] = [tenant.into(), number.into(), hash.as_str().into(), seal(key, tenant, number, &hash).into()];
        transaction.execute_raw(self.statement(head, values)).await?;
        let ids = filled(&ids);
        let marks: Vec<String> = (1..=ids.len()).map(|n| format!("${n}")).collect();
        let gone = format!("DELETE FROM audit_new WHERE id IN ({})", marks.join(", "));
        transaction.execute_raw(self.statement(&gone, ids.into_iter().map(Value::from))).await?;
        Ok(())
    }

    /// The tenants with an audit.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn audited_tenants(&self) -> Result<Vec<TenantId>, Error> {
        let sql = "SELECT tenant FROM audit_head UNION SELECT DISTINCT tenant FROM audit_entry ORDER BY tenant";
        let tenant = |row: &QueryResult| {
            let tenant: String = row.try_get("", "tenant")?;
            tenant.parse().map_err(|_| Error::Corrupt { table: "audit_head", detail: tenant })
        };
        self.0.read.query_all_raw(self.statement(sql, [])).await?.iter().map(tenant).collect()
    }

    /// The entries of a tenant behind one, in their order.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn audit_chain(&self, tenant: &TenantId, after: i64, limit: u64) -> Result<Vec<Chained>, Error> {
        let sql = format!("SELECT number, body, hash FROM audit_entry WHERE tenant = $1 AND number > $2 ORDER BY number LIMIT {limit}");
        let rows = self.0.read.query_all_raw(self.statement(&sql, [tenant.as_str().into(), after.into()])).await?;
        Ok(rows.iter().map(chained).collect::<Result<_, _>>()?)
    }
}
