//! Table `service`.

use billwire_domain::customers::service::Service;

use crate::objects::{BaseColumns, Persisted, object_table};

object_table!("service" { package_subscription_id: Option<uuid::Uuid> });

impl Persisted for Service {
    type Row = Model;
    const TABLE: &'static str = "service";

    fn row(&self, common: BaseColumns) -> Model {
        Model::of(common, self.package_subscription_id.map(|id| id.0))
    }
}
