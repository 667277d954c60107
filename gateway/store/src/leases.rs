//! Leases: which process does work that only one may do at a time. They expire by the database's clock. Each change of owner raises the
//! fence, and writes under a lease check the fence, so a process that slept through its lease changes nothing.

use std::time::Duration;

use billwire_schemas::lease::Lease;
use sea_orm::ConnectionTrait;

use crate::{Error, Store};

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
        let row = self.0.write.query_one_raw(self.statement(&sql, [name.into(), owner.into(), us(ttl).into()])).await?;
        let Some(row) = row else { return Ok(None) };
        Ok(Some(Lease { name: name.to_owned(), owner: owner.to_owned(), fence: row.try_get("", "fence")? }))
    }

    /// Renews a lease; `false`: it is lost, or was released. An expired lease that nobody else has acquired is renewed all the same: the
    /// unchanged fence proves that nobody worked under it meanwhile.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn renew_lease(&self, lease: &Lease, ttl: Duration) -> Result<bool, Error> {
        let now = self.0.now_sql();
        let sql = format!("UPDATE lease SET expires_at = {now} + $1 WHERE name = $2 AND owner = $3 AND fence = $4 AND expires_at > 0");
        let values = [us(ttl).into(), lease.name.as_str().into(), lease.owner.as_str().into(), lease.fence.into()];
        Ok(self.0.write.execute_raw(self.statement(&sql, values)).await?.rows_affected() == 1)
    }

    /// Releases a lease, so that another process need not wait until it expires.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn release_lease(&self, lease: &Lease) -> Result<(), Error> {
        let sql = "UPDATE lease SET expires_at = 0 WHERE name = $1 AND owner = $2 AND fence = $3";
        let values = [lease.name.as_str().into(), lease.owner.as_str().into(), lease.fence.into()];
        self.0.write.execute_raw(self.statement(sql, values)).await?;
        Ok(())
    }
}

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
        assert!(store.renew_lease(&first, short).await.unwrap(), "late, and nobody else was there");
        let second = store.acquire_lease("l", "two", long).await.unwrap().unwrap();
        assert_eq!(second.fence, first.fence + 1);
        assert!(!store.renew_lease(&first, long).await.unwrap(), "another has it");
        store.release_lease(&second).await.unwrap();
        assert!(!store.renew_lease(&second, long).await.unwrap(), "given back is given back");
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
