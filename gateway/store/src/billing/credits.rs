//! Table `credit`.

use billwire_domain::billing::credit::Credit;

use crate::objects::{BaseColumns, Persisted, object_table};

object_table!("credit" { remaining: i64 });

impl Persisted for Credit {
    type Row = Model;
    const TABLE: &'static str = "credit";

    fn row(&self, common: BaseColumns) -> Model {
        Model::of(common, self.remaining.amount.millionths())
    }
}
