//! Table `payment`.

use billwire_domain::billing::payment::Payment;

use crate::objects::{Common, Noun, object_table};

object_table!("payment" {  });

impl Noun for Payment {
    type Row = Model;
    const TABLE: &'static str = "payment";

    fn row(&self, common: Common) -> Model {
        Model::of(common)
    }
}
