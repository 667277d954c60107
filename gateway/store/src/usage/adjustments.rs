//! Table `adjustment`.

use billwire_domain::usage::adjustment::Adjustment;

use crate::objects::{BaseColumns, Persisted, object_table};

object_table!("adjustment" { chargeable_event_id: uuid::Uuid, invoice_id: Option<uuid::Uuid> });

impl Persisted for Adjustment {
    type Row = Model;
    const TABLE: &'static str = "adjustment";

    fn row(&self, common: BaseColumns) -> Model {
        Model::of(common, self.chargeable_event_id.0, self.invoice_id.map(|id| id.0))
    }
}
