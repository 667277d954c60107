//! Stored platform objects: a table per noun with the same base columns, and one set of functions to find, list and write them.
//!
//! An object is its JSON in `body`. Columns beside it are for searches and locks: those of every noun are taken from [`Entity`], a
//! noun's own are named in its file. Unlike a table designed for joins, this one can be widened without moving data, and an event's
//! `after` equals the row.

use std::{any::Any, collections::HashMap, sync::Arc};

use billwire_domain::Entity;
use billwire_schemas::ids::TenantId;
use sea_orm::{
    ActiveModelTrait, Condition, ConnectionTrait, EntityTrait, FromQueryResult, IntoActiveModel, Iterable, Order, QueryFilter, QueryOrder,
    QuerySelect, sea_query::ExprTrait,
};
use serde::de::DeserializeOwned;
use uuid::Uuid;

use crate::{
    Error, Store,
    batching::filled,
    filter::{Filter, column},
    micros,
    page::{Page, PageRequest, rows_of_page},
};

/// The columns every noun's table has.
#[derive(Debug, Clone)]
pub struct BaseColumns {
    pub(crate) id: Uuid,
    pub(crate) tenant: String,
    pub(crate) version: i64,
    pub(crate) external_id: Option<String>,
    pub(crate) account_id: Option<Uuid>,
    pub(crate) status: Option<String>,
    pub(crate) due_at: Option<i64>,
    pub(crate) created_at: i64,
    pub(crate) body: String,
}

/// A row of a noun's table.
pub trait ObjectRow: IntoActiveModel<<Self::Table as EntityTrait>::ActiveModel> + FromQueryResult + Clone + Send + Sync + 'static {
    /// Its table.
    type Table: EntityTrait<Model = Self, ActiveModel: ActiveModelTrait<Entity = Self::Table> + Send, Column: Iterable>;

    /// The columns every noun has.
    fn common(self) -> BaseColumns;
}

/// Makes the sea-orm entity of a noun: the common columns, and the noun's own.
macro_rules! object_table {
    ($table:literal { $($field:ident: $kind:ty),* $(,)? }) => {
        pub mod table {
            use sea_orm::entity::prelude::*;

            use crate::objects::{BaseColumns, ObjectRow};

            #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
            #[sea_orm(table_name = $table)]
            pub struct Model {
                #[sea_orm(primary_key, auto_increment = false)]
                pub id: Uuid,
                pub tenant: String,
                pub version: i64,
                pub external_id: Option<String>,
                pub account_id: Option<Uuid>,
                pub status: Option<String>,
                pub due_at: Option<i64>,
                pub created_at: i64,
                $(pub $field: $kind,)*
                #[sea_orm(column_type = "Text")]
                pub body: String,
            }

            #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
            pub enum Relation {}

            impl ActiveModelBehavior for ActiveModel {}

            impl Model {
                /// The row of an object: what every noun has, then the noun's own.
                pub(crate) fn of(common: BaseColumns, $($field: $kind),*) -> Self {
                    let BaseColumns { id, tenant, version, external_id, account_id, status, due_at, created_at, body } = common;
                    Self { id, tenant, version, external_id, account_id, status, due_at, created_at, $($field,)* body }
                }
            }

            impl ObjectRow for Model {
                type Table = Entity;

                fn common(self) -> BaseColumns {
                    let Self { id, tenant, version, external_id, account_id, status, due_at, created_at, body, .. } = self;
                    BaseColumns { id, tenant, version, external_id, account_id, status, due_at, created_at, body }
                }
            }
        }
        use table::Model;
    };
}
pub(crate) use object_table;

/// A platform object that has a table.
pub trait Persisted: Entity + DeserializeOwned + Clone + Send + Sync + 'static {
    /// Its row.
    type Row: ObjectRow;
    /// Its table's name.
    const TABLE: &'static str;

    /// Its row, from the columns every noun has.
    fn row(&self, common: BaseColumns) -> Self::Row;

    /// The object of a row.
    ///
    /// # Errors
    /// When the row cannot be read.
    fn read(row: Self::Row) -> Result<Self, Error> {
        serde_json::from_str(&row.common().body).map_err(Error::corrupt(Self::TABLE))
    }
}

