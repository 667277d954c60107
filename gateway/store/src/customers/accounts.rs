//! Table `account`.

use billwire_domain::customers::account::Account;

use crate::objects::{BaseColumns, Persisted, object_table};

object_table!("account" { bill_cycle_id: uuid::Uuid, planned_bill_cycle_id: Option<uuid::Uuid>, search: String });

impl Persisted for Account {
    type Row = Model;
    const TABLE: &'static str = "account";

    fn row(&self, common: BaseColumns) -> Model {
        let planned = self.planned_bill_cycle_change.as_ref().map(|change| change.bill_cycle_id.0);
        Model::of(common, self.bill_cycle.bill_cycle_id.0, planned, search(&self.name, self.external_id.as_deref()))
    }
}

/// The text that accounts are searched by: the name comes first, so that its beginning is a range of an index.
pub(crate) fn search(name: &str, external_id: Option<&str>) -> String {
    let texts = [Some(name), external_id];
    texts.into_iter().flatten().map(str::to_lowercase).collect::<Vec<_>>().join("\n")
}
