//! The writes of a group of operations, in as few statements as possible.

use std::{
    any::Any,
    collections::{BTreeMap, HashMap, btree_map::Entry},
    pin::Pin,
};

use billwire_domain::access::audit::ChangeMade;
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, DatabaseBackend, DatabaseTransaction, EntityTrait, IdenStatic, IntoActiveModel,
    Iterable, QueryFilter, Statement, Value,
    sea_query::{Alias, Expr, ExprTrait, OnConflict},
};
use uuid::Uuid;

use crate::{
    Error, arrays, audit,
    batching::{filled, parts},
    configurations::Kind,
    entity::{audit_new, business_transaction, configuration, event, idempotency as reply_row, ordering_key},
    objects::{ObjectRow, Persisted, TableOf},
};

/// The writes of a group.
#[derive(Default)]
pub(crate) struct Writes {
    /// Platform objects, by table.
    objects: BTreeMap<&'static str, Box<dyn Objects>>,
    /// Run after the objects are written.
    pub statements: Vec<(String, Vec<Value>)>,
    /// Whether something was written at once.
    pub at_once: bool,
    pub configurations: Vec<configuration::Model>,
    /// Id, version, name and document.
    pub changed_configurations: Vec<(Uuid, i64, String, String)>,
    pub deleted_configurations: Vec<Uuid>,
    pub transactions: Vec<business_transaction::Model>,
    pub events: Vec<event::ActiveModel>,
    pub lanes: Vec<ordering_key::Model>,
    pub replies: Vec<reply_row::Model>,
    /// For the audit: tenant and change.
    pub audit: Vec<(String, ChangeMade)>,
}

type Flushing<'a> = Pin<Box<dyn Future<Output = Result<(), Error>> + Send + 'a>>;

/// The objects of one noun, behind one trait.
trait Objects: Any + Send + Sync {
    fn merge(&mut self, other: Box<dyn Any>);
    fn flush<'a>(self: Box<Self>, conn: &'a DatabaseTransaction) -> Flushing<'a>;
}

/// An object to write.
struct Saved<R> {
    /// The version it has in the database; 0 for a new one.
    base: i64,
    version: i64,
    row: R,
}

struct ObjectsOf<T: Persisted> {
    saved: HashMap<Uuid, Saved<T::Row>>,
    external_ids: HashMap<String, Uuid>,
    deleted: Vec<Uuid>,
}

impl<T: Persisted> Default for ObjectsOf<T> {
    fn default() -> Self {
        Self { saved: HashMap::new(), external_ids: HashMap::new(), deleted: Vec::new() }
    }
}

impl<T: Persisted> Objects for ObjectsOf<T> {
    fn merge(&mut self, other: Box<dyn Any>) {
        if let Ok(other) = other.downcast::<Self>() {
            // Units of a group hold different ordering keys and so change different objects; items of a bulk may share one.
            for (id, mut one) in other.saved {
                if let Some(earlier) = self.saved.get(&id) {
                    one.base = earlier.base;
                }
                self.saved.insert(id, one);
            }
            self.external_ids.extend(other.external_ids);
            self.deleted.extend(other.deleted);
        }
    }

    fn flush<'a>(self: Box<Self>, conn: &'a DatabaseTransaction) -> Flushing<'a> {
        Box::pin(async move {
            // An object that a unit changed several times moves on by several versions at once.
            let mut by_step: BTreeMap<i64, Vec<T::Row>> = BTreeMap::new();
            let mut saved: Vec<_> = self.saved.into_iter().collect();
            saved.sort_by_key(|(id, _)| *id);
            for (_, one) in saved {
                by_step.entry(one.version - one.base).or_default().push(one.row);
            }
            for (step, rows) in by_step {
                for part in parts(rows) {
                    upsert::<TableOf<T>, _>(conn, part, step).await?;
                }
            }
            if !self.deleted.is_empty() {
                let wanted = self.deleted.len() as u64;
                let gone = Expr::col(Alias::new("id")).is_in(self.deleted);
                let deleted = TableOf::<T>::delete_many().filter(gone).exec(conn).await?.rows_affected;
                if deleted != wanted {
                    return Err(Error::Contention(format!("a row of {} is gone already", T::TABLE)));
                }
            }
            Ok(())
        })
    }
}

impl Writes {
    pub fn is_empty(&self) -> bool {
        self.transactions.is_empty() && self.replies.is_empty() && self.statements.is_empty() && !self.at_once
    }

    pub fn first_transaction(&self) -> Option<Uuid> {
        self.transactions.first().map(|t| t.id)
    }

    pub fn has_events(&self) -> bool {
        !self.events.is_empty()
    }

    pub fn has_configuration(&self) -> bool {
        let is_routing = |one: &configuration::Model| !Kind::APART.map(Kind::name).contains(&one.kind.as_str());
        self.configurations.iter().any(is_routing) || !self.changed_configurations.is_empty() || !self.deleted_configurations.is_empty()
    }

