//! Custom event types: what a tenant's own systems tell of through us. Each has a JSON Schema of its data, in versions that
//! only ever get wider, so that what could be told yesterday can be told tomorrow.

use billwire_schemas::{
    clock::Timestamp,
    events::{
        envelope::{Parameters, custom_dataschema},
        parameters::{Group, nearest},
    },
    ids::{AccountId, CustomEventId, EventTypeId, OrderingKey},
    refusal::Code,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    change::{Change, Entity, entity_members},
    events::{
        data_schema::{faults, is_parameter_name, scalars},
        schema_compatibility::incompatibilities,
    },
    rejected::{Rejected, Violation},
};

/// What stands before the names of all of them.
pub const PREFIX: &str = "custom.";
/// Most custom event types a tenant may have.
pub const TYPES_MAX: usize = 200;

/// What the events of a type keep order within.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum OrderedBy {
    /// An account, which each of them must name; they offer its parameters.
    Account,
    /// A key, which each of them must bring.
    Key,
}

/// A custom event type, at its latest version or an earlier one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CustomEventType {
    /// Its id; the same for all versions.
    pub id: EventTypeId,
    /// Its version, from 1: the `n` of its JSON Schema.
    pub version: i64,
    /// `custom.<name>`.
    pub name: String,
    /// The name people know it by.
    pub title: String,
    /// What it means and when it happens.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub description: Option<String>,
    /// What its events keep order within; absent: each brings an account or a key.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub ordering_key: Option<OrderedBy>,
    /// JSON Schema (draft 2020-12) of `data.after`.
    pub schema: Value,
    /// When it was registered first.
    pub created_at: Timestamp,
    /// When this version was registered.
    pub updated_at: Timestamp,
}

impl CustomEventType {
    /// The `dataschema` of its events.
    pub fn dataschema(&self) -> String {
        custom_dataschema(&self.name, self.version)
    }

    /// The built-in groups of parameters its events offer.
    pub fn groups(&self) -> &'static [Group] {
        match self.ordering_key {
            Some(OrderedBy::Account) => &[Group::Core, Group::Account, Group::Company, Group::Contact],
            Some(OrderedBy::Key) | None => &[Group::Core],
        }
    }
}

/// `registerEventType`.
#[derive(Debug, Clone)]
pub struct Register {
    /// Its id, if it is new.
    pub id: EventTypeId,
    /// Its version, if it is new: the one after the last of a deleted type of this name, so that no version ever means two schemas.
    pub version: i64,
    /// Its name without `custom.`.
    pub name: String,
    /// See [`CustomEventType::title`].
    pub title: String,
    /// See [`CustomEventType::description`].
    pub description: Option<String>,
    /// See [`CustomEventType::ordering_key`].
    pub ordering_key: Option<OrderedBy>,
    /// See [`CustomEventType::schema`].
    pub schema: Value,
}

/// Decides `registerEventType`: a new type, or the next version of `existing`. `uncompilable` is what the compiler of schemas
/// found; the tenant has `count` types so far.
///
/// # Errors
/// `too_many_event_types`, `event_type_unchanged`, `schema_invalid` and the other codes of schemas, `schema_incompatible`,
/// `ordering_key_changed`.
pub fn register(
    command: Register,
    existing: Option<CustomEventType>,
    count: usize,
    uncompilable: Vec<Violation>,
    now: Timestamp,
) -> Result<Change<CustomEventType>, Rejected> {
    if existing.is_none() && count >= TYPES_MAX {
        let message = format!("There are {count} custom event types already, and no more than {TYPES_MAX} are kept; delete one first.");
        return Err(Rejected::conflict(Code::TooManyEventTypes, message));
    }
    let mut broken = faults(&command.schema);
    broken.extend(uncompilable);
    if let Some(rejected) = Rejected::from_violations(broken) {
        return Err(rejected);
    }
    let (id, version, created_at) =
        existing.as_ref().map_or((command.id, command.version, now), |old| (old.id, old.version + 1, old.created_at));
    let after = CustomEventType {
        id,
        version,
        name: format!("{PREFIX}{}", command.name),
        title: command.title,
        description: command.description,
        ordering_key: command.ordering_key,
        schema: command.schema,
        created_at,
        updated_at: now,
    };
    let Some(before) = existing else { return Ok(Change::created(after)) };
    let unchanged = CustomEventType { version: before.version, updated_at: before.updated_at, ..after.clone() };
    if unchanged == before {
        let message = format!("Exactly this is registered already, as version {} of {}.", before.version, before.name);
        return Err(Rejected::conflict(Code::EventTypeUnchanged, message));
    }
    ensure_compatible(&before, &after)?;
    Ok(Change::updated(before, after, Vec::<&str>::new()))
}

fn ensure_compatible(before: &CustomEventType, after: &CustomEventType) -> Result<(), Rejected> {
    if before.ordering_key != after.ordering_key {
        let message = "What the events of a type keep order within cannot change; register another name.";
        return Err(Rejected::violation("/orderingKey", Code::OrderingKeyChanged, message));
    }
    let mut violations = incompatibilities(&before.schema, &after.schema);
    let offered = scalars(&after.schema);
    for lost in scalars(&before.schema) {
        if !offered.iter().any(|scalar| scalar.name == lost.name && scalar.kind == lost.kind) {
            let message = format!("The parameter data.{} must stay a {}; templates may name it.", lost.name, lost.kind.name());
            violations.push(Violation::new(
                crate::events::data_schema::step("/schema/properties", &lost.name),
                Code::ParameterLost,
                message,
            ));
        }
    }
    if violations.is_empty() {
        return Ok(());
    }
    let message = format!(
        "The schema may refuse what version {} of {} accepts; a new version may only be wider. Errors tell where.",
        before.version, before.name
    );
    Err(Rejected { code: Code::SchemaIncompatible, message, violations })
}

