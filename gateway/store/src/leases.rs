//! Leases: which process does work that only one may do at a time. They expire by the database's clock. Each change of owner raises the
//! fence, and writes under a lease check the fence, so a process that slept through its lease changes nothing.

use std::{collections::HashSet, time::Duration};

use billwire_schemas::lease::Lease;
use sea_orm::{ConnectionTrait, DbErr, Value};

use crate::{Error, Store, batching::filled};

impl Store {
    /// Acquires the lease `name` if it is free or has expired; `None`: another process holds it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn acquire_lease(&self, name: &str, owner: &str, ttl: Duration) -> Result<Option<Lease>, Error> {
        let now = self.0.now_sql();
        let sql = format!(
            "INSERT INTO lease (name, owner, fence, expires_at) VALUES ($1, $2, 1, {now} + $3) \
             ON CONFLICT (name) DO UPDATE SET owner = excluded.owner, fence = lease.fence + 1, expires_at = excluded.expires_at \
             WHERE lease.expires_at <= {now} RETURNING fence"
        );
        let row = self.0.leases.query_one_raw(self.statement(&sql, [name.into(), owner.into(), us(ttl).into()])).await?;
        let Some(row) = row else { return Ok(None) };
        Ok(Some(Lease { name: name.to_owned(), owner: owner.to_owned(), fence: row.try_get("", "fence")? }))
    }

    /// Renews leases; gives the names of those renewed. The others are lost, or were released. An expired lease that nobody else has acquired
    /// is renewed all the same: the unchanged fence proves that nobody worked under it meanwhile.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn renew_leases(&self, leases: &[Lease], ttl: Duration) -> Result<HashSet<String>, Error> {
        if leases.is_empty() {
            return Ok(HashSet::new());
        }
        let leases = filled(leases);
        let marks: Vec<String> = (0..leases.len()).map(|at| format!("(${}, ${}, ${})", 3 * at + 2, 3 * at + 3, 3 * at + 4)).collect();
        let now = self.0.now_sql();
        let sql = format!(
            "UPDATE lease SET expires_at = {now} + $1 WHERE expires_at > 0 AND (name, owner, fence) IN (VALUES {}) RETURNING name",
            marks.join(", ")
        );
        let of = |lease: &Lease| [Value::from(lease.name.as_str()), lease.owner.as_str().into(), lease.fence.into()];
        let values = std::iter::once(us(ttl).into()).chain(leases.iter().flat_map(of));
        let rows = self.0.leases.query_all_raw(self.statement(&sql, values)).await?;
        Ok(rows.iter().map(|row| row.try_get("", "name")).collect::<Result<_, DbErr>>()?)
    }

    /// Acquires or renews a lease that several processes may hold together: those whose owners begin with the same id of 36 characters.
    /// Returns the owner if it is another one.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn share_lease(&self, name: &str, owner: &str, ttl: Duration) -> Result<Option<String>, Error> {
        let now = self.0.now_sql();
        let sql = format!(
            "INSERT INTO lease (name, owner, fence, expires_at) VALUES ($1, $2, 1, {now} + $3) \
             ON CONFLICT (name) DO UPDATE SET owner = excluded.owner, expires_at = excluded.expires_at \
             WHERE lease.expires_at <= {now} OR substr(lease.owner, 1, 36) = substr(excluded.owner, 1, 36) RETURNING owner"
        );
        if self.0.leases.query_one_raw(self.statement(&sql, [name.into(), owner.into(), us(ttl).into()])).await?.is_some() {
            return Ok(None);
        }
        let row = self.0.leases.query_one_raw(self.statement("SELECT owner FROM lease WHERE name = $1", [name.into()])).await?;
        Ok(row.map(|row| row.try_get("", "owner")).transpose()?)
    }

    /// The owner of a lease that has not expired.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn lease_owner(&self, name: &str) -> Result<Option<String>, Error> {
        let sql = format!("SELECT owner FROM lease WHERE name = $1 AND expires_at > {}", self.0.now_sql());
        let row = self.0.leases.query_one_raw(self.statement(&sql, [name.into()])).await?;
        Ok(row.map(|row| row.try_get("", "owner")).transpose()?)
    }

    /// The names of the leases that somebody holds and that begin with one of these texts.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn held_leases(&self, prefixes: &[&str]) -> Result<Vec<String>, Error> {
        let sql = format!("SELECT name FROM lease WHERE expires_at > {}", self.0.now_sql());
        let rows = self.0.leases.query_all_raw(self.statement(&sql, [])).await?;
        let mut names = rows.iter().map(|row| row.try_get("", "name")).collect::<Result<Vec<String>, DbErr>>()?;
        names.retain(|name| prefixes.iter().any(|prefix| name.starts_with(prefix)));
        Ok(names)
    }

    /// Deletes leases that begin with `prefix` and expired more than a day ago.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn purge_leases(&self, prefix: &str) -> Result<(), Error> {
        let sql = format!("DELETE FROM lease WHERE name LIKE $1 AND expires_at < {} - {DAY_US}", self.0.now_sql());
        self.0.leases.execute_raw(self.statement(&sql, [format!("{prefix}%").into()])).await?;
        Ok(())
    }

    /// Releases a lease, so that another process need not wait until it expires.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn release_lease(&self, lease: &Lease) -> Result<(), Error> {
        let sql = "UPDATE lease SET expires_at = 0 WHERE name = $1 AND owner = $2 AND fence = $3";
        let values = [lease.name.as_str().into(), lease.owner.as_str().into(), lease.fence.into()];
        self.0.leases.execute_raw(self.statement(sql, values)).await?;
        Ok(())
    }
}

