//! Table `package`.

use billwire_domain::customers::package::Package;

use crate::objects::{BaseColumns, Persisted, object_table};

object_table!("package" { currency: String });

impl Persisted for Package {
    type Row = Model;
    const TABLE: &'static str = "package";

    fn row(&self, common: BaseColumns) -> Model {
        Model::of(common, self.currency.to_string())
    }
}
