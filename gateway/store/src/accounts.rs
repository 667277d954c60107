//! Table `account`.

use billwire_domain::account::Account;

use crate::objects::{Common, Noun, object_table};

object_table!("account" { bill_cycle_id: uuid::Uuid });

impl Noun for Account {
    type Row = Model;
    const TABLE: &'static str = "account";

    fn row(&self, common: Common) -> Model {
        Model::of(common, self.bill_cycle.bill_cycle_id.0)
    }
}
