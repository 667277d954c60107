//! Table `credit`.

use billwire_domain::billing::credit::Credit;

use crate::objects::{Common, Noun, object_table};

object_table!("credit" { remaining: i64 });

impl Noun for Credit {
    type Row = Model;
    const TABLE: &'static str = "credit";

    fn row(&self, common: Common) -> Model {
        Model::of(common, self.remaining.amount.millionths())
    }
}
