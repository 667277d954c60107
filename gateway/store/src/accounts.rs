//! Reading accounts outside a change.

use billwire_domain::account::Account;
use billwire_schemas::{
    clock::Timestamp,
    ids::{AccountId, TenantId},
};
use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter, QueryOrder, QuerySelect, sea_query::ExprTrait};

use crate::{
    Error, Store,
    entity::account::{self, Model},
    micros,
    page::{After, Ask, Page},
};

fn parse(row: Model) -> Result<Account, Error> {
    serde_json::from_str(&row.body).map_err(Error::corrupt("account"))
}

impl Store {
    /// The account with this id, or else this external id.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn account(&self, tenant: &TenantId, reference: &str) -> Result<Option<Account>, Error> {
        let tenant_is = account::Column::Tenant.eq(tenant.as_str());
        if let Ok(id) = reference.parse::<uuid::Uuid>() {
            let found = account::Entity::find_by_id(id).filter(tenant_is.clone()).one(&self.0.read).await?;
            if let Some(row) = found {
                return parse(row).map(Some);
            }
        }
        let same = tenant_is.and(account::Column::ExternalId.eq(reference));
        account::Entity::find().filter(same).one(&self.0.read).await?.map(parse).transpose()
    }

    /// A page of accounts, oldest first, of one status if given.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn list_accounts(&self, tenant: &TenantId, status: Option<&str>, ask: Ask) -> Result<Page<Account>, Error> {
        let mut filter = Condition::all().add(account::Column::Tenant.eq(tenant.as_str()));
        if let Some(status) = status {
            filter = filter.add(account::Column::Status.eq(status));
        }
        if let Some(after) = ask.after {
            filter = filter.add(account::Column::Id.gt(after.id));
        }
        let find = account::Entity::find().filter(filter).order_by_asc(account::Column::Id).limit(ask.limit + 1);
        Page::cut(find.all(&self.0.read).await?, ask.limit, |row| After { sort: 0, id: row.id }, parse)
    }

    /// Accounts whose planned change is due, longest overdue first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn accounts_due(&self, now: Timestamp, limit: u64) -> Result<Vec<(TenantId, AccountId)>, Error> {
        let find =
            account::Entity::find().filter(account::Column::DueAt.lte(micros(now))).order_by_asc(account::Column::DueAt).limit(limit);
        let rows = find.all(&self.0.read).await?;
        Ok(rows.into_iter().filter_map(|row| Some((row.tenant.parse().ok()?, AccountId(row.id)))).collect())
    }
}