pub(crate) type TableOf<T> = <<T as Persisted>::Row as ObjectRow>::Table;

/// The row of `object`.
pub(crate) fn row_of<T: Persisted>(tenant: &TenantId, object: &T) -> Result<T::Row, Error> {
    let common = BaseColumns {
        id: object.id(),
        tenant: tenant.to_string(),
        version: object.version(),
        external_id: object.external_id().map(str::to_owned),
        account_id: object.account().map(|id| id.0),
        status: object.status().map(str::to_owned),
        due_at: object.due_at().map(micros),
        created_at: micros(object.created_at()),
        body: serde_json::to_string(object).map_err(Error::corrupt(T::TABLE))?,
    };
    Ok(object.row(common))
}

/// Objects by id, each with its tenant.
pub(crate) async fn by_ids<T: Persisted>(conn: &impl ConnectionTrait, ids: &[Uuid]) -> Result<Vec<(String, T)>, Error> {
    let mut found = Vec::with_capacity(ids.len());
    for part in ids.chunks(512) {
        let rows = TableOf::<T>::find().filter(column("id").is_in(filled(part))).all(conn).await?;
        for row in rows {
            let tenant = row.clone().common().tenant;
            found.push((tenant, T::read(row)?));
        }
    }
    Ok(found)
}

/// Objects that fit `filter`, oldest first.
pub(crate) async fn select<T: Persisted>(
    conn: &impl ConnectionTrait,
    tenant: &TenantId,
    filter: Filter,
    limit: u64,
) -> Result<Vec<T>, Error> {
    let find = TableOf::<T>::find().filter(filter.of(tenant)).order_by(column("id"), Order::Asc).limit(limit);
    find.all(conn).await?.into_iter().map(T::read).collect()
}

/// The object with this id, or else this external id.
pub(crate) async fn by_reference<T: Persisted>(
    conn: &impl ConnectionTrait,
    tenant: &TenantId,
    reference: &str,
) -> Result<Option<T>, Error> {
    if let Ok(id) = reference.parse::<Uuid>() {
        let same = Condition::all().add(column("id").eq(id)).add(column("tenant").eq(tenant.as_str()));
        if let Some(row) = TableOf::<T>::find().filter(same).one(conn).await? {
            return T::read(row).map(Some);
        }
    }
    let same = Condition::all().add(column("tenant").eq(tenant.as_str())).add(column("external_id").eq(reference));
    TableOf::<T>::find().filter(same).one(conn).await?.map(T::read).transpose()
}

/// The objects that `references` name by id or external id, by reference.
async fn by_references<T: Persisted>(
    conn: &impl ConnectionTrait,
    tenant: &TenantId,
    references: &[&str],
) -> Result<HashMap<String, T>, Error> {
    let ids: Vec<Uuid> = references.iter().filter_map(|reference| reference.parse().ok()).collect();
    let mut found = HashMap::new();
    for part in references.chunks(512) {
        let same = Condition::all().add(column("tenant").eq(tenant.as_str())).add(column("external_id").is_in(filled(part)));
        for row in TableOf::<T>::find().filter(same).all(conn).await? {
            let object = T::read(row)?;
            if let Some(external_id) = object.external_id().map(str::to_owned) {
                found.insert(external_id, object);
            }
        }
    }
    // An id goes before an external id that looks like one.
    for (owner, object) in by_ids::<T>(conn, &ids).await? {
        if owner == tenant.as_str() {
            found.insert(object.id().to_string(), object);
        }
    }
    Ok(found)
}

/// The ids of the tenant's objects that have one of `external_ids`, by external id.
pub(crate) async fn taken<T: Persisted>(
    conn: &impl ConnectionTrait,
    tenant: &TenantId,
    external_ids: &[&str],
) -> Result<HashMap<String, Uuid>, Error> {
    let mut taken = HashMap::new();
    for part in external_ids.chunks(512) {
        let same = Condition::all().add(column("tenant").eq(tenant.as_str())).add(column("external_id").is_in(filled(part)));
        let find =
            TableOf::<T>::find().select_only().column_as(column("external_id"), "external_id").column_as(column("id"), "id").filter(same);
        taken.extend(find.into_tuple::<(String, Uuid)>().all(conn).await?);
    }
    Ok(taken)
}

