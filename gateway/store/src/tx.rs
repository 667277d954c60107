//! One operation's view of the shared transaction: it loads through it, and its writes are collected.

mod configurations;
mod external_ids;
mod items;
mod sequences;

use std::{collections::HashMap, pin::Pin, sync::Arc};

use billwire_domain::{
    Change, Entity,
    access::audit::{By, ChangeMade},
};
use billwire_schemas::{
    clock::{Clock, SystemClock, Timestamp},
    events::envelope::Action,
    ids::{AccountId, OrderingKey, TenantId, TransactionId},
};
use sea_orm::{ActiveValue::Set, ConnectionTrait, DatabaseTransaction, QueryResult, Statement, Value};
use tokio::sync::Mutex;
use uuid::Uuid;

use crate::{
    Error, attributes,
    audit::digest_of,
    by_revision::KnownConfiguration,
    entity::{business_transaction, event, idempotency as reply_row, ordering_key},
    error::Failure,
    filter::Filter,
    idempotency::{Claim, Reply},
    micros,
    objects::{self, Erased, IdentityMap, Persisted},
    secrets::Sealer,
    writes::Writes,
};

pub(crate) use self::sequences::{Locked, lock};

type Fetching<'a> = Pin<Box<dyn Future<Output = Result<(), Error>> + Send + 'a>>;

/// An object a unit will certainly load.
#[derive(Clone, Copy)]
pub struct Prefetch {
    table: &'static str,
    id: Uuid,
    fetch: for<'a> fn(&'a DatabaseTransaction, Vec<Uuid>, &'a mut Loaded) -> Fetching<'a>,
}

impl Prefetch {
    /// The object of noun `T` with this id.
    pub fn of<T: Persisted>(id: Uuid) -> Self {
        Self { table: T::TABLE, id, fetch: |conn, ids, loaded| Box::pin(loaded.fetch_noun::<T>(conn, ids)) }
    }
}

/// What was prefetched for a group, by noun and id; objects of any tenant.
#[derive(Default)]
pub(crate) struct Loaded {
    objects: HashMap<(&'static str, Uuid), Option<(String, Erased)>>,
    /// The revision of each tenant's configuration, as far as it is known.
    revisions: Mutex<HashMap<TenantId, i64>>,
}

impl Loaded {
    pub async fn fetch(conn: &DatabaseTransaction, wanted: Vec<Prefetch>, revisions: HashMap<TenantId, i64>) -> Result<Self, Error> {
        let mut loaded = Self { revisions: Mutex::new(revisions), ..Self::default() };
        let mut nouns: Vec<Prefetch> = Vec::new();
        for want in wanted {
            loaded.objects.insert((want.table, want.id), None);
            if nouns.iter().all(|noun| noun.table != want.table) {
                nouns.push(want);
            }
        }
        for noun in nouns {
            let ids = loaded.objects.keys().filter(|(table, _)| *table == noun.table).map(|(_, id)| *id).collect();
            (noun.fetch)(conn, ids, &mut loaded).await?;
        }
        Ok(loaded)
    }

    async fn fetch_noun<T: Persisted>(&mut self, conn: &DatabaseTransaction, ids: Vec<Uuid>) -> Result<(), Error> {
        for (tenant, object) in objects::by_ids::<T>(conn, &ids).await? {
            self.objects.insert((T::TABLE, object.id()), Some((tenant, Arc::new(object))));
        }
        Ok(())
    }

