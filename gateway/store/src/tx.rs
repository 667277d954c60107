//! One operation's view of the shared transaction: loads through it, writes collected beside it.

use std::collections::HashMap;

use billwire_domain::{account::Account, bill_cycle::BillCycle};
use billwire_schemas::{
    clock::{Clock, SystemClock, Timestamp},
    ids::{AccountId, BillCycleId, OrderingKey, TenantId},
};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, Condition, ConnectionTrait, DatabaseBackend, DatabaseTransaction, EntityTrait, QueryFilter, Statement,
    Value, sea_query::ExprTrait,
};
use uuid::Uuid;

use crate::{
    Error,
    commit::Failure,
    configurations::{Configuration, Kind},
    entity::{account, bill_cycle, business_transaction, configuration, event, idempotency as reply_row, ordering_key},
    idempotency::{Claim, Reply},
    micros,
    secrets::Sealer,
    writes::Writes,
};

/// Something a unit will surely load.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Prefetch {
    /// An account.
    Account(AccountId),
    /// A bill cycle.
    BillCycle(BillCycleId),
}

/// What was prefetched for a group.
#[derive(Default)]
pub(crate) struct Loaded {
    accounts: HashMap<AccountId, (TenantId, Option<Account>)>,
    bill_cycles: HashMap<BillCycleId, (TenantId, Option<BillCycle>)>,
}

impl Loaded {
    pub async fn fetch(conn: &DatabaseTransaction, wanted: Vec<(TenantId, Prefetch)>) -> Result<Self, Error> {
        let mut loaded = Self::default();
        for (tenant, want) in wanted {
            match want {
                Prefetch::Account(id) => drop(loaded.accounts.insert(id, (tenant, None))),
                Prefetch::BillCycle(id) => drop(loaded.bill_cycles.insert(id, (tenant, None))),
            }
        }
        if !loaded.accounts.is_empty() {
            let ids = loaded.accounts.keys().map(|id| id.0);
            for row in account::Entity::find().filter(account::Column::Id.is_in(ids)).all(conn).await? {
                let found = parse("account", &row.body)?;
                if let Some(slot) = loaded.accounts.get_mut(&AccountId(row.id)).filter(|(tenant, _)| tenant.as_str() == row.tenant) {
                    slot.1 = Some(found);
                }
            }
        }
        if !loaded.bill_cycles.is_empty() {
            let ids = loaded.bill_cycles.keys().map(|id| id.0);
            for row in bill_cycle::Entity::find().filter(bill_cycle::Column::Id.is_in(ids)).all(conn).await? {
                let found = parse("bill_cycle", &row.body)?;
                if let Some(slot) = loaded.bill_cycles.get_mut(&BillCycleId(row.id)).filter(|(tenant, _)| tenant.as_str() == row.tenant) {
                    slot.1 = Some(found);
                }
            }
        }
        Ok(loaded)
    }
}

fn parse<T: serde::de::DeserializeOwned>(table: &'static str, body: &str) -> Result<T, Error> {
    serde_json::from_str(body).map_err(Error::corrupt(table))
}

fn text<T: serde::Serialize>(table: &'static str, value: &T) -> Result<String, Error> {
    serde_json::to_string(value).map_err(Error::corrupt(table))
}

/// Locks the ordering keys and gives their last sequences. Rows are taken in one fixed order, so two groups cannot
/// wait for each other; the upsert both makes a missing row and locks an existing one.
pub(crate) async fn lock(
    conn: &DatabaseTransaction,
    dialect: DatabaseBackend,
    mut lanes: Vec<(TenantId, OrderingKey)>,
) -> Result<HashMap<(TenantId, OrderingKey), i64>, Error> {
    lanes.sort();
    let rows: Vec<String> = (0..lanes.len()).map(|i| format!("(${}, ${}, 0)", 2 * i + 1, 2 * i + 2)).collect();
    let sql = format!(
        "INSERT INTO ordering_key (tenant, key, last_sequence) VALUES {} \
         ON CONFLICT (tenant, key) DO UPDATE SET last_sequence = ordering_key.last_sequence RETURNING tenant, key, last_sequence",
        rows.join(", ")
    );
    let values: Vec<Value> = lanes.iter().flat_map(|(tenant, key)| [tenant.as_str().into(), key.as_str().into()]).collect();
    let mut found = HashMap::new();
    for row in conn.query_all_raw(Statement::from_sql_and_values(dialect, sql, values)).await? {
        let (tenant, key): (String, String) = (row.try_get("", "tenant")?, row.try_get("", "key")?);
        if let (Ok(tenant), Ok(key)) = (tenant.parse(), key.parse()) {
            found.insert((tenant, key), row.try_get("", "last_sequence")?);
        }
    }
    Ok(found)
}