impl Store {
    /// The object with this id, or else this external id.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn find<T: Persisted>(&self, tenant: &TenantId, reference: &str) -> Result<Option<T>, Error> {
        by_reference(&self.0.read, tenant, reference).await
    }

    /// The objects that `references` name by id or external id, by reference as it was given (an id in its usual form).
    ///
    /// # Errors
    /// When the database fails.
    pub async fn find_many<T: Persisted>(&self, tenant: &TenantId, references: &[&str]) -> Result<HashMap<String, T>, Error> {
        by_references(&self.0.read, tenant, references).await
    }

    /// A page of objects, oldest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn list<T: Persisted>(&self, tenant: &TenantId, filter: Filter, page_request: PageRequest) -> Result<Page<T>, Error> {
        let mut wanted = filter.of(tenant);
        if let Some(after) = page_request.after {
            wanted = wanted.add(column("id").gt(after.id));
        }
        let find = TableOf::<T>::find().filter(wanted).order_by(column("id"), Order::Asc);
        let (rows, next) = rows_of_page(&self.0.read, find, None, page_request).await?;
        Ok(Page { items: rows.into_iter().map(T::read).collect::<Result<_, _>>()?, next })
    }

    /// A page of objects sorted by a column of whole numbers; ties by creation.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn list_sorted<T: Persisted>(
        &self,
        tenant: &TenantId,
        filter: Filter,
        (sort, ascending): (&'static str, bool),
        page_request: PageRequest,
    ) -> Result<Page<T>, Error> {
        let mut wanted = filter.of(tenant);
        if let Some(after) = page_request.after {
            let (beyond, tie) = if ascending {
                (column(sort).gt(after.sort), column("id").gt(after.id))
            } else {
                (column(sort).lt(after.sort), column("id").lt(after.id))
            };
            wanted = wanted.add(beyond.or(column(sort).eq(after.sort).and(tie)));
        }
        let order = if ascending { Order::Asc } else { Order::Desc };
        let find = TableOf::<T>::find().filter(wanted).order_by(column(sort), order.clone()).order_by(column("id"), order);
        let (rows, next) = rows_of_page(&self.0.read, find, Some(column(sort)), page_request).await?;
        Ok(Page { items: rows.into_iter().map(T::read).collect::<Result<_, _>>()?, next })
    }

    /// Every object that fits `filter`, up to `limit`, oldest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn select<T: Persisted>(&self, tenant: &TenantId, filter: Filter, limit: u64) -> Result<Vec<T>, Error> {
        select(&self.0.read, tenant, filter, limit).await
    }
}

/// A typed object behind one trait.
pub(crate) type Erased = Arc<dyn Any + Send + Sync>;

/// Objects of several nouns, read or written, by noun and id.
#[derive(Default)]
pub(crate) struct IdentityMap(HashMap<(&'static str, Uuid), Option<Erased>>);

impl IdentityMap {
    /// The object, if it is known whether there is one.
    pub fn get<T: Persisted>(&self, id: Uuid) -> Option<Option<T>> {
        let found = self.0.get(&(T::TABLE, id))?;
        Some(found.as_ref().and_then(|object| object.downcast_ref::<T>().cloned()))
    }

    /// Remembers the object, or that there is none; gives what was known before.
    pub fn put<T: Persisted>(&mut self, id: Uuid, object: Option<T>) -> Option<Option<Erased>> {
        self.0.insert((T::TABLE, id), object.map(|object| Arc::new(object) as Erased))
    }

    /// Knows of an object what was known before.
    pub fn restore(&mut self, table: &'static str, id: Uuid, before: Option<Option<Erased>>) {
        match before {
            Some(known) => self.0.insert((table, id), known),
            None => self.0.remove(&(table, id)),
        };
    }
}