    /// The tenant's object, if it is known whether there is one.
    fn get<T: Persisted>(&self, tenant: &TenantId, id: Uuid) -> Option<Option<T>> {
        let found = self.objects.get(&(T::TABLE, id))?;
        let own = found.as_ref().filter(|(owner, _)| owner == tenant.as_str());
        Some(own.and_then(|(_, object)| object.downcast_ref::<T>().cloned()))
    }
}

fn parse<T: serde::de::DeserializeOwned>(table: &'static str, body: &str) -> Result<T, Error> {
    serde_json::from_str(body).map_err(Error::corrupt(table))
}

fn text<T: serde::Serialize>(table: &'static str, value: &T) -> Result<String, Error> {
    serde_json::to_string(value).map_err(Error::corrupt(table))
}

/// An event to record.
#[derive(Debug)]
pub struct NewEvent {
    /// Its id.
    pub id: Uuid,
    /// Its type.
    pub kind: String,
    /// The object it is about.
    pub object_id: String,
    /// From [`Tx::next_sequence`].
    pub sequence: i64,
    /// The whole message as it will be on the stream.
    pub body: String,
    /// Parameters for e-mail only, JSON; they never leave SQL otherwise.
    pub private: Option<String>,
}

/// A business transaction to be recorded.
#[derive(Debug)]
pub struct NewTransaction {
    /// Its id.
    pub id: Uuid,
    /// The operationId.
    pub operation: &'static str,
    /// The account it belongs to.
    pub account: Option<AccountId>,
    /// When it happened, by the business clock.
    pub occurred_at: Timestamp,
    /// The first object it changed.
    pub object: Option<String>,
    /// Who called the operation.
    pub by: By,
    /// Whether the reply shows a secret.
    pub secret: bool,
    /// Its record, JSON.
    pub body: String,
    /// Its events, in order.
    pub events: Vec<NewEvent>,
}

/// One operation's view of the transaction.
pub struct Tx<'group> {
    conn: &'group DatabaseTransaction,
    sealer: &'group Sealer,
    loaded: &'group Loaded,
    known: &'group KnownConfiguration,
    tenant: TenantId,
    /// The last sequence of each of the unit's ordering keys.
    sequences: HashMap<OrderingKey, i64>,
    /// What this unit has loaded or saved: it sees its own changes.
    identity_map: IdentityMap,
    /// External ids that were looked up for many at once, by noun, and the object that has each.
    external_ids: HashMap<(&'static str, String), Option<Uuid>>,
    writes: Writes,
    /// The item of a bulk that is being decided.
    item: Option<items::Item>,
}

impl<'group> Tx<'group> {
    pub(crate) fn new(
        conn: &'group DatabaseTransaction,
        (sealer, known): (&'group Sealer, &'group KnownConfiguration),
        loaded: &'group Loaded,
        tenant: TenantId,
        sequences: HashMap<OrderingKey, i64>,
    ) -> Self {
        let (identity_map, external_ids, writes) = Default::default();
        Self { conn, sealer, loaded, known, tenant, sequences, identity_map, external_ids, writes, item: None }
    }

    /// The tenant.
    pub fn tenant(&self) -> &TenantId {
        &self.tenant
    }

    /// The object, if this tenant has it, as this unit has left it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn load<T: Persisted>(&mut self, id: Uuid) -> Result<Option<T>, Failure> {
        if let Some(known) = self.identity_map.get::<T>(id).or_else(|| self.loaded.get::<T>(&self.tenant, id)) {
            return Ok(known);
        }
        self.preload::<T>(&[id]).await?;
        Ok(self.identity_map.get::<T>(id).flatten())
    }

