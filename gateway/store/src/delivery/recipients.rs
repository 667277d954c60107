//! What became of each recipient of a delivery by e-mail. Whoever was reached is not written to again.

use billwire_schemas::{clock::Timestamp, ids::DeliveryId};
use sea_orm::{
    ColumnTrait, DatabaseTransaction, DbErr, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder,
    sea_query::{Expr, ExprTrait, OnConflict},
};

use crate::{Error, Store, batching::parts, entity::recipient, micros, moment};

/// The state of a recipient that was reached.
pub const SENT: &str = "sent";

/// One recipient of one delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipient {
    /// Of which delivery.
    pub delivery: DeliveryId,
    /// The address.
    pub address: String,
    /// `sent`, `deferred`, `refused` or `suppressed`.
    pub state: String,
    /// The server's code about it, where there was one.
    pub status: Option<u16>,
    /// The server's words.
    pub detail: String,
    /// When that was.
    pub at: Timestamp,
}

/// Writes what became of recipients; one that was reached stays so.
pub(crate) async fn write(transaction: &DatabaseTransaction, recipients: &[Recipient]) -> Result<(), DbErr> {
    use recipient::Column as C;
    let row = |one: &Recipient| recipient::Model {
        delivery_id: one.delivery.0,
        address: one.address.clone(),
        state: one.state.clone(),
        status: one.status.map(i32::from),
        detail: one.detail.clone(),
        at: micros(one.at),
    };
    for part in parts::<recipient::ActiveModel>(recipients.iter().map(|one| row(one).into_active_model()).collect()) {
        let mut clash = OnConflict::columns([C::DeliveryId, C::Address]);
        clash.update_columns([C::State, C::Status, C::Detail, C::At]);
        clash.action_and_where(Expr::col((recipient::Entity, C::State)).ne(SENT));
        recipient::Entity::insert_many(part).on_conflict(clash).exec_without_returning(transaction).await?;
    }
    Ok(())
}

impl Store {
    /// The recipients of a delivery, by address.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn recipients(&self, delivery: DeliveryId) -> Result<Vec<Recipient>, Error> {
        let find = recipient::Entity::find().filter(recipient::Column::DeliveryId.eq(delivery.0));
        let rows = find.order_by_asc(recipient::Column::Address).all(&self.0.read).await?;
        let read = |row: recipient::Model| Recipient {
            delivery,
            address: row.address,
            state: row.state,
            status: row.status.and_then(|status| u16::try_from(status).ok()),
            detail: row.detail,
            at: moment(row.at),
        };
        Ok(rows.into_iter().map(read).collect())
    }
}
