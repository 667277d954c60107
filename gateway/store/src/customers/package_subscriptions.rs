//! Table `package_subscription`.

use billwire_domain::customers::package_subscription::PackageSubscription;

use crate::objects::{Common, Noun, object_table};

object_table!("package_subscription" { package_id: uuid::Uuid });

impl Noun for PackageSubscription {
    type Row = Model;
    const TABLE: &'static str = "package_subscription";

    fn row(&self, common: Common) -> Model {
        Model::of(common, self.package_id.0)
    }
}
