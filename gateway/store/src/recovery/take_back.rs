//! Takes back from the stream what SQL lacks: events, their business transactions, and the objects as the events show them.

use std::{
    collections::{BTreeMap, HashSet},
    str::FromStr,
};

use billwire_schemas::{
    clock::{Clock, SystemClock, Timestamp},
    delivery::Published,
    events::{
        envelope::{Envelope, ObjectRef},
        selection::is_business_transaction,
    },
    ids::{AccountId, EventId, Slot, TransactionId},
    lease::Lease,
};
use sea_orm::{ActiveValue::Set, ConnectionTrait, DatabaseTransaction, EntityTrait, IntoActiveModel, sea_query::OnConflict};
use serde::{Deserialize, Serialize, de::IgnoredAny};
use serde_json::value::RawValue;
use uuid::Uuid;

use super::{MissingKey, objects};
use crate::{
    Error, Store,
    batching::parts,
    delivery::deliveries::slot,
    entity::{business_transaction, event, published},
    micros,
    published::{HIGHEST, whole},
    restored::{OnStream, RESTORED},
    settings,
};

/// An event as the stream has it.
#[derive(Debug)]
pub struct FromStream {
    /// Its sequence on the stream.
    pub stream_sequence: u64,
    /// Its position in the outbox.
    pub position: i64,
    /// What its message names.
    pub event: OnStream,
    /// Whether SQL has never had it.
    pub missing: bool,
    /// The message.
    pub envelope: Envelope,
    /// The message as it is on the stream.
    pub body: String,
}

/// An object that was not restored, or not wholly.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotRestored {
    /// Its type.
    pub kind: String,
    /// Its id.
    pub id: String,
    /// The version that the event shows.
    pub version: i64,
    /// Why.
    pub why: String,
}

/// What was taken back.
#[derive(Debug, Default)]
pub struct Taken {
    /// Business transactions.
    pub transactions: u64,
    /// Objects that events show and that were not restored.
    pub not_restored: Vec<NotRestored>,
}

/// The record of a business transaction, as its operation had written it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Recorded<'a> {
    id: TransactionId,
    operation: &'a str,
    occurred_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    recorded_at: Option<Timestamp>,
    actor: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<AccountId>,
    entities: Vec<RecordedEntity<'a>>,
    events: Vec<RecordedEvent<'a>>,
}

#[derive(Serialize)]
struct RecordedEntity<'a> {
    #[serde(flatten)]
    object: &'a ObjectRef,
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<&'a RawValue>,
}

#[derive(Serialize)]
struct RecordedEvent<'a> {
    id: EventId,
    #[serde(rename = "type")]
    kind: &'a str,
}

