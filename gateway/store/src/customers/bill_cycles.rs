//! Table `bill_cycle`.

use billwire_domain::customers::bill_cycle::BillCycle;

use crate::objects::{BaseColumns, Persisted, object_table};

object_table!("bill_cycle" {});

impl Persisted for BillCycle {
    type Row = Model;
    const TABLE: &'static str = "bill_cycle";

    fn row(&self, common: BaseColumns) -> Model {
        Model::of(common)
    }
}
