//! Builds the business transaction from decided changes: the record, its events and the reply.

mod append;
mod balance;
mod by_account;
mod parts;
mod whole;

use std::sync::Arc;

use billwire_domain::{
    Change, Entity, Rejected,
    billing::balance::Balance,
    events::custom_event_type::{CustomEvent, CustomEventType},
};
use billwire_schemas::{
    clock::Timestamp,
    events::{
        catalogue,
        envelope::{Action, Data, Envelope, ObjectRef, Parameters, Sequence, schema_path},
        parameters::cut,
    },
    ids::{AccountId, EventId, OrderingKey, TransactionId, fresh},
    money::Currency,
    refusal::Code,
    trace::TraceParent,
};
use billwire_store::{NewEvent, NewTransaction, Tx, commit::Failure, idempotency::Reply};
use chrono::SecondsFormat;
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};

use crate::{
    Caller,
    events::data_source_parameters::{Added, by_sources},
    execute::json,
};

pub(crate) use by_account::ByAccount;

/// Maximum number of events of a business transaction: an atomic batch of the stream holds 1 000 messages, so that all become visible
/// together, and the whole business transaction may be one of them.
pub(crate) const EVENTS_MAX: usize = 999;

/// The changes of an operation, ready to be recorded.
#[derive(Debug, Default)]
pub struct Record {
    account: Option<AccountId>,
    key: Option<OrderingKey>,
    entities: Vec<EntityChange>,
    events: Vec<Draft>,
    reveal: Option<Box<RawValue>>,
    cause: Option<Cause>,
    /// What the changes add to the account's balance.
    balance: Option<(Balance, Currency)>,
    /// Records of other accounts, which become transactions of their own.
    beside: Vec<Record>,
}

/// The event that a derived event results from.
#[derive(Debug, Clone, Copy)]
pub struct Cause {
    /// The event.
    pub event: EventId,
    /// Number of derivations between the derived event and an operation.
    pub depth: u32,
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

/// When a transaction occurred, and when it was recorded, if that was later.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment {
    pub occurred_at: Timestamp,
    pub recorded_at: Option<Timestamp>,
}

impl Moment {
    /// What occurs as it is recorded.
    pub fn now(now: Timestamp) -> Self {
        Self { occurred_at: now, recorded_at: None }
    }

    /// What was due at `due`, recorded now.
    pub fn of_due(due: Timestamp, now: Timestamp) -> Self {
        if due < now { Self { occurred_at: due, recorded_at: Some(now) } } else { Self::now(now) }
    }
}

/// How a record is appended.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AppendTerms<'c> {
    /// The operationId.
    pub operation: &'static str,
    /// Who called it.
    pub caller: &'c Caller,
    /// When.
    pub moment: Moment,
    /// The trace it belongs to.
    pub trace: Option<&'c TraceParent>,
    /// What the messages are bounded by and refer to.
    pub messages: &'c MessageTerms,
}

/// What the messages of events are bounded by and refer to.
#[derive(Debug, Clone)]
pub(crate) struct MessageTerms {
    /// Maximum size of a message, in bytes.
    pub max: u64,
    /// The address of the gateway for outsiders, without a slash at its end.
    pub public_url: Arc<str>,
}

#[derive(Debug)]
struct Draft {
    kind: String,
    entity: usize,
    parameters: Parameters,
    /// Title and schema path of a custom type.
    custom: Option<(String, String)>,
}

#[derive(Serialize)]
struct EventRef {
    id: EventId,
    #[serde(rename = "type")]
    kind: String,
}

/// The documented business transaction (DESIGN section 4).
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct BusinessTransaction<'a> {
    id: TransactionId,
    operation: &'static str,
    occurred_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    recorded_at: Option<Timestamp>,
    actor: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<AccountId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    entities: Option<&'a [EntityChange]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    events: Option<&'a [EventRef]>,
    /// Where it is, in a message that has neither of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    href: Option<String>,
}

impl EntityChange {
    /// The parameters that data sources add to the entity's events.
    async fn added_by_sources(&self, tx: &mut Tx<'_>) -> Result<Added, Failure> {
        match self.after.as_ref().or(self.before.as_ref()) {
            Some(state) => by_sources(tx, &self.object.kind, state).await,
            None => Ok(Added::default()),
        }
    }
}

impl BusinessTransaction<'_> {
    /// It as JSON, with `after` as the state of its first entity.
    fn with_secret(self, after: Box<RawValue>) -> Result<Box<RawValue>, Failure> {
        let mut entities = self.entities.unwrap_or_default().to_vec();
        if let Some(first) = entities.first_mut() {
            first.after = Some(after);
        }
        to_raw_value(&BusinessTransaction { entities: Some(&entities), ..self }).map_err(json)
    }
}