impl Store {
    /// Marks events that SQL has as published, where they stand. `false`: `lease` does not hold, and nothing was changed.
    ///
    /// # Errors
    /// When the database fails; then nothing was changed.
    pub async fn mark_known(&self, lease: &Lease, known: &[Published]) -> Result<bool, Error> {
        let transaction = self.begin().await?;
        if !self.holds(&transaction, lease).await? {
            return Ok(false);
        }
        let positions: Vec<i64> = known.iter().map(|one| one.position).collect();
        self.delete_from_outbox(&*transaction, &positions).await?;
        record_published(&transaction, known).await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// Stores the missing ones of these events, which stand one behind the other on the stream, with their business transactions and objects.
    /// The database knows the stream up to `end` then. `None`: `lease` does not hold, and nothing was changed.
    ///
    /// # Errors
    /// When the database fails; then nothing was changed.
    pub async fn take_back(&self, lease: &Lease, page: Vec<FromStream>, end: u64) -> Result<Option<Taken>, Error> {
        let transaction = self.begin().await?;
        if !self.holds(&transaction, lease).await? {
            return Ok(None);
        }
        let mut taken = Taken::default();
        let missing: Vec<&FromStream> = page.iter().filter(|one| one.missing).collect();
        for whole in missing.chunk_by(|one, next| one.envelope.transactionid == next.envelope.transactionid) {
            taken.not_restored.extend(objects::restore_all(&transaction, whole).await?);
            let account = self.account_of(&transaction, whole[0]).await?;
            store_transaction(&transaction, whole, account).await?;
            taken.transactions += 1;
        }
        let stands: Vec<Published> = missing
            .iter()
            .map(|one| Published {
                sequence: one.stream_sequence,
                position: one.position,
                slot: Slot::of(&one.event.tenant, &one.event.key),
            })
            .collect();
        record_published(&transaction, &stands).await?;
        let mut last: BTreeMap<_, i64> = BTreeMap::new();
        for OnStream { tenant, key, sequence, .. } in missing.iter().map(|one| &one.event) {
            last.entry((tenant, key)).and_modify(|last| *last = (*last).max(*sequence)).or_insert(*sequence);
        }
        for ((tenant, key), last) in last {
            self.count_to(&transaction, tenant, key, last).await?;
        }
        if let Some(first) = missing.iter().map(|one| one.position).min() {
            // A queue that is held was behind from there on, if not from before.
            let sql = "UPDATE held_queue SET position = $1 WHERE position > $1";
            transaction.execute_raw(self.statement(sql, [first.into()])).await?;
        }
        settings::set(&*transaction, HIGHEST, &end.to_string()).await?;
        transaction.commit().await?;
        Ok(Some(taken))
    }

    /// Ends the refusal of a restored database: ordering keys count on past `keys` and past what was accepted after the restore, and batches of
    /// the warehouse past those that have files. `false`: `lease` does not hold, and nothing was changed.
    ///
    /// # Errors
    /// When the database fails; then nothing was changed.
    pub async fn end_take_back(&self, lease: &Lease, keys: &[MissingKey], batches: &[(i64, Vec<EventId>)]) -> Result<bool, Error> {
        let transaction = self.begin().await?;
        if !self.holds(&transaction, lease).await? {
            return Ok(false);
        }
        for key in keys {
            self.count_to(&transaction, &key.tenant, &key.key, key.last).await?;
        }
        let sql = "SELECT e.tenant, e.ordering_key, MAX(e.sequence) AS last FROM outbox o JOIN event e ON e.position = o.position \
                   GROUP BY e.tenant, e.ordering_key";
        for row in transaction.query_all_raw(self.statement(sql, [])).await? {
            let (tenant, key): (String, String) = (row.try_get("", "tenant")?, row.try_get("", "ordering_key")?);
            if let (Ok(tenant), Ok(key)) = (tenant.parse(), key.parse()) {
                self.count_to(&transaction, &tenant, &key, row.try_get("", "last")?).await?;
            }
        }
        self.record_batches(&transaction, batches).await?;
        transaction.execute_raw(self.statement("DELETE FROM setting WHERE \"key\" = $1", [RESTORED.into()])).await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// The account of an event's business transaction: if it has one, it is the ordering key.
    async fn account_of(&self, transaction: &DatabaseTransaction, first: &FromStream) -> Result<Option<AccountId>, Error> {
        let Ok(id) = Uuid::from_str(first.event.key.as_str()) else { return Ok(None) };
        if first.envelope.data.object.kind == "account" {
            return Ok(Some(AccountId(id)));
        }
        let sql = "SELECT 1 AS one FROM account WHERE id = $1 AND tenant = $2";
        let values = [id.into(), first.event.tenant.as_str().into()];
        Ok(transaction.query_one_raw(self.statement(sql, values)).await?.map(|_| AccountId(id)))
    }
}

async fn record_published(conn: &DatabaseTransaction, stands: &[Published]) -> Result<(), Error> {
    let at = micros(SystemClock.now());
    let row = |one: &Published| {
        published::Model { sequence: whole(one.sequence), slot: slot(one.slot), position: one.position, at }.into_active_model()
    };
    for part in parts(stands.iter().map(row).collect()) {
        let known = OnConflict::column(published::Column::Sequence).do_nothing().to_owned();
        published::Entity::insert_many(part).on_conflict(known).exec_without_returning(conn).await?;
    }
    Ok(())
}

/// The business transaction as its operation had written it, if the message has it and does not only say where it is.
fn written(message: &FromStream) -> Option<String> {
    #[derive(Deserialize)]
    struct Whole {
        #[serde(rename = "entities")]
        _entities: IgnoredAny,
    }
    let after = message.envelope.data.after.as_ref()?.get();
    serde_json::from_str::<Whole>(after).is_ok().then(|| after.to_owned())
}

/// Stores a business transaction with its events.
async fn store_transaction(conn: &DatabaseTransaction, whole: &[&FromStream], account: Option<AccountId>) -> Result<(), Error> {
    let first = whole[0];
    let envelope = &first.envelope;
    let (as_message, of_events): (Vec<&FromStream>, Vec<&FromStream>) =
        whole.iter().copied().partition(|one| is_business_transaction(&one.envelope.kind));
    let mut seen = HashSet::new();
    let objects = of_events.iter().map(|one| &one.envelope.data);
    let objects = objects.filter(|data| seen.insert((&data.object.kind, &data.object.id, data.object.version)));
    let entities =
        objects.map(|data| RecordedEntity { object: &data.object, before: data.before.as_deref(), after: data.after.as_deref() });
    let operation = envelope.operation.as_deref().unwrap_or_default();
    let recorded = Recorded {
        id: envelope.transactionid,
        operation,
        occurred_at: envelope.time,
        recorded_at: envelope.recordedtime,
        actor: envelope.actor.as_deref().unwrap_or_default(),
        account,
        entities: entities.collect(),
        events: of_events.iter().map(|one| RecordedEvent { id: one.event.id, kind: &one.envelope.kind }).collect(),
    };
    let rebuilt = serde_json::to_string(&recorded).map_err(Error::corrupt("business_transaction"))?;
    let row = business_transaction::Model {
        id: envelope.transactionid.0,
        tenant: first.event.tenant.to_string(),
        operation: operation.to_owned(),
        account_id: account.map(|id| id.0),
        occurred_at: micros(envelope.time),
        object_id: None,
        body: as_message.iter().find_map(|one| written(one)).unwrap_or(rebuilt),
    };
    // A part of it may have been taken back from another place of the stream.
    let known = OnConflict::column(business_transaction::Column::Id).do_nothing().to_owned();
    business_transaction::Entity::insert(row.into_active_model()).on_conflict(known).exec_without_returning(conn).await?;
    let recorded_at = micros(SystemClock.now());
    let events = whole.iter().map(|one| event::ActiveModel {
        position: Set(one.position),
        id: Set(one.event.id.0),
        tenant: Set(one.event.tenant.to_string()),
        ordering_key: Set(one.event.key.to_string()),
        sequence: Set(one.event.sequence),
        kind: Set(one.envelope.kind.clone()),
        object_id: Set(one.envelope.data.object.id.clone()),
        transaction_id: Set(one.envelope.transactionid.0),
        occurred_at: Set(micros(one.envelope.time)),
        recorded_at: Set(recorded_at),
        body: Set(one.body.clone()),
        private: Set(None),
    });
    for part in parts(events.collect()) {
        event::Entity::insert_many(part).exec_without_returning(conn).await?;
    }
    Ok(())
}
