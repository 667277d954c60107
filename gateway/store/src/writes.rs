//! What a group of operations wants written, and writing it in as few statements as will do.

use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, DatabaseTransaction, EntityTrait, IdenStatic, IntoActiveModel, Iterable, QueryFilter,
    Statement, Value,
    sea_query::{Expr, ExprTrait, OnConflict},
};
use uuid::Uuid;

use crate::{
    Error,
    entity::{account, bill_cycle, business_transaction, configuration, event, idempotency as reply_row, ordering_key},
    sizes::{filled, parts},
};

/// What a group wants written.
#[derive(Default)]
pub(crate) struct Writes {
    pub accounts: Vec<account::Model>,
    pub bill_cycles: Vec<bill_cycle::Model>,
    pub configurations: Vec<configuration::Model>,
    pub deleted_configurations: Vec<Uuid>,
    pub transactions: Vec<business_transaction::Model>,
    pub events: Vec<event::ActiveModel>,
    pub lanes: Vec<ordering_key::Model>,
    pub replies: Vec<reply_row::Model>,
}

impl Writes {
    pub fn is_empty(&self) -> bool {
        self.transactions.is_empty() && self.replies.is_empty()
    }

    pub fn first_transaction(&self) -> Option<Uuid> {
        self.transactions.first().map(|t| t.id)
    }

    pub fn has_events(&self) -> bool {
        !self.events.is_empty()
    }

    pub fn has_configuration(&self) -> bool {
        !self.configurations.is_empty() || !self.deleted_configurations.is_empty()
    }

    pub fn merge(&mut self, other: Self) {
        self.accounts.extend(other.accounts);
        self.bill_cycles.extend(other.bill_cycles);
        self.configurations.extend(other.configurations);
        self.deleted_configurations.extend(other.deleted_configurations);
        self.transactions.extend(other.transactions);
        self.events.extend(other.events);
        self.lanes.extend(other.lanes);
        self.replies.extend(other.replies);
    }

    /// Writes everything, each table in as few statements as the parameter limits allow.
    pub async fn flush(self, conn: &DatabaseTransaction) -> Result<(), Error> {
        let transactions: Vec<Uuid> = if self.events.is_empty() { Vec::new() } else { self.transactions.iter().map(|t| t.id).collect() };
        upsert::<account::Entity, _>(conn, self.accounts, account::Column::Id, account::Column::Version).await?;
        upsert::<bill_cycle::Entity, _>(conn, self.bill_cycles, bill_cycle::Column::Id, bill_cycle::Column::Version).await?;
        insert::<configuration::Entity, _>(conn, self.configurations).await?;
        if !self.deleted_configurations.is_empty() {
            let gone = configuration::Column::Id.is_in(self.deleted_configurations);
            configuration::Entity::delete_many().filter(gone).exec(conn).await?;
        }
        insert::<business_transaction::Entity, _>(conn, self.transactions).await?;
        insert::<event::Entity, _>(conn, self.events).await?;
        enqueue(conn, transactions).await?;
        advance(conn, self.lanes).await?;
        insert::<reply_row::Entity, _>(conn, self.replies).await
    }
}

async fn insert<E, M>(conn: &DatabaseTransaction, rows: Vec<M>) -> Result<(), Error>
where
    E: EntityTrait,
    M: IntoActiveModel<E::ActiveModel>,
    E::ActiveModel: ActiveModelTrait<Entity = E> + Send,
{
    let rows: Vec<E::ActiveModel> = rows.into_iter().map(IntoActiveModel::into_active_model).collect();
    for part in parts(rows) {
        E::insert_many(part).exec_without_returning(conn).await?;
    }
    Ok(())
}

/// Inserts rows at version 1 and changes rows that are at the version before; anything else is a concurrent change.
async fn upsert<E, M>(conn: &DatabaseTransaction, rows: Vec<M>, id: E::Column, version: E::Column) -> Result<(), Error>
where
    E: EntityTrait,
    M: IntoActiveModel<E::ActiveModel>,
    E::ActiveModel: ActiveModelTrait<Entity = E> + Send,
{
    if rows.is_empty() {
        return Ok(());
    }
    let wanted = rows.len() as u64;
    let mut clash = OnConflict::column(id);
    clash.update_columns(E::Column::iter().filter(|c| c.as_str() != id.as_str()));
    let follows = Expr::col((E::default(), version)).eq(Expr::col(("excluded", version)).sub(1));
    clash.action_and_where(follows);
    let rows = rows.into_iter().map(IntoActiveModel::into_active_model);
    let written = E::insert_many(rows).on_conflict(clash).exec_without_returning(conn).await?;
    if written == wanted { Ok(()) } else { Err(Error::Contention("a row is not at the version it was read at".into())) }
}

/// Puts the events of these transactions in line for publishing.
async fn enqueue(conn: &DatabaseTransaction, transactions: Vec<Uuid>) -> Result<(), Error> {
    if transactions.is_empty() {
        return Ok(());
    }
    let transactions = filled(&transactions);
    let marks: Vec<String> = (1..=transactions.len()).map(|i| format!("${i}")).collect();
    let sql = format!("INSERT INTO outbox (position) SELECT position FROM event WHERE transaction_id IN ({})", marks.join(", "));
    let values = transactions.into_iter().map(Value::from);
    conn.execute_raw(Statement::from_sql_and_values(conn.get_database_backend(), sql, values)).await?;
    Ok(())
}

/// Moves the ordering keys on to their new last sequences.
async fn advance(conn: &DatabaseTransaction, lanes: Vec<ordering_key::Model>) -> Result<(), Error> {
    if lanes.is_empty() {
        return Ok(());
    }
    let mut clash = OnConflict::columns([ordering_key::Column::Tenant, ordering_key::Column::Key]);
    clash.update_column(ordering_key::Column::LastSequence);
    let rows = lanes.into_iter().map(IntoActiveModel::into_active_model);
    ordering_key::Entity::insert_many(rows).on_conflict(clash).exec_without_returning(conn).await?;
    Ok(())
}
