//! Table `package_subscription`.

use billwire_domain::customers::package_subscription::PackageSubscription;

use crate::objects::{BaseColumns, Persisted, object_table};

object_table!("package_subscription" { package_id: uuid::Uuid });

impl Persisted for PackageSubscription {
    type Row = Model;
    const TABLE: &'static str = "package_subscription";

    fn row(&self, common: BaseColumns) -> Model {
        Model::of(common, self.package_id.0)
    }
}
