//! Table `contact`.

use billwire_domain::customers::contact::Contact;

use crate::objects::{BaseColumns, Persisted, object_table};

object_table!("contact" {});

impl Persisted for Contact {
    type Row = Model;
    const TABLE: &'static str = "contact";

    fn row(&self, common: BaseColumns) -> Model {
        Model::of(common)
    }
}
