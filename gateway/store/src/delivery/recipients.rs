//! Table `recipient`: the result for each recipient of a delivery by e-mail. Nothing is sent again to a recipient that was reached.

use billwire_schemas::{
    clock::Timestamp,
    delivery::{Delivery, Recipient, RecipientState},
    ids::DeliveryId,
};
use sea_orm::{
    ColumnTrait, DatabaseTransaction, DbErr, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder,
    sea_query::{Expr, ExprTrait, OnConflict},
};

use crate::{Error, Store, batching::parts, entity::recipient, micros, moment};

/// The rows of the recipients of the latest attempts.
pub(crate) fn rows<'d>(deliveries: impl Iterator<Item = &'d Delivery>) -> Vec<recipient::ActiveModel> {
    let mut rows: Vec<recipient::ActiveModel> = Vec::new();
    for (delivery, last) in deliveries.filter_map(|one| Some((one.id, one.last.as_ref()?))) {
        rows.extend(last.report.recipients.iter().map(|one| {
            let (address, detail, status) = (one.address.clone(), one.detail.clone(), one.status.map(i32::from));
            let state = one.state.name().to_owned();
            recipient::Model { delivery_id: delivery.0, address, state, status, detail, at: micros(last.at) }.into_active_model()
        }));
    }
    rows
}

/// Writes the recipients of the latest attempts; the row of one that was reached does not change.
pub(crate) async fn write(transaction: &DatabaseTransaction, deliveries: impl Iterator<Item = &Delivery>) -> Result<(), DbErr> {
    use recipient::Column as C;
    for part in parts(rows(deliveries)) {
        let mut clash = OnConflict::columns([C::DeliveryId, C::Address]);
        clash.update_columns([C::State, C::Status, C::Detail, C::At]);
        clash.action_and_where(Expr::col((recipient::Entity, C::State)).ne(RecipientState::Sent.name()));
        recipient::Entity::insert_many(part).on_conflict(clash).exec_without_returning(transaction).await?;
    }
    Ok(())
}

impl Store {
    /// The recipients of a delivery, by address, each with the beginning of the attempt it is from.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn recipients(&self, delivery: DeliveryId) -> Result<Vec<(Recipient, Timestamp)>, Error> {
        let find = recipient::Entity::find().filter(recipient::Column::DeliveryId.eq(delivery.0));
        let rows = find.order_by_asc(recipient::Column::Address).all(&self.0.read).await?;
        let read = |row: recipient::Model| {
            let state = RecipientState::of(&row.state).ok_or(Error::Corrupt { table: "recipient", detail: row.state })?;
            let status = row.status.and_then(|status| u16::try_from(status).ok());
            Ok((Recipient { address: row.address, state, status, detail: row.detail }, moment(row.at)))
        };
        rows.into_iter().map(read).collect()
    }
}
