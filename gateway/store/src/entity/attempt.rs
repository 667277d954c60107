//! Table `attempt`: failed attempts that were followed by another

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "attempt")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub delivery_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub number: i32,
    pub at: i64,
    pub latency_us: i64,
    pub status: Option<i32>,
    pub detail: String,
    pub tenant: String,
    /// JSON of [`billwire_schemas::delivery::Exchange`].
    #[sea_orm(column_type = "Text", nullable)]
    pub exchange: Option<String>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
