//! From decided changes to the business transaction: the record, its events, and the reply.

use billwire_domain::{Change, Entity};
use billwire_schemas::{
    clock::Timestamp,
    events::{
        catalogue,
        envelope::{Action, Data, Envelope, ObjectRef, Parameters, Sequence, dataschema},
    },
    ids::{AccountId, EventId, TransactionId, fresh},
};
use billwire_store::{Error, NewEvent, NewTransaction, Tx, commit::Failure, idempotency::Reply};
use chrono::SecondsFormat;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use crate::Caller;

/// What an operation changed, ready to be recorded.
#[derive(Debug, Default)]
pub struct Record {
    account: Option<AccountId>,
    entities: Vec<EntityChange>,
    events: Vec<Draft>,
    reveal: Option<Box<RawValue>>,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct EntityChange {
    #[serde(flatten)]
    object: ObjectRef,
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<Box<RawValue>>,
}

#[derive(Debug)]
struct Draft {
    kind: String,
    entity: usize,
    parameters: Parameters,
}

#[derive(Serialize)]
struct EventRef {
    id: EventId,
    #[serde(rename = "type")]
    kind: String,
}

/// DESIGN section 4, "Business transaction".
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct BusinessTransaction<'a> {
    id: TransactionId,
    operation: &'static str,
    occurred_at: Timestamp,
    actor: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<AccountId>,
    entities: &'a [EntityChange],
    events: &'a [EventRef],
}

fn json(error: serde_json::Error) -> Failure {
    Error::Corrupt { table: "business_transaction", detail: error.to_string() }.into()
}

impl Record {
    /// The record of one change: its entity, its object event, its lifecycle events.
    ///
    /// # Errors
    /// When the entity cannot be written as JSON.
    pub fn of<T: Entity>(change: &Change<T>) -> Result<Self, Failure> {
        let mut record = Self { account: change.after.account(), ..Self::default() };
        let before = change.before.as_ref().map(to_raw_value).transpose().map_err(json)?;
        let after = (change.action != Action::Deleted).then(|| to_raw_value(&change.after)).transpose().map_err(json)?;
        let object = ObjectRef {
            kind: T::TYPE.to_owned(),
            id: change.after.id().to_string(),
            version: change.after.version(),
            action: change.action,
        };
        record.entities.push(EntityChange { object, before, after });
        if let Some(noun) = T::EVENT_OBJECT {
            let what = match change.action {
                Action::Created => "created",
                Action::Updated => "updated",
                Action::Deleted => "deleted",
            };
            let parameters = change.after.parameters();
            record.events.push(Draft { kind: format!("{noun}.{what}"), entity: 0, parameters: parameters.clone() });
            for kind in &change.lifecycle {
                record.events.push(Draft { kind: (*kind).to_owned(), entity: 0, parameters: parameters.clone() });
            }
        }
        Ok(record)
    }

    /// Lets the reply, and only the reply, show `after` with a secret in it.
    pub fn reveal(mut self, after: Box<RawValue>) -> Self {
        self.reveal = Some(after);
        self
    }

    /// Appends transaction and events to `tx` and gives the reply.
    ///
    /// # Errors
    /// When something cannot be written as JSON.
    pub fn append(self, tx: &mut Tx<'_>, operation: &'static str, status: u16, caller: &Caller, now: Timestamp) -> Result<Reply, Failure> {
        let id = TransactionId(fresh());
        let key = match (self.account, self.entities.first()) {
            (Some(account), _) => account.to_string(),
            (None, Some(entity)) => entity.object.id.clone(),
            (None, None) => String::new(),
        };
        let mut refs = Vec::with_capacity(self.events.len());
        let mut events = Vec::with_capacity(self.events.len());
        for draft in self.events {
            let entity = &self.entities[draft.entity];
            let (event, sequence) = (EventId(fresh()), tx.next_sequence());
            let mut parameters = draft.parameters;
            parameters.extend(core_parameters(&draft.kind, caller, now));
            let envelope = Envelope {
                specversion: "1.0".to_owned(),
                id: event,
                source: format!("/tenants/{}", caller.tenant),
                kind: draft.kind.clone(),
                subject: entity.object.id.clone(),
                time: now,
                datacontenttype: "application/json".to_owned(),
                dataschema: dataschema(&draft.kind),
                partitionkey: key.parse().map_err(|_| Error::Other(format!("'{key}' is no ordering key")))?,
                sequence: Sequence(sequence),
                transactionid: id,
                causationid: None,
                data: Data { object: entity.object.clone(), before: entity.before.clone(), after: entity.after.clone(), parameters },
            };
            let body = serde_json::to_string(&envelope).map_err(json)?;
            events.push(NewEvent { id: event.0, kind: draft.kind.clone(), object_id: entity.object.id.clone(), sequence, body });
            refs.push(EventRef { id: event, kind: draft.kind });
        }
        let mut transaction = BusinessTransaction {
            id,
            operation,
            occurred_at: now,
            actor: &caller.actor,
            account: self.account,
            entities: &self.entities,
            events: &refs,
        };
        let body = serde_json::to_string(&transaction).map_err(json)?;
        let mut shown = self.entities.clone();
        let secret = self.reveal.is_some();
        let reply = match self.reveal {
            None => body.clone(),
            Some(after) => {
                if let Some(first) = shown.first_mut() {
                    first.after = Some(after);
                }
                transaction.entities = &shown;
                serde_json::to_string(&transaction).map_err(json)?
            }
        };
        tx.append(NewTransaction { id: id.0, operation, account: self.account, occurred_at: now, body, events });
        Ok(Reply { status, body: reply, secret, replayed: false })
    }
}

fn core_parameters(kind: &str, caller: &Caller, now: Timestamp) -> Parameters {
    let title = catalogue::find(kind).map_or(kind, |event| event.title);
    Parameters::from([
        ("event.name".to_owned(), title.into()),
        ("event.type".to_owned(), kind.into()),
        ("tenant.name".to_owned(), caller.tenant.as_str().into()),
        ("current.date".to_owned(), now.date_naive().to_string().into()),
        ("current.time".to_owned(), now.format("%H:%M:%S").to_string().into()),
        ("current.dateTime".to_owned(), now.to_rfc3339_opts(SecondsFormat::Secs, true).into()),
    ])
}
