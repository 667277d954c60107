//! Table `bucket`.

use billwire_domain::usage::bucket::Bucket;

use crate::objects::{Common, Noun, object_table};

object_table!("bucket" { service_id: uuid::Uuid });

impl Noun for Bucket {
    type Row = Model;
    const TABLE: &'static str = "bucket";

    fn row(&self, common: Common) -> Model {
        Model::of(common, self.service_id.0)
    }
}
