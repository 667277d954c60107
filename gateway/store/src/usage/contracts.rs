//! Table `contract`.

use billwire_domain::usage::contract::Contract;

use crate::objects::{Common, Noun, object_table};

object_table!("contract" {  });

impl Noun for Contract {
    type Row = Model;
    const TABLE: &'static str = "contract";

    fn row(&self, common: Common) -> Model {
        Model::of(common)
    }
}
