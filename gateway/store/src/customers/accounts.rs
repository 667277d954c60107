//! Table `account`.

use billwire_domain::customers::account::{Account, PAID_FOR_MAX};
use billwire_schemas::ids::{AccountId, TenantId};
use uuid::Uuid;

use crate::{
    Error, Store,
    filter::Filter,
    objects::{self, BaseColumns, Persisted, object_table},
};

object_table!("account" {
    bill_cycle_id: uuid::Uuid,
    planned_bill_cycle_id: Option<uuid::Uuid>,
    payer_id: Option<uuid::Uuid>,
    search: String,
});

impl Persisted for Account {
    type Row = Model;
    const TABLE: &'static str = "account";

    fn row(&self, common: BaseColumns) -> Model {
        let planned = self.planned_bill_cycle_change.as_ref().map(|change| change.bill_cycle_id.0);
        let payer = self.payer_id.map(|payer| payer.0);
        Model::of(common, self.bill_cycle.bill_cycle_id.0, planned, payer, search(&self.name, self.external_id.as_deref()))
    }
}

impl Store {
    /// The accounts that these pay for.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn paid_for(&self, tenant: &TenantId, payers: &[AccountId]) -> Result<Vec<Account>, Error> {
        let ids: Vec<Uuid> = payers.iter().map(|payer| payer.0).collect();
        let limit = (ids.len() * PAID_FOR_MAX) as u64;
        objects::select(&self.0.read, tenant, Filter::new().any_id_of("payer_id", &ids), limit).await
    }
}

/// The text that accounts are searched by: the name comes first, so that its beginning is a range of an index.
pub(crate) fn search(name: &str, external_id: Option<&str>) -> String {
    let texts = [Some(name), external_id];
    texts.into_iter().flatten().map(str::to_lowercase).collect::<Vec<_>>().join("\n")
}
