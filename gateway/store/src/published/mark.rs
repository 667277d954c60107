//! What the stream has acknowledged leaves the outbox, and it is recorded where it stands.

use billwire_schemas::{
    clock::{Clock, SystemClock},
    delivery::Published,
    lease::Lease,
};
use sea_orm::{ConnectionTrait, DatabaseTransaction, DbErr, EntityTrait, IntoActiveModel, Value, sea_query::OnConflict};

use super::{HIGHEST, whole};
use crate::{
    Backend, Error, Store, arrays,
    batching::{filled, parts},
    delivery::deliveries::slot,
    entity::published,
    micros, settings,
};

impl Store {
    /// Marks events as published, if `lease` still holds; with the highest sequence that the stream has acknowledged. `false`: it does not,
    /// and nothing was changed.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn mark_published(&self, lease: &Lease, events: &[Published], highest: u64) -> Result<bool, Error> {
        let at = micros(SystemClock.now());
        let row = |one: &Published| {
            published::Model { sequence: whole(one.sequence), slot: slot(one.slot), position: one.position, at }.into_active_model()
        };
        let rows: Vec<published::ActiveModel> = events.iter().map(row).collect();
        let positions: Vec<i64> = events.iter().map(|one| one.position).collect();
        if self.backend() == Backend::Postgres && !rows.is_empty() {
            return self.mark_published_at_once(lease, rows, positions, highest).await;
        }
        // One commit for all: each waits for the disk, and the next events wait for it.
        let transaction = self.begin().await?;
        if !self.holds(&transaction, lease).await? {
            return Ok(false);
        }
        self.delete_from_outbox(&*transaction, &positions).await?;
        for part in parts(rows) {
            let known = OnConflict::column(published::Column::Sequence).do_nothing().to_owned();
            published::Entity::insert_many(part).on_conflict(known).exec_without_returning(&*transaction).await?;
        }
        settings::set(&*transaction, HIGHEST, &highest.to_string()).await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// [`Store::mark_published`] in a single statement, which is its own transaction.
    async fn mark_published_at_once(
        &self,
        lease: &Lease,
        rows: Vec<published::ActiveModel>,
        positions: Vec<i64>,
        highest: u64,
    ) -> Result<bool, Error> {
        let mut values: Vec<Value> = vec![lease.name.as_str().into(), lease.owner.as_str().into(), lease.fence.into()];
        values.extend([HIGHEST.into(), highest.to_string().into(), positions.into()]);
        let insert = arrays::insert(rows, &mut values)?;
        let sql = format!(
            "WITH held AS (SELECT 1 FROM lease WHERE name = $1 AND owner = $2 AND fence = $3), \
             p AS ({insert} WHERE EXISTS (SELECT 1 FROM held) ON CONFLICT (sequence) DO NOTHING), \
             o AS (DELETE FROM outbox WHERE position = ANY($6) AND EXISTS (SELECT 1 FROM held)), \
             s AS (INSERT INTO setting (key, value) SELECT $4, $5 FROM held ON CONFLICT (key) DO UPDATE SET value = excluded.value) \
             SELECT 1 FROM held"
        );
        Ok(self.0.write.query_one_raw(self.statement(&sql, values)).await?.is_some())
    }

    pub(crate) async fn holds(&self, transaction: &DatabaseTransaction, lease: &Lease) -> Result<bool, Error> {
        let sql = "SELECT fence FROM lease WHERE name = $1 AND owner = $2 AND fence = $3";
        let values = [lease.name.as_str().into(), lease.owner.as_str().into(), lease.fence.into()];
        Ok(transaction.query_one_raw(self.statement(sql, values)).await?.is_some())
    }

    pub(crate) async fn delete_from_outbox(&self, conn: &impl ConnectionTrait, positions: &[i64]) -> Result<(), DbErr> {
        for part in positions.chunks(1024) {
            let part = filled(part);
            let marks: Vec<String> = (1..=part.len()).map(|n| format!("${n}")).collect();
            let sql = format!("DELETE FROM outbox WHERE position IN ({})", marks.join(", "));
            conn.execute_raw(self.statement(&sql, part.into_iter().map(Value::from))).await?;
        }
        Ok(())
    }
}