/// An event to be recorded.
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
    /// The whole message as it will stand on the stream.
    pub body: String,
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
    tenant: TenantId,
    key: OrderingKey,
    last_sequence: i64,
    writes: Writes,
}

impl<'group> Tx<'group> {
    pub(crate) fn new(
        conn: &'group DatabaseTransaction,
        sealer: &'group Sealer,
        loaded: &'group Loaded,
        (tenant, key): (TenantId, OrderingKey),
        last_sequence: i64,
    ) -> Self {
        Self { conn, sealer, loaded, tenant, key, last_sequence, writes: Writes::default() }
    }

    /// The account, if this tenant has it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn account(&self, id: AccountId) -> Result<Option<Account>, Failure> {
        if let Some((tenant, account)) = self.loaded.accounts.get(&id)
            && *tenant == self.tenant
        {
            return Ok(account.clone());
        }
        let find = account::Entity::find_by_id(id.0).filter(account::Column::Tenant.eq(self.tenant.as_str()));
        let row = find.one(self.conn).await.map_err(Error::from)?;
        Ok(row.map(|row| parse("account", &row.body)).transpose()?)
    }

    /// The bill cycle, if this tenant has it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn bill_cycle(&self, id: BillCycleId) -> Result<Option<BillCycle>, Failure> {
        if let Some((tenant, cycle)) = self.loaded.bill_cycles.get(&id)
            && *tenant == self.tenant
        {
            return Ok(cycle.clone());
        }
        let find = bill_cycle::Entity::find_by_id(id.0).filter(bill_cycle::Column::Tenant.eq(self.tenant.as_str()));
        let row = find.one(self.conn).await.map_err(Error::from)?;
        Ok(row.map(|row| parse("bill_cycle", &row.body)).transpose()?)
    }

    /// Whether this tenant has an account with this external id.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn has_account(&self, external_id: &str) -> Result<bool, Failure> {
        let same = account::Column::Tenant.eq(self.tenant.as_str()).and(account::Column::ExternalId.eq(external_id));
        Ok(account::Entity::find().filter(same).one(self.conn).await.map_err(Error::from)?.is_some())
    }

    /// Whether this tenant has a bill cycle with this external id.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn has_bill_cycle(&self, external_id: &str) -> Result<bool, Failure> {
        let same = bill_cycle::Column::Tenant.eq(self.tenant.as_str()).and(bill_cycle::Column::ExternalId.eq(external_id));
        Ok(bill_cycle::Entity::find().filter(same).one(self.conn).await.map_err(Error::from)?.is_some())
    }

    /// The configuration object, if this tenant has it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn configuration<T: serde::de::DeserializeOwned>(&self, kind: Kind, id: Uuid) -> Result<Option<T>, Failure> {
        let same = configuration::Column::Tenant.eq(self.tenant.as_str()).and(configuration::Column::Kind.eq(kind.name()));
        let row = configuration::Entity::find_by_id(id).filter(same).one(self.conn).await.map_err(Error::from)?;
        Ok(row.map(|row| parse("configuration", &row.body)).transpose()?)
    }

    /// Every configuration object of a kind.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn configurations<T: serde::de::DeserializeOwned>(&self, kind: Kind) -> Result<Vec<T>, Failure> {
        let same = configuration::Column::Tenant.eq(self.tenant.as_str()).and(configuration::Column::Kind.eq(kind.name()));
        let rows = configuration::Entity::find().filter(same).all(self.conn).await.map_err(Error::from)?;
        Ok(rows.iter().map(|row| parse("configuration", &row.body)).collect::<Result<_, _>>()?)
    }

    /// Whether this tenant has a configuration object of this kind and name.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn has_configuration(&self, kind: Kind, name: &str) -> Result<bool, Failure> {
        let same = Condition::all()
            .add(configuration::Column::Tenant.eq(self.tenant.as_str()))
            .add(configuration::Column::Kind.eq(kind.name()))
            .add(configuration::Column::Name.eq(name));
        Ok(configuration::Entity::find().filter(same).one(self.conn).await.map_err(Error::from)?.is_some())
    }

    /// The next sequence of the unit's ordering key.
    pub fn next_sequence(&mut self) -> i64 {
        self.last_sequence += 1;
        self.last_sequence
    }

    /// Saves a created or changed account.
    ///
    /// # Errors
    /// When it cannot be written as JSON.
    pub fn save_account(&mut self, account: &Account) -> Result<(), Failure> {
        self.writes.accounts.push(account::Model {
            id: account.id.0,
            tenant: self.tenant.to_string(),
            version: account.version,
            external_id: account.external_id.clone(),
            status: account.status.name().to_owned(),
            due_at: account.planned_bill_cycle_change.as_ref().map(|change| micros(change.valid_from)),
            created_at: micros(account.created_at),
            body: text("account", account)?,
        });
        Ok(())
    }

    /// Saves a created bill cycle.
    ///
    /// # Errors
    /// When it cannot be written as JSON.
    pub fn save_bill_cycle(&mut self, cycle: &BillCycle) -> Result<(), Failure> {
        self.writes.bill_cycles.push(bill_cycle::Model {
            id: cycle.id.0,
            tenant: self.tenant.to_string(),
            version: cycle.version,
            external_id: cycle.external_id.clone(),
            created_at: micros(cycle.created_at),
            body: text("bill_cycle", cycle)?,
        });
        Ok(())
    }

    /// Saves a created configuration object; `secrets` are sealed with its id and kind.
    ///
    /// # Errors
    /// When the database fails or it cannot be written as JSON.
    pub async fn save_configuration<T: serde::Serialize>(&mut self, new: Configuration<T>) -> Result<(), Failure> {
        let secrets = new.secrets.map(|secrets| self.sealer.seal(&secrets, &Configuration::<T>::aad(&self.tenant, new.kind, new.id)));
        if self.conn.get_database_backend() == DatabaseBackend::Postgres {
            // Waits for the inserts under way: positions are drawn before they commit, and an event that commits after this
            // must not have a position before it.
            self.conn.execute_unprepared("LOCK TABLE event IN SHARE MODE").await.map_err(Error::from)?;
        }
        let row = self.conn.query_one_raw(Statement::from_string(
            self.conn.get_database_backend(),
            "SELECT CAST(COALESCE(MAX(position), 0) AS BIGINT) AS position FROM event",
        ));
        let start_position = row.await.map_err(Error::from)?.map(|row| row.try_get("", "position")).transpose().map_err(Error::from)?;
        self.writes.configurations.push(configuration::Model {
            id: new.id,
            tenant: self.tenant.to_string(),
            kind: new.kind.name().to_owned(),
            name: new.name,
            version: 1,
            start_position: start_position.unwrap_or(0),
            created_at: micros(new.created_at),
            body: text("configuration", &new.body)?,
            secrets: secrets.transpose()?,
        });
        Ok(())
    }

    /// Deletes a configuration object.
    pub fn delete_configuration(&mut self, id: Uuid) {
        self.writes.deleted_configurations.push(id);
    }

    /// Records the business transaction and its events.
    pub fn append(&mut self, new: NewTransaction) {
        let recorded_at = SystemClock.now();
        for event in new.events {
            self.writes.events.push(event::ActiveModel {
                position: sea_orm::ActiveValue::NotSet,
                id: Set(event.id),
                tenant: Set(self.tenant.to_string()),
                ordering_key: Set(self.key.to_string()),
                sequence: Set(event.sequence),
                kind: Set(event.kind),
                object_id: Set(event.object_id),
                transaction_id: Set(new.id),
                recorded_at: Set(micros(recorded_at)),
                body: Set(event.body),
            });
        }
        self.writes.transactions.push(business_transaction::Model {
            id: new.id,
            tenant: self.tenant.to_string(),
            operation: new.operation.to_owned(),
            account_id: new.account.map(|id| id.0),
            occurred_at: micros(new.occurred_at),
            body: new.body,
        });
        if self.writes.has_configuration() {
            // Causes no event, but counts: this is the revision the delivery side compares with.
            self.last_sequence += 1;
        }
        self.writes.lanes.push(ordering_key::Model {
            tenant: self.tenant.to_string(),
            key: self.key.to_string(),
            last_sequence: self.last_sequence,
        });
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

    pub(crate) fn into_writes(self) -> Writes {
        self.writes
    }
}

/// The row identity a stored reply is sealed with.
pub(crate) fn reply_aad(tenant: &str, key: &str) -> String {
    format!("idempotency|{tenant}|{key}")
}
