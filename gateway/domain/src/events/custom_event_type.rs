//! Custom event types: events of a tenant's own systems, published through the gateway. The data of each type has a JSON Schema;
//! each new version must accept everything that the previous one accepted.

use billwire_schemas::{
    clock::Timestamp,
    events::{
        envelope::{Parameters, schema_path},
        parameters::{Group, did_you_mean},
    },
    ids::{AccountId, CustomEventId, EventTypeId, OrderingKey},
    refusal::Code,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    change::{Change, Entity, entity_members},
    events::{
        data_schema::{faults, is_parameter_name, scalars},
        schema_compatibility::incompatibilities,
    },
    rejected::{Rejected, Violation},
};

/// The prefix of all custom type names.
pub const PREFIX: &str = "custom.";
/// Maximum number of custom event types per tenant.
pub const TYPES_MAX: usize = 200;

/// What orders the events of a type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum OrderedBy {
    /// An account, which every event must name. The events offer the account's parameters.
    Account,
    /// A key, which every event must have.
    Key,
}

/// A custom event type, at its latest version or an earlier one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CustomEventType {
    /// Object id, the same for all versions.
    pub id: EventTypeId,
    /// Version, starting at 1; the `n` of the version's JSON Schema.
    pub version: i64,
    /// `custom.<name>`.
    pub name: String,
    /// Human-readable name.
    pub title: String,
    /// Meaning of the event and when it occurs.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub description: Option<String>,
    /// What orders the events; absent: each event has an account or a key.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub ordering_key: Option<OrderedBy>,
    /// JSON Schema (draft 2020-12) of `data.after`.
    pub schema: Value,
    /// When the type was first registered.
    pub created_at: Timestamp,
    /// When this version was registered.
    pub updated_at: Timestamp,
}

impl CustomEventType {
    /// Where the schema of the type's messages is served.
    pub fn schema_path(&self) -> String {
        schema_path(&self.name, self.version)
    }

    /// The built-in parameter groups that the type's events offer.
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
    /// Object id, for a new type.
    pub id: EventTypeId,
    /// Version of a new type: follows the last version of a deleted type of the same name, so that a version never has two schemas.
    pub version: i64,
    /// Name without `custom.`.
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

/// Decides `registerEventType`: a new type, or the next version of `existing`. `uncompilable` holds the schema compiler's findings;
/// `count` is the tenant's current number of types.
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
        let message = format!("There are already {count} custom event types; at most {TYPES_MAX} are allowed. Delete one first.");
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
        let message = format!("This definition is already registered, as version {} of {}.", before.version, before.name);
        return Err(Rejected::conflict(Code::EventTypeUnchanged, message));
    }
    ensure_compatible(&before, &after)?;
    Ok(Change::updated(before, after, Vec::<&str>::new()))
}

