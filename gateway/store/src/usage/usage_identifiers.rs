//! Table `usage_identifier`.

use billwire_domain::usage::usage_identifier::UsageIdentifier;

use crate::objects::{BaseColumns, Persisted, object_table};

object_table!("usage_identifier" { service_id: uuid::Uuid, kind: String, value: String });

impl Persisted for UsageIdentifier {
    type Row = Model;
    const TABLE: &'static str = "usage_identifier";

    fn row(&self, common: BaseColumns) -> Model {
        Model::of(common, self.service_id.0, self.kind.clone(), self.value.clone())
    }
}
