//! Table `event`: events, kept after publishing

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "event")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub position: i64,
    pub id: Uuid,
    pub tenant: String,
    pub ordering_key: String,
    pub sequence: i64,
    pub kind: String,
    pub object_id: String,
    pub transaction_id: Uuid,
    pub occurred_at: i64,
    pub recorded_at: i64,
    #[sea_orm(column_type = "Text")]
    pub body: String,
    /// Parameters for e-mail only.
    #[sea_orm(column_type = "Text", nullable)]
    pub private: Option<String>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
