//! Table `bill_cycle`.

use billwire_domain::customers::bill_cycle::BillCycle;

use crate::objects::{Common, Noun, object_table};

object_table!("bill_cycle" {});

impl Noun for BillCycle {
    type Row = Model;
    const TABLE: &'static str = "bill_cycle";

    fn row(&self, common: Common) -> Model {
        Model::of(common)
    }
}
