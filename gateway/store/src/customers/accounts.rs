//! Table `account`.

use billwire_domain::customers::account::Account;

use crate::objects::{BaseColumns, Persisted, object_table};

object_table!("account" { bill_cycle_id: uuid::Uuid, planned_bill_cycle_id: Option<uuid::Uuid> });

impl Persisted for Account {
    type Row = Model;
    const TABLE: &'static str = "account";

    fn row(&self, common: BaseColumns) -> Model {
        Model::of(common, self.bill_cycle.bill_cycle_id.0, self.planned_bill_cycle_change.as_ref().map(|change| change.bill_cycle_id.0))
    }
}