    fn objects_of<T: Persisted>(&mut self) -> Option<&mut ObjectsOf<T>> {
        let objects = self.objects.entry(T::TABLE).or_insert_with(|| Box::new(ObjectsOf::<T>::default()));
        let objects: &mut dyn Any = objects.as_mut();
        objects.downcast_mut()
    }

    /// Adds a new or changed object; a unit's later change of the same object replaces the earlier one.
    pub fn save<T: Persisted>(&mut self, id: Uuid, base: i64, version: i64, row: T::Row) {
        let Some(objects) = self.objects_of::<T>() else { return };
        if let Some(external_id) = row.clone().common().external_id {
            objects.external_ids.insert(external_id, id);
        }
        let base = objects.saved.get(&id).map_or(base, |earlier| earlier.base);
        objects.saved.insert(id, Saved { base, version, row });
    }

    /// Adds the deletion of an object.
    pub fn delete<T: Persisted>(&mut self, id: Uuid) {
        let Some(objects) = self.objects_of::<T>() else { return };
        objects.saved.remove(&id);
        objects.deleted.push(id);
    }

    /// The id of the noun's object with this external id among the writes.
    pub fn external<T: Persisted>(&mut self, external_id: &str) -> Option<Uuid> {
        self.objects_of::<T>().and_then(|objects| objects.external_ids.get(external_id).copied())
    }

    pub fn merge(&mut self, other: Self) {
        for (table, objects) in other.objects {
            match self.objects.entry(table) {
                Entry::Vacant(place) => drop(place.insert(objects)),
                Entry::Occupied(mut place) => place.get_mut().merge(objects),
            }
        }
        self.statements.extend(other.statements);
        self.at_once |= other.at_once;
        self.configurations.extend(other.configurations);
        self.changed_configurations.extend(other.changed_configurations);
        self.deleted_configurations.extend(other.deleted_configurations);
        self.transactions.extend(other.transactions);
        self.events.extend(other.events);
        self.lanes.extend(other.lanes);
        self.replies.extend(other.replies);
        self.audit.extend(other.audit);
    }

    /// Writes everything, each table in as few statements as the parameter limits allow.
    pub async fn flush(self, conn: &DatabaseTransaction) -> Result<(), Error> {
        for objects in self.objects.into_values() {
            objects.flush(conn).await?;
        }
        for (sql, values) in self.statements {
            conn.execute_raw(Statement::from_sql_and_values(conn.get_database_backend(), sql, values)).await?;
        }
        insert::<configuration::Entity, _>(conn, self.configurations).await?;
        for (id, version, name, body) in self.changed_configurations {
            change_configuration(conn, id, version, name, body).await?;
        }
        if !self.deleted_configurations.is_empty() {
            let gone = configuration::Column::Id.is_in(self.deleted_configurations);
            configuration::Entity::delete_many().filter(gone).exec(conn).await?;
        }
        let audit = audit::rows(self.audit)?;
        let recorded = Recorded { transactions: self.transactions, events: self.events, lanes: self.lanes, replies: self.replies, audit };
        match conn.get_database_backend() {
            DatabaseBackend::Postgres => recorded.write_arrays(conn).await,
            _ => recorded.write_rows(conn).await,
        }
    }
}

/// What the units have recorded.
struct Recorded {
    transactions: Vec<business_transaction::Model>,
    events: Vec<event::ActiveModel>,
    lanes: Vec<ordering_key::Model>,
    replies: Vec<reply_row::Model>,
    audit: Vec<audit_new::Model>,
}

impl Recorded {
    /// Each table in as few statements as the parameter limits allow.
    async fn write_rows(self, conn: &DatabaseTransaction) -> Result<(), Error> {
        let with_events: Vec<Uuid> = if self.events.is_empty() { Vec::new() } else { self.transactions.iter().map(|t| t.id).collect() };
        insert::<business_transaction::Entity, _>(conn, self.transactions).await?;
        insert::<event::Entity, _>(conn, self.events).await?;
        for part in with_events.chunks(1024) {
            enqueue(conn, part).await?;
        }
        for part in parts(self.lanes) {
            advance(conn, part).await?;
        }
        insert::<reply_row::Entity, _>(conn, self.replies).await?;
        insert::<audit_new::Entity, _>(conn, self.audit).await
    }