impl Entity for CustomEventType {
    const TYPE: &'static str = "eventType";
    const EVENT_OBJECT: Option<&'static str> = None;

    entity_members!(updated_at, configuration);
}

/// What happened outside and is told of by one event of a custom type.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(transparent)]
pub struct CustomEvent {
    /// Its data, as submitted.
    data: Map<String, Value>,
    #[serde(skip)]
    id: CustomEventId,
    #[serde(skip)]
    subject: Option<String>,
    #[serde(skip)]
    at: Timestamp,
    #[serde(skip)]
    account: Option<AccountId>,
    #[serde(skip)]
    key: OrderingKey,
}

/// One item of `submitEvents`.
#[derive(Debug, Clone)]
pub struct Submit {
    /// The id of what it tells of.
    pub id: CustomEventId,
    /// Name of its type.
    pub kind: String,
    /// Id or external id of the account it is about.
    pub account: Option<String>,
    /// What it keeps order within, if not an account.
    pub key: Option<String>,
    /// What it is about, as the system that submits it names it.
    pub subject: Option<String>,
    /// Its data.
    pub data: Map<String, Value>,
}

impl Submit {
    /// What is wrong with it, as far as its type tells; `kind` is absent where there is none of that name among `names`. What its data
    /// breaks of the schema is found by the compiler of schemas.
    pub fn faults<'n>(&self, kind: Option<&CustomEventType>, names: impl Iterator<Item = &'n str>) -> Vec<Violation> {
        let mut found = Vec::new();
        if kind.is_none() {
            found.push(unknown(&self.kind, names));
        }
        match (kind.and_then(|kind| kind.ordering_key), &self.account, &self.key) {
            (_, Some(_), Some(_)) => {
                found.push(Violation::new("/key", Code::OrderingKeyAmbiguous, "An event brings an account or a key, not both."));
            }
            (Some(OrderedBy::Account), None, _) => {
                found.push(Violation::new(
                    "/account",
                    Code::OrderingKeyRequired,
                    format!("Events of {} must name their account.", self.kind),
                ));
            }
            (Some(OrderedBy::Key), _, None) => {
                found.push(Violation::new("/key", Code::OrderingKeyRequired, format!("Events of {} must bring a key.", self.kind)));
            }
            (None, None, None) => {
                found.push(Violation::new("", Code::OrderingKeyRequired, "An event brings an account or a key, to keep order within."));
            }
            _ => {}
        }
        found.extend(self.key.as_deref().and_then(|key| ordering_key(key).err()));
        found
    }

    /// The event it becomes, once it has no faults. `account` is the one it names.
    ///
    /// # Errors
    /// `ordering_key_required`, `key_invalid`.
    pub fn accept(self, account: Option<AccountId>, now: Timestamp) -> Result<CustomEvent, Violation> {
        let key = match (account, self.key.as_deref()) {
            (Some(account), _) => account.into(),
            (None, Some(key)) => ordering_key(key)?,
            (None, None) => return Err(Violation::new("", Code::OrderingKeyRequired, "An event brings an account or a key.")),
        };
        Ok(CustomEvent { data: self.data, id: self.id, subject: self.subject, at: now, account, key })
    }
}

/// The violation of naming a type that cannot be submitted.
fn unknown<'n>(name: &str, names: impl Iterator<Item = &'n str>) -> Violation {
    if billwire_schemas::events::catalogue::find(name).is_some() {
        let message = format!("'{name}' is told of by the platform alone; only custom event types can be submitted.");
        return Violation::new("/type", Code::EventTypeNotCustom, message);
    }
    let near = nearest(name, names);
    let hint = if near.is_empty() { String::new() } else { format!(" Did you mean {}?", near.join(" or ")) };
    Violation::new("/type", Code::EventTypeUnknown, format!("There is no custom event type '{name}'.{hint}"))
}

fn ordering_key(text: &str) -> Result<OrderingKey, Violation> {
    match text.parse::<OrderingKey>() {
        // The lane of the tenant's configuration, which carries no events.
        Ok(key) if key == OrderingKey::CONFIGURATION => {
            Err(Violation::new("/key", Code::KeyInvalid, format!("'{text}' is reserved; bring another key.")))
        }
        Ok(key) => Ok(key),
        Err(error) => Err(Violation::new("/key", Code::KeyInvalid, format!("The key {error}."))),
    }
}

impl CustomEvent {
    /// What it is about: as it was submitted, else an id of its own.
    pub fn subject(&self) -> String {
        self.subject.clone().unwrap_or_else(|| self.id.to_string())
    }
}

impl Entity for CustomEvent {
    const TYPE: &'static str = "customEvent";
    const EVENT_OBJECT: Option<&'static str> = None;

    fn id(&self) -> uuid::Uuid {
        self.id.0
    }
    fn version(&self) -> i64 {
        1
    }
    fn created_at(&self) -> Timestamp {
        self.at
    }
    fn account(&self) -> Option<AccountId> {
        self.account
    }
    fn ordering_key(&self) -> OrderingKey {
        self.key.clone()
    }
    /// `data.<member>` for each scalar member.
    fn parameters(&self) -> Parameters {
        let scalar = |value: &Value| matches!(value, Value::String(_) | Value::Number(_) | Value::Bool(_));
        let members = self.data.iter().filter(|(name, value)| is_parameter_name(name) && scalar(value));
        members.map(|(name, value)| (format!("data.{name}"), value.clone())).collect()
    }
}

#[cfg(test)]
mod tests;
