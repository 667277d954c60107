//! Table `delivery`: deliveries

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "delivery")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub tenant: String,
    pub event_id: Uuid,
    pub event_type: String,
    pub queue_id: Uuid,
    pub slot: i32,
    pub subscription_id: Uuid,
    pub lane_id: Uuid,
    pub ordering_key: String,
    pub sequence: i64,
    pub position: i64,
    pub state: String,
    pub attempts: i32,
    pub forgiven: i32,
    pub next_attempt_at: Option<i64>,
    pub last_status: Option<i32>,
    pub last_detail: String,
    pub last_latency_us: i64,
    pub last_attempt_at: Option<i64>,
    pub created_at: i64,
    pub updated_at: i64,
    /// JSON of [`billwire_schemas::delivery::Exchange`], once it succeeded.
    #[sea_orm(column_type = "Text", nullable)]
    pub exchange: Option<String>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
