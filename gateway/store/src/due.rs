//! Objects that are due: those of all tenants, in turn where there are many.

use billwire_schemas::{
    clock::Timestamp,
    ids::{OrderingKey, TenantId},
};
use sea_orm::{ConnectionTrait, EntityTrait, Order, QueryFilter, QueryOrder, QuerySelect, sea_query::ExprTrait};
use uuid::Uuid;

use crate::{
    Error, Store,
    filter::column,
    micros, moment,
    objects::{ObjectRow, Persisted, TableOf},
};

/// An object that is due.
#[derive(Debug, Clone)]
pub struct Due {
    /// When.
    pub at: Timestamp,
    /// The tenant.
    pub tenant: TenantId,
    /// The ordering key.
    pub key: OrderingKey,
    /// The object.
    pub id: Uuid,
}

/// Tenants that share one look, where more is due than one look takes.
const TENANTS: u64 = 16;

impl Store {
    /// The due objects of this noun, longest overdue first, up to `limit`. If more are due, some of each of the next tenants behind `after`: one
    /// tenant's thousands do not delay what is due for others.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn due<T: Persisted>(&self, now: Timestamp, limit: u64, after: Option<&TenantId>) -> Result<Vec<Due>, Error> {
        let all = self.due_of::<T>(now, None, limit).await?;
        if (all.len() as u64) < limit {
            return Ok(all);
        }
        let mut tenants = self.tenants_with_due::<T>(now, after.map_or("", TenantId::as_str)).await?;
        if (tenants.len() as u64) < TENANTS && after.is_some() {
            let first = self.tenants_with_due::<T>(now, "").await?;
            let more: Vec<TenantId> = first.into_iter().filter(|tenant| !tenants.contains(tenant)).collect();
            tenants.extend(more);
            tenants.truncate(usize::try_from(TENANTS).unwrap_or(usize::MAX));
        }
        let share = Ord::max(limit.checked_div(tenants.len() as u64).unwrap_or(limit), 1);
        let mut found = Vec::new();
        for tenant in &tenants {
            found.extend(self.due_of::<T>(now, Some(tenant), share).await?);
        }
        Ok(found)
    }

    async fn due_of<T: Persisted>(&self, now: Timestamp, tenant: Option<&TenantId>, limit: u64) -> Result<Vec<Due>, Error> {
        let mut find = TableOf::<T>::find().filter(column("due_at").lte(micros(now)));
        if let Some(tenant) = tenant {
            find = find.filter(column("tenant").eq(tenant.as_str()));
        }
        let rows = find.order_by(column("due_at"), Order::Asc).limit(limit).all(&self.0.read).await?;
        let due = rows.into_iter().filter_map(|row| {
            let common = row.common();
            let at = moment(common.due_at?);
            Some(Due { at, tenant: common.tenant.parse().ok()?, key: common.account_id.unwrap_or(common.id).into(), id: common.id })
        });
        Ok(due.collect())
    }

    /// The next tenants behind `after` for which something is due, up to [`TENANTS`].
    async fn tenants_with_due<T: Persisted>(&self, now: Timestamp, after: &str) -> Result<Vec<TenantId>, Error> {
        let table = T::TABLE;
        // From tenant to tenant in the index on tenant and time, whatever the number of their objects.
        let sql = format!(
            "WITH RECURSIVE t (tenant) AS (SELECT MIN(tenant) FROM {table} WHERE due_at IS NOT NULL AND tenant > $1 UNION ALL \
             SELECT (SELECT MIN(x.tenant) FROM {table} x WHERE x.due_at IS NOT NULL AND x.tenant > t.tenant) FROM t WHERE t.tenant IS NOT NULL) \
             SELECT t.tenant FROM t WHERE t.tenant IS NOT NULL \
             AND EXISTS (SELECT 1 FROM {table} x WHERE x.tenant = t.tenant AND x.due_at IS NOT NULL AND x.due_at <= $2) LIMIT {TENANTS}"
        );
        let rows = self.0.read.query_all_raw(self.statement(&sql, [after.into(), micros(now).into()])).await?;
        let mut found = Vec::with_capacity(rows.len());
        for row in rows {
            let tenant: String = row.try_get("", "tenant")?;
            found.extend(tenant.parse::<TenantId>().ok());
        }
        Ok(found)
    }

    /// When the object is due next.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn due_at<T: Persisted>(&self, id: Uuid) -> Result<Option<Timestamp>, Error> {
        let sql = format!("SELECT due_at FROM {} WHERE id = $1", T::TABLE);
        let row = self.0.read.query_one_raw(self.statement(&sql, [id.into()])).await?;
        Ok(row.map(|row| row.try_get::<Option<i64>>("", "due_at")).transpose()?.flatten().map(moment))
    }

    /// Postpones an object that is due at `now` but cannot be processed: it is due again at `until`, unless it changes before.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn postpone<T: Persisted>(&self, id: Uuid, now: Timestamp, until: Timestamp) -> Result<(), Error> {
        let sql = format!("UPDATE {} SET due_at = $1 WHERE id = $2 AND due_at <= $3", T::TABLE);
        let values = [micros(until).into(), id.into(), micros(now).into()];
        self.0.write.execute_raw(self.statement(&sql, values)).await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use billwire_domain::usage::contract::Contract;
    use billwire_schemas::{
        clock::{Clock, SystemClock},
        ids::fresh,
    };

    use super::*;
    use crate::transaction::tests::store;

    #[tokio::test]
    async fn what_is_due_for_one_tenant_does_not_hide_what_is_due_for_others() {
        let (store, folder) = store().await;
        let now = SystemClock.now();
        let contract = async |tenant: &str, at: i64| {
            let sql = "INSERT INTO contract (id, tenant, version, due_at, created_at, body) VALUES ($1, $2, 1, $3, 0, '{}')";
            store.0.write.execute_raw(store.statement(sql, [fresh().into(), tenant.into(), at.into()])).await.expect("a row");
        };
        contract("b", 1_000).await;
        contract("c", 1_000).await;
        contract("d", micros(now) + 1_000_000_000).await;
        for n in 0..40 {
            contract("a", n).await;
        }
        let due = async |limit, after: Option<&str>| {
            let after = after.map(|after| after.parse().expect("a tenant"));
            let found = store.due::<Contract>(now, limit, after.as_ref()).await.expect("read");
            found.into_iter().map(|one| one.tenant.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(due(100, None).await.len(), 42, "all of it, if it is few");
        assert_eq!(due(12, None).await, ["a", "a", "a", "a", "b", "c"]);
        assert_eq!(due(12, Some("a")).await, ["b", "c", "a", "a", "a", "a"], "the next ones first");
        assert_eq!(due(12, Some("c")).await, ["a", "a", "a", "a", "b", "c"]);
        let _ = std::fs::remove_dir_all(folder);
    }
}