/// A recorded business transaction, as the reply shows it.
pub(crate) struct Appended {
    /// The transaction.
    pub transaction: Box<RawValue>,
    entity: Option<String>,
    secret: bool,
}

impl Appended {
    /// The reply of an operation that recorded it.
    pub fn reply(self, status: u16) -> Reply {
        let body = Box::<str>::from(self.transaction).into_string();
        Reply { status, body, entity: self.entity, secret: self.secret, replayed: false }
    }
}

/// The id of a stored reply's first entity: the store keeps the reply's text only.
pub(crate) fn first_entity(body: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Transaction {
        entities: Vec<First>,
    }
    #[derive(Deserialize)]
    struct First {
        id: String,
    }
    serde_json::from_str::<Transaction>(body).ok()?.entities.into_iter().next().map(|first| first.id)
}

impl Record {
    /// The record of one change: entity, object event and lifecycle events.
    ///
    /// # Errors
    /// When the entity cannot be serialized.
    pub fn of<T: Entity>(change: &Change<T>) -> Result<Self, Failure> {
        Self::default().and(change, &Parameters::new())
    }

    /// Adds a change, whose events offer the `related` parameters besides the entity's own. The first change determines the transaction's
    /// account and ordering key.
    ///
    /// # Errors
    /// When the entity cannot be serialized.
    pub fn and<T: Entity>(mut self, change: &Change<T>, related: &Parameters) -> Result<Self, Failure> {
        if self.entities.is_empty() {
            self.account = change.after.account();
            self.key = Some(change.after.ordering_key());
        }
        let before =
            change.before.as_ref().filter(|_| change.action != Action::Unchanged).map(Entity::to_json).transpose().map_err(json)?;
        let after = (change.action != Action::Deleted).then(|| change.after.to_json()).transpose().map_err(json)?;
        let object = ObjectRef {
            kind: T::TYPE.to_owned(),
            id: change.after.id().to_string(),
            version: change.after.version(),
            action: change.action,
        };
        self.note_balance(change);
        let entity = self.entities.len();
        self.entities.push(EntityChange { object, before, after });
        let mut parameters = related.clone();
        parameters.extend(change.after.parameters());
        if let Some(noun) = T::EVENT_OBJECT {
            let what = match change.action {
                Action::Created => Some("created"),
                Action::Updated => Some("updated"),
                Action::Deleted => Some("deleted"),
                Action::Unchanged => None,
            };
            let event = |what| Draft { kind: format!("{noun}.{what}"), entity, parameters: parameters.clone(), custom: None };
            self.events.extend(what.map(event));
        }
        for event in &change.lifecycle {
            let mut parameters = parameters.clone();
            parameters.extend(event.parameters.clone());
            self.events.push(Draft { kind: event.kind.to_owned(), entity, parameters, custom: None });
        }
        Ok(self)
    }

    /// The record of one custom event, which offers the `related` parameters besides those of its data.
    ///
    /// # Errors
    /// When its data cannot be serialized.
    pub fn custom(event: &CustomEvent, kind: &CustomEventType, related: &Parameters) -> Result<Self, Failure> {
        let mut record = Self::default().and(&Change::created(event.clone()), related)?;
        for entity in &mut record.entities {
            entity.object.id = event.subject();
        }
        let mut parameters = related.clone();
        parameters.extend(event.parameters());
        let custom = Some((kind.title.clone(), kind.schema_path()));
        record.events.push(Draft { kind: kind.name.clone(), entity: 0, parameters, custom });
        Ok(record)
    }

    /// Sets the ordering key of the events.
    pub fn in_order_of(mut self, key: OrderingKey) -> Self {
        self.key = Some(key);
        self
    }

    /// Sets the event that the record is derived from.
    pub fn caused_by(mut self, cause: Option<Cause>) -> Self {
        self.cause = cause;
        self
    }

    /// Sets the `after` state, with a secret, that only the reply shows.
    pub fn reveal(mut self, after: Box<RawValue>) -> Self {
        self.reveal = Some(after);
        self
    }

