//! Table `refund`.

use billwire_domain::billing::refund::Refund;

use crate::objects::{Common, Noun, object_table};

object_table!("refund" { payment_id: uuid::Uuid });

impl Noun for Refund {
    type Row = Model;
    const TABLE: &'static str = "refund";

    fn row(&self, common: Common) -> Model {
        Model::of(common, self.payment_id.0)
    }
}
