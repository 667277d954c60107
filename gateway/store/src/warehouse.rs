//! Which warehouse batch holds which event. An event is assigned to a batch once and for all; that makes loading
//! exactly once, whatever is redelivered, replayed or restarted.

use billwire_schemas::{clock::Timestamp, ids::EventId};
use sea_orm::{ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Value, sea_query::Expr};
use uuid::Uuid;

use crate::{
    Backend, Error, Store, Unpublished,
    entity::{warehouse_batch, warehouse_event},
    micros,
};

impl Store {
    /// Assigns those of `ids` that are in no batch yet to a new batch. `None`: all are in one.
    ///
    /// # Errors
    /// When the database fails; then nothing was assigned.
    pub async fn assign_to_warehouse(&self, ids: &[EventId], now: Timestamp) -> Result<Option<(i64, Vec<EventId>)>, Error> {
        let transaction = self.begin().await?;
        let batch = warehouse_batch::ActiveModel { written: Set(false), created_at: Set(micros(now)), ..Default::default() };
        let batch = warehouse_batch::Entity::insert(batch).exec(&*transaction).await?.last_insert_id;
        let mut taken = Vec::with_capacity(ids.len());
        for part in ids.chunks(1000) {
            let (given, mut values) = match self.backend() {
                Backend::Postgres => {
                    let ids: Vec<Uuid> = part.iter().map(|id| id.0).collect();
                    ("SELECT id, $1 FROM UNNEST($2::uuid[]) AS r(id)".to_owned(), vec![ids.into()])
                }
                Backend::Sqlite => {
                    let rows: Vec<String> = (0..part.len()).map(|i| format!("(${}, $1)", i + 2)).collect();
                    (format!("VALUES {}", rows.join(", ")), part.iter().map(|id| Value::from(id.0)).collect())
                }
            };
            values.insert(0, batch.into());
            let sql = format!("INSERT INTO warehouse_event (event_id, batch) {given} ON CONFLICT (event_id) DO NOTHING RETURNING event_id");
            for row in transaction.query_all_raw(self.statement(&sql, values)).await? {
                taken.push(EventId(row.try_get::<Uuid>("", "event_id")?));
            }
        }
        if taken.is_empty() {
            transaction.rollback().await?;
            return Ok(None);
        }
        transaction.commit().await?;
        Ok(Some((batch, taken)))
    }

    /// Batches that were assigned but not yet marked as written, oldest first, with their events in outbox order.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn unwritten_batches(&self, limit: u64) -> Result<Vec<(i64, Vec<Unpublished>)>, Error> {
        let open = warehouse_batch::Entity::find().filter(warehouse_batch::Column::Written.eq(false));
        let open = open.order_by_asc(warehouse_batch::Column::Id).limit(limit).all(&self.0.write).await?;
        let mut batches = Vec::with_capacity(open.len());
        for batch in open {
            let held = warehouse_event::Entity::find().filter(warehouse_event::Column::Batch.eq(batch.id)).all(&self.0.read).await?;
            let ids: Vec<EventId> = held.into_iter().map(|row| EventId(row.event_id)).collect();
            batches.push((batch.id, self.events(&ids).await?));
        }
        Ok(batches)
    }

    /// Those of `ids` that are in a written batch.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn in_written_batches(&self, ids: &[EventId]) -> Result<Vec<EventId>, Error> {
        let mut found = Vec::new();
        for part in ids.chunks(500) {
            let held = warehouse_event::Entity::find().filter(warehouse_event::Column::EventId.is_in(part.iter().map(|id| id.0)));
            let held = held.all(&self.0.read).await?;
            let batches = warehouse_batch::Entity::find().filter(warehouse_batch::Column::Id.is_in(held.iter().map(|row| row.batch)));
            let written = batches.filter(warehouse_batch::Column::Written.eq(true)).all(&self.0.read).await?;
            let written = |row: &&warehouse_event::Model| written.iter().any(|batch| batch.id == row.batch);
            found.extend(held.iter().filter(written).map(|row| EventId(row.event_id)));
        }
        Ok(found)
    }

    /// Marks a batch as written.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn mark_batch_written(&self, batch: i64) -> Result<(), Error> {
        let update = warehouse_batch::Entity::update_many().col_expr(warehouse_batch::Column::Written, Expr::value(true));
        update.filter(warehouse_batch::Column::Id.eq(batch)).exec(&self.0.write).await?;
        Ok(())
    }
}
