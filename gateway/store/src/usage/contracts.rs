//! Table `contract`.

use billwire_domain::usage::contract::Contract;

use crate::objects::{BaseColumns, Persisted, object_table};

object_table!("contract" {  });

impl Persisted for Contract {
    type Row = Model;
    const TABLE: &'static str = "contract";

    fn row(&self, common: BaseColumns) -> Model {
        Model::of(common)
    }
}