    /// Loads many objects with few queries, so that [`Tx::load`] finds them at hand.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn preload<T: Persisted>(&mut self, ids: &[Uuid]) -> Result<(), Failure> {
        let missing: Vec<Uuid> = ids.iter().copied().filter(|id| self.identity_map.get::<T>(*id).is_none()).collect();
        for id in &missing {
            self.identity_map.put::<T>(*id, None);
        }
        for (tenant, object) in objects::by_ids::<T>(self.conn, &missing).await? {
            if tenant == self.tenant.as_str() {
                self.identity_map.put(object.id(), Some(object));
            }
        }
        Ok(())
    }

    /// The objects of this tenant that have one of `ids` in `column`, loaded with few queries; [`Tx::load`] then has them at hand.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn preload_where<T: Persisted>(&mut self, column: &'static str, ids: &[Uuid]) -> Result<Vec<T>, Failure> {
        let mut found = Vec::new();
        for part in ids.chunks(512) {
            for object in self.select::<T>(Filter::new().any_id_of(column, part), u64::from(u32::MAX)).await? {
                match self.identity_map.get::<T>(object.id()) {
                    Some(known) => found.extend(known),
                    None => {
                        self.identity_map.put(object.id(), Some(object.clone()));
                        found.push(object);
                    }
                }
            }
        }
        Ok(found)
    }

    /// The object with this id, or else this external id, if this tenant has it. External ids are looked up as they were
    /// before this unit.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn find<T: Persisted>(&mut self, reference: &str) -> Result<Option<T>, Failure> {
        if let Ok(id) = reference.parse::<Uuid>()
            && let Some(object) = self.load::<T>(id).await?
        {
            return Ok(Some(object));
        }
        let Some(object) = objects::by_reference::<T>(self.conn, &self.tenant, reference).await? else { return Ok(None) };
        self.load::<T>(object.id()).await
    }

    /// The objects that fit `filter`, as they were before this unit, oldest first, up to `limit`.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn select<T: Persisted>(&self, filter: Filter, limit: u64) -> Result<Vec<T>, Failure> {
        Ok(objects::select(self.conn, &self.tenant, filter, limit).await?)
    }

    /// Saves a created, changed or deleted object.
    ///
    /// # Errors
    /// When it cannot be written as JSON.
    pub fn save<T: Persisted>(&mut self, change: &Change<T>) -> Result<(), Failure> {
        if change.action == Action::Unchanged {
            return Ok(());
        }
        let id = change.after.id();
        let had = change.before.as_ref().and_then(Entity::attributes).filter(|had| !had.is_empty());
        let has = change.after.attributes().filter(|has| change.action != Action::Deleted && !has.is_empty());
        if had != has {
            self.writes.statements.extend(had.map(|_| attributes::removed(id)));
            self.writes.statements.extend(has.and_then(|has| attributes::added(&self.tenant, T::TYPE, id, has)));
        }
        if change.action == Action::Deleted {
            self.shelve::<T>(id, None);
            self.writes.delete::<T>(id);
            return Ok(());
        }
        let base = change.before.as_ref().map_or(0, Entity::version);
        self.writes.save::<T>(id, base, change.after.version(), objects::row_of(&self.tenant, &change.after)?);
        self.shelve(id, Some(change.after.clone()));
        Ok(())
    }

    /// A statement to run after the unit's objects are written; for changes of too many rows to load them.
    pub(crate) fn defer(&mut self, sql: String, values: Vec<Value>) {
        self.writes.statements.push((sql, values));
    }

    /// A statement that writes, run at once, with the rows it returns; only as the last thing a unit does, when nothing can refuse it
    /// any more.
    pub(crate) async fn write(&mut self, sql: &str, values: Vec<Value>) -> Result<Vec<QueryResult>, Error> {
        self.writes.at_once = true;
        self.query(sql, values).await
    }

    /// A query in the unit's transaction.
    pub(crate) async fn query(&self, sql: &str, values: Vec<Value>) -> Result<Vec<QueryResult>, Error> {
        Ok(self.conn.query_all_raw(Statement::from_sql_and_values(self.conn.get_database_backend(), sql, values)).await?)
    }

    /// Records the business transaction and its events, which keep order within `key`.
    pub fn append(&mut self, key: &OrderingKey, new: NewTransaction) {
        let recorded_at = SystemClock.now();
        let silent = new.events.is_empty();
        for event in new.events {
            self.writes.events.push(event::ActiveModel {
                position: sea_orm::ActiveValue::NotSet,
                id: Set(event.id),
                tenant: Set(self.tenant.to_string()),
                ordering_key: Set(key.to_string()),
                sequence: Set(event.sequence),
                kind: Set(event.kind),
                object_id: Set(event.object_id),
                transaction_id: Set(new.id),
                occurred_at: Set(micros(new.occurred_at)),
                recorded_at: Set(micros(recorded_at)),
                body: Set(event.body),
                private: Set(event.private),
            });
        }
        let change = ChangeMade {
            business_transaction_id: TransactionId(new.id),
            operation: new.operation.to_owned(),
            by: new.by,
            secret_shown: new.secret,
            digest: digest_of(&new.body),
        };
        self.writes.audit.push((self.tenant.to_string(), change));
        self.writes.transactions.push(business_transaction::Model {
            id: new.id,
            tenant: self.tenant.to_string(),
            operation: new.operation.to_owned(),
            account_id: new.account.map(|id| id.0),
            occurred_at: micros(new.occurred_at),
            // Otherwise its events name its objects, and their rows find it.
            object_id: if silent { new.object } else { None },
            body: new.body,
        });
        if *key == OrderingKey::CONFIGURATION
            && let Some(last) = self.sequences.get_mut(key)
        {
            // Causes no event, but counts: this is the revision that the consumers compare.
            *last += 1;
        }
    }

    pub(crate) fn remember(&mut self, claim: &Claim, reply: &Reply) -> Result<(), Error> {
        let body =
            if reply.secret { self.sealer.seal(&reply.body, &reply_aad(self.tenant.as_str(), &claim.key))? } else { reply.body.clone() };
        self.writes.replies.push(reply_row::Model {
            tenant: self.tenant.to_string(),
            key: claim.key.clone(),
            fingerprint: claim.fingerprint.clone(),
            status: i32::from(reply.status),
            sealed: reply.secret,
            body,
            created_at: micros(SystemClock.now()),
        });
        Ok(())
    }

    pub(crate) fn into_writes(mut self, before: &HashMap<OrderingKey, i64>) -> Writes {
        for (key, last_sequence) in self.sequences {
            if before.get(&key) != Some(&last_sequence) {
                self.writes.lanes.push(ordering_key::Model { tenant: self.tenant.to_string(), key: key.to_string(), last_sequence });
            }
        }
        self.writes
    }
}

/// The row identity a stored reply is sealed with.
pub(crate) fn reply_aad(tenant: &str, key: &str) -> String {
    format!("idempotency|{tenant}|{key}")
}
