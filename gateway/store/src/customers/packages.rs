//! Table `package`.

use billwire_domain::customers::package::Package;

use crate::objects::{Common, Noun, object_table};

object_table!("package" { currency: String });

impl Noun for Package {
    type Row = Model;
    const TABLE: &'static str = "package";

    fn row(&self, common: Common) -> Model {
        Model::of(common, self.currency.to_string())
    }
}
