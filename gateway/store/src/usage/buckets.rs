//! Table `bucket`.

use billwire_domain::usage::bucket::Bucket;

use crate::objects::{BaseColumns, Persisted, object_table};

object_table!("bucket" { service_id: uuid::Uuid });

impl Persisted for Bucket {
    type Row = Model;
    const TABLE: &'static str = "bucket";

    fn row(&self, common: BaseColumns) -> Model {
        Model::of(common, self.service_id.0)
    }
}