    /// The transaction to append, and what the reply shows of it. Adds to `drawn` the sequences of `key` that its events take.
    async fn transaction(
        self,
        tx: &mut Tx<'_>,
        key: &OrderingKey,
        terms: &AppendTerms<'_>,
        drawn: &mut i64,
    ) -> Result<(Appended, NewTransaction), Failure> {
        let AppendTerms { operation, caller, moment, trace, messages } = *terms;
        let id = TransactionId(fresh());
        let mut refs = Vec::with_capacity(self.events.len());
        let mut events = Vec::with_capacity(self.events.len());
        let mut added: Option<(usize, Added)> = None;
        let common = Envelope {
            transactionsize: u32::try_from(self.events.len()).ok(),
            causationid: self.cause.map(|cause| cause.event),
            causationdepth: self.cause.map(|cause| cause.depth),
            recordedtime: moment.recorded_at,
            ..Envelope::of_transaction(id, operation, &caller.tenant, &caller.actor, key, moment.occurred_at)
        };
        for (index, draft) in (1..).zip(self.events) {
            let entity = &self.entities[draft.entity];
            let (event, sequence) = (EventId(fresh()), tx.next_sequence(key)?);
            *drawn += 1;
            let (mut private, mut parameters): (Parameters, Parameters) =
                draft.parameters.into_iter().partition(|(name, _)| name.starts_with(PRIVATE));
            let by_sources = match added.take() {
                Some((of, added)) if of == draft.entity => added,
                _ => entity.added_by_sources(tx).await?,
            };
            parameters.extend(by_sources.open.clone());
            private.extend(by_sources.private.clone());
            added = Some((draft.entity, by_sources));
            let (title, schema) = draft.custom.unwrap_or_else(|| built_in(&draft.kind));
            parameters.extend(core_parameters(&draft.kind, &title, caller, moment.occurred_at));
            parameters.values_mut().chain(private.values_mut()).for_each(cut);
            let envelope = Envelope {
                id: event,
                kind: draft.kind.clone(),
                subject: entity.object.id.clone(),
                dataschema: format!("{}{schema}", messages.public_url),
                sequence: Sequence(sequence),
                transactionindex: Some(index),
                traceparent: trace.map(|trace| trace.of_event(event)),
                data: Data { object: entity.object.clone(), before: entity.before.clone(), after: entity.after.clone(), parameters },
                ..common.clone()
            };
            let body = serde_json::to_string(&envelope).map_err(json)?;
            fits(&draft.kind, body.len() as u64, messages.max)?;
            let private = if private.is_empty() { None } else { Some(serde_json::to_string(&private).map_err(json)?) };
            let object_id = entity.object.id.clone();
            events.push(NewEvent { id: event.0, kind: draft.kind.clone(), object_id, sequence, body, private });
            refs.push(EventRef { id: event, kind: draft.kind });
        }
        let Moment { occurred_at, recorded_at } = moment;
        let (entities, actor, account) = (&self.entities, &caller.actor, self.account);
        let (entities, shown, href) = (Some(entities.as_slice()), Some(refs.as_slice()), None);
        let transaction = BusinessTransaction { id, operation, occurred_at, recorded_at, actor, account, entities, events: shown, href };
        let recorded = to_raw_value(&transaction).map_err(json)?;
        if !events.is_empty() && tx.publishes_business_transactions().await? {
            let sequence = tx.next_sequence(key)?;
            *drawn += 1;
            events.push(transaction.as_event(Envelope { sequence: Sequence(sequence), ..common }, &recorded, terms)?);
        }
        let (body, secret) = (recorded.get().to_owned(), self.reveal.is_some());
        let transaction = self.reveal.map_or(Ok(recorded), |after| transaction.with_secret(after))?;
        let object = self.entities.first().map(|entity| entity.object.id.clone());
        let by = caller.by();
        let new = NewTransaction { id: id.0, operation, account, occurred_at, object: object.clone(), by, secret, body, events };
        Ok((Appended { transaction, entity: object, secret }, new))
    }
}

/// Title and schema path of a type of the catalogue.
fn built_in(kind: &str) -> (String, String) {
    (catalogue::find(kind).map_or(kind, |event| event.title).to_owned(), schema_path(kind, 1))
}

/// Refuses an event that is too large for the stream.
fn fits(kind: &str, size: u64, event_max: u64) -> Result<(), Rejected> {
    if size <= event_max {
        return Ok(());
    }
    let message = format!("The event {kind} would have {size} bytes; the stream accepts up to {event_max} bytes. Nothing was changed.");
    Err(Rejected::violation("", Code::EventTooLarge, message))
}

/// Prefix of the parameters available in e-mails only: personal data is neither on the stream nor in webhook calls.
const PRIVATE: &str = "contact.";

fn core_parameters(kind: &str, title: &str, caller: &Caller, now: Timestamp) -> Parameters {
    Parameters::from([
        ("event.name".to_owned(), title.into()),
        ("event.type".to_owned(), kind.into()),
        ("tenant.name".to_owned(), caller.tenant.as_str().into()),
        ("current.date".to_owned(), now.date_naive().to_string().into()),
        ("current.time".to_owned(), now.format("%H:%M:%S").to_string().into()),
        ("current.dateTime".to_owned(), now.to_rfc3339_opts(SecondsFormat::Secs, true).into()),
    ])
}
