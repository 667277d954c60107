//! Reading bill cycles outside a change.

use billwire_domain::bill_cycle::BillCycle;
use billwire_schemas::ids::TenantId;
use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter, QueryOrder, QuerySelect, sea_query::ExprTrait};

use crate::{
    Error, Store,
    entity::bill_cycle::{self, Model},
    page::{After, Ask, Page},
};

fn parse(row: Model) -> Result<BillCycle, Error> {
    serde_json::from_str(&row.body).map_err(Error::corrupt("bill_cycle"))
}

impl Store {
    /// The bill cycle with this id, or else this external id.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn bill_cycle(&self, tenant: &TenantId, reference: &str) -> Result<Option<BillCycle>, Error> {
        let tenant_is = bill_cycle::Column::Tenant.eq(tenant.as_str());
        if let Ok(id) = reference.parse::<uuid::Uuid>() {
            let found = bill_cycle::Entity::find_by_id(id).filter(tenant_is.clone()).one(&self.0.read).await?;
            if let Some(row) = found {
                return parse(row).map(Some);
            }
        }
        let same = tenant_is.and(bill_cycle::Column::ExternalId.eq(reference));
        bill_cycle::Entity::find().filter(same).one(&self.0.read).await?.map(parse).transpose()
    }

    /// A page of bill cycles, oldest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn list_bill_cycles(&self, tenant: &TenantId, ask: Ask) -> Result<Page<BillCycle>, Error> {
        let mut filter = Condition::all().add(bill_cycle::Column::Tenant.eq(tenant.as_str()));
        if let Some(after) = ask.after {
            filter = filter.add(bill_cycle::Column::Id.gt(after.id));
        }
        let find = bill_cycle::Entity::find().filter(filter).order_by_asc(bill_cycle::Column::Id).limit(ask.limit + 1);
        Page::cut(find.all(&self.0.read).await?, ask.limit, |row| After { sort: 0, id: row.id }, parse)
    }
}
