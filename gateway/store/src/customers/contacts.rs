//! Table `contact`.

use billwire_domain::customers::contact::Contact;

use crate::objects::{Common, Noun, object_table};

object_table!("contact" {});

impl Noun for Contact {
    type Row = Model;
    const TABLE: &'static str = "contact";

    fn row(&self, common: Common) -> Model {
        Model::of(common)
    }
}