fn ensure_compatible(before: &CustomEventType, after: &CustomEventType) -> Result<(), Rejected> {
    if before.ordering_key != after.ordering_key {
        let message = "The ordering key of an event type cannot change; register a type with another name.";
        return Err(Rejected::violation("/orderingKey", Code::OrderingKeyChanged, message));
    }
    let mut violations = incompatibilities(&before.schema, &after.schema);
    let offered = scalars(&after.schema);
    for lost in scalars(&before.schema) {
        if !offered.iter().any(|scalar| scalar.name == lost.name && scalar.kind == lost.kind) {
            let message = format!("The parameter data.{} must stay a {}, because templates may use it.", lost.name, lost.kind.name());
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
        "The schema may refuse what version {} of {} accepts; a new version must accept all of it. See errors.",
        before.version, before.name
    );
    Err(Rejected { code: Code::SchemaIncompatible, message, violations })
}

impl Entity for CustomEventType {
    const TYPE: &'static str = "eventType";
    const EVENT_OBJECT: Option<&'static str> = None;

    entity_members!(updated_at, configuration);
}

/// An event of a custom type, as submitted.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(transparent)]
pub struct CustomEvent {
    /// The submitted data, an object.
    data: Value,
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
    /// Id of the new event.
    pub id: CustomEventId,
    /// Name of the event type.
    pub kind: String,
    /// Id or external id of the event's account.
    pub account: Option<String>,
    /// Ordering key, if the event has no account.
    pub key: Option<String>,
    /// Subject of the event, as the submitting system names it.
    pub subject: Option<String>,
    /// The event's data, an object.
    pub data: Value,
}

impl Submit {
    /// Checks the event against its type; `kind` is `None` if no type in `names` has that name. The schema compiler validates the data
    /// separately.
    pub fn faults<'n>(&self, kind: Option<&CustomEventType>, names: impl Iterator<Item = &'n str>) -> Vec<Violation> {
        let mut found = Vec::new();
        if kind.is_none() {
            found.push(unknown(&self.kind, names));
        }
        match (kind.and_then(|kind| kind.ordering_key), &self.account, &self.key) {
            (_, Some(_), Some(_)) => {
                found.push(Violation::new("/key", Code::OrderingKeyAmbiguous, "An event must have an account or a key, not both."));
            }
            (Some(OrderedBy::Account), None, _) => {
                found.push(Violation::new("/account", Code::OrderingKeyRequired, format!("Events of {} must have an account.", self.kind)));
            }
            (Some(OrderedBy::Key), _, None) => {
                found.push(Violation::new("/key", Code::OrderingKeyRequired, format!("Events of {} must have a key.", self.kind)));
            }
            (None, None, None) => {
                found.push(Violation::new("", Code::OrderingKeyRequired, "An event must have an account or a key, which sets its order."));
            }
            _ => {}
        }
        found.extend(self.key.as_deref().and_then(|key| ordering_key(key).err()));
        found
    }

    /// Creates the event after validation. `account` is the resolved account.
    ///
    /// # Errors
    /// `ordering_key_required`, `key_invalid`.
    pub fn accept(self, account: Option<AccountId>, now: Timestamp) -> Result<CustomEvent, Violation> {
        let key = match (account, self.key.as_deref()) {
            (Some(account), _) => account.into(),
            (None, Some(key)) => ordering_key(key)?,
            (None, None) => return Err(Violation::new("", Code::OrderingKeyRequired, "An event must have an account or a key.")),
        };
        Ok(CustomEvent { data: self.data, id: self.id, subject: self.subject, at: now, account, key })
    }
}

/// The violation of an event type that cannot be submitted.
fn unknown<'n>(name: &str, names: impl Iterator<Item = &'n str>) -> Violation {
    if billwire_schemas::events::catalogue::find(name).is_some() {
        let message = format!("Only the platform publishes '{name}'; submit custom event types only.");
        return Violation::new("/type", Code::EventTypeNotCustom, message);
    }
    let hint = did_you_mean(name, names);
    Violation::new("/type", Code::EventTypeUnknown, format!("There is no custom event type '{name}'.{hint}"))
}

fn ordering_key(text: &str) -> Result<OrderingKey, Violation> {
    match text.parse::<OrderingKey>() {
        // The ordering key of the tenant's configuration, which no event uses.
        Ok(key) if key == OrderingKey::CONFIGURATION => {
            Err(Violation::new("/key", Code::KeyInvalid, format!("'{text}' is reserved; use another key.")))
        }
        Ok(key) => Ok(key),
        Err(error) => Err(Violation::new("/key", Code::KeyInvalid, format!("The key {error}."))),
    }
}

impl CustomEvent {
    /// The submitted subject, or else the event's own id.
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
        let members = self.data.as_object().into_iter().flatten().filter(|(name, value)| is_parameter_name(name) && scalar(value));
        members.map(|(name, value)| (format!("data.{name}"), value.clone())).collect()
    }
}

#[cfg(test)]
mod tests;
