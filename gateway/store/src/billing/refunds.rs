//! Table `refund`.

use billwire_domain::billing::refund::Refund;

use crate::objects::{BaseColumns, Persisted, object_table};

object_table!("refund" { payment_id: uuid::Uuid });

impl Persisted for Refund {
    type Row = Model;
    const TABLE: &'static str = "refund";

    fn row(&self, common: BaseColumns) -> Model {
        Model::of(common, self.payment_id.0)
    }
}