    /// All tables in one statement, or in a few if there are many rows.
    async fn write_arrays(self, conn: &DatabaseTransaction) -> Result<(), Error> {
        let mut transactions = in_parts(self.transactions);
        let mut events = in_parts(self.events);
        let mut lanes = in_parts(self.lanes);
        let mut replies = in_parts(self.replies);
        let mut audit = in_parts(self.audit);
        loop {
            let (mut written, mut values) = (Vec::new(), Vec::new());
            if let Some(rows) = transactions.next() {
                written.push(format!("t AS ({})", arrays::insert(rows, &mut values)?));
            }
            if let Some(rows) = events.next() {
                // In this order they get their positions.
                written.push(format!("e AS ({} ORDER BY n RETURNING position)", arrays::insert(rows, &mut values)?));
                written.push("o AS (INSERT INTO outbox (position) SELECT position FROM e)".to_owned());
            }
            if let Some(rows) = lanes.next() {
                let clash = "ON CONFLICT (tenant, key) DO UPDATE SET last_sequence = excluded.last_sequence";
                written.push(format!("l AS ({} {clash})", arrays::insert(rows, &mut values)?));
            }
            if let Some(rows) = replies.next() {
                written.push(format!("r AS ({})", arrays::insert(rows, &mut values)?));
            }
            if let Some(rows) = audit.next() {
                written.push(format!("a AS ({})", arrays::insert(rows, &mut values)?));
            }
            if written.is_empty() {
                return Ok(());
            }
            let sql = format!("WITH {} SELECT 1", written.join(", "));
            conn.execute_raw(Statement::from_sql_and_values(DatabaseBackend::Postgres, sql, values)).await?;
        }
    }
}

/// Rows to write, in parts for a statement each.
fn in_parts<M: IntoActiveModel<A>, A: ActiveModelTrait>(rows: Vec<M>) -> impl Iterator<Item = Vec<A>> {
    let mut rows = rows.into_iter().map(IntoActiveModel::into_active_model);
    std::iter::from_fn(move || {
        let part: Vec<A> = rows.by_ref().take(arrays::ROWS_MAX).collect();
        (!part.is_empty()).then_some(part)
    })
}

async fn change_configuration(conn: &DatabaseTransaction, id: Uuid, version: i64, name: String, body: String) -> Result<(), Error> {
    // A version is used once, so a row below this version has not been changed meanwhile. Rows of event types that were registered again
    // were once stored with version 1, whatever their version.
    let sql = "UPDATE configuration SET version = $1, name = $2, body = $3 WHERE id = $4 AND version < $1";
    let values: [Value; 4] = [version.into(), name.into(), body.into(), id.into()];
    let done = conn.execute_raw(Statement::from_sql_and_values(conn.get_database_backend(), sql, values)).await?;
    if done.rows_affected() == 1 { Ok(()) } else { Err(Error::Contention("a configuration object has changed meanwhile".into())) }
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

/// Inserts new rows and changes rows that are `step` versions behind; anything else is a concurrent change.
async fn upsert<E, M>(conn: &DatabaseTransaction, rows: Vec<M>, step: i64) -> Result<(), Error>
where
    E: EntityTrait,
    M: IntoActiveModel<E::ActiveModel>,
    E::ActiveModel: ActiveModelTrait<Entity = E> + Send,
{
    let wanted = rows.len() as u64;
    let mut clash = OnConflict::column(Alias::new("id"));
    clash.update_columns(E::Column::iter().filter(|c| !matches!(c.as_str(), "id" | "tenant" | "created_at")));
    let version = Alias::new("version");
    let follows = Expr::col((E::default(), version.clone())).eq(Expr::col(("excluded", version)).sub(step));
    clash.action_and_where(follows);
    let rows = rows.into_iter().map(IntoActiveModel::into_active_model);
    let written = E::insert_many(rows).on_conflict(clash).exec_without_returning(conn).await?;
    if written == wanted { Ok(()) } else { Err(Error::Contention("a row is not at the version it was read at".into())) }
}

/// Adds the events of these transactions to the outbox.
async fn enqueue(conn: &DatabaseTransaction, transactions: &[Uuid]) -> Result<(), Error> {
    let transactions = filled(transactions);
    let marks: Vec<String> = (1..=transactions.len()).map(|i| format!("${i}")).collect();
    let sql = format!("INSERT INTO outbox (position) SELECT position FROM event WHERE transaction_id IN ({})", marks.join(", "));
    let values = transactions.into_iter().map(Value::from);
    conn.execute_raw(Statement::from_sql_and_values(conn.get_database_backend(), sql, values)).await?;
    Ok(())
}

/// Stores the new last sequences of the ordering keys.
async fn advance(conn: &DatabaseTransaction, lanes: Vec<ordering_key::Model>) -> Result<(), Error> {
    let mut clash = OnConflict::columns([ordering_key::Column::Tenant, ordering_key::Column::Key]);
    clash.update_column(ordering_key::Column::LastSequence);
    let rows = lanes.into_iter().map(IntoActiveModel::into_active_model);
    ordering_key::Entity::insert_many(rows).on_conflict(clash).exec_without_returning(conn).await?;
    Ok(())
}