const DAY_US: i64 = 24 * 3600 * 1_000_000;

fn us(ttl: Duration) -> i64 {
    i64::try_from(ttl.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Options, secrets::Sealer};

    #[tokio::test]
    async fn a_lease_that_ran_out_is_kept_until_another_takes_it() {
        let folder = std::env::temp_dir().join(format!("billwire-leases-{}", billwire_schemas::ids::fresh()));
        let key = Sealer::fresh_master_key().unwrap();
        let url = format!("sqlite://{}", folder.join("billwire.db").display());
        let store = Store::open(Options::new(url), Sealer::new([key.as_str()]).unwrap()).await.unwrap();
        let (short, long) = (Duration::ZERO, Duration::from_secs(3600));
        let first = store.acquire_lease("l", "one", short).await.unwrap().unwrap();
        let renewed = async |lease: &Lease| store.renew_leases(std::slice::from_ref(lease), long).await.unwrap().len() == 1;
        assert_eq!(store.renew_leases(std::slice::from_ref(&first), short).await.unwrap().len(), 1, "late, and nobody else was there");
        let second = store.acquire_lease("l", "two", long).await.unwrap().unwrap();
        assert_eq!(second.fence, first.fence + 1);
        assert!(!renewed(&first).await, "another has it");
        store.release_lease(&second).await.unwrap();
        assert!(!renewed(&second).await, "given back is given back");
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[tokio::test]
    async fn a_shared_lease_is_held_by_whoever_has_the_same_id() {
        let (store, folder) = crate::transaction::tests::store().await;
        let (one, other) = (billwire_schemas::ids::fresh(), billwire_schemas::ids::fresh());
        let (here, there, elsewhere) = (format!("{one} here"), format!("{one} there"), format!("{other} elsewhere"));
        let (short, long) = (Duration::ZERO, Duration::from_secs(3600));
        assert_eq!(store.share_lease("l", &here, long).await.unwrap(), None);
        assert_eq!(store.share_lease("l", &there, long).await.unwrap(), None);
        assert_eq!(store.share_lease("l", &elsewhere, long).await.unwrap(), Some(there));
        assert_eq!(store.share_lease("l", &here, short).await.unwrap(), None);
        assert_eq!(store.share_lease("l", &elsewhere, long).await.unwrap(), None, "the others are gone");
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
