//! Table `payment`.

use billwire_domain::billing::payment::Payment;

use crate::objects::{BaseColumns, Persisted, object_table};

object_table!("payment" { unallocated: i64 });

impl Persisted for Payment {
    type Row = Model;
    const TABLE: &'static str = "payment";

    fn row(&self, common: BaseColumns) -> Model {
        Model::of(common, self.unallocated.amount.millionths())
    }
}
