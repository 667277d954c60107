//! Event types: the catalogue.

use billwire_app::domain::Rejected;
use billwire_schemas::events::{
    catalogue::{self, Family},
    json_schema,
};
use poem_openapi::{Object, OpenApi, param::Path, types::Example};
use serde_json::Value;

use crate::{
    Tag,
    answers::{Listed, Shown},
    context::Context,
    fields::{EventTypeName, FreeObject},
    operations::{Operation, PLAIN, get},
    problem::Problem,
};

pub(crate) struct EventTypes;

/// What they ask for and answer.
pub(crate) const OPERATIONS: &[Operation] = &[
    Operation { takes: PLAIN, ..get("listEventTypes", "event_types:read", &[]) },
    Operation { takes: PLAIN, ..get("getEventType", "event_types:read", &["event_type_not_found"]) },
];

/// A parameter an event offers to templates.
#[derive(Debug, Object)]
#[oai(rename = "EventParameter", rename_all = "camelCase")]
pub(crate) struct Parameter {
    /// The name templates use.
    name: String,
    /// What it means.
    meaning: String,
    /// A value it could have.
    example: String,
}

/// An event type.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub(crate) struct EventType {
    /// `<object>.<what happened>`.
    name: String,
    /// The name people know it by.
    title: String,
    /// `object`: the state of one created, updated or deleted object. `lifecycle`: an occurrence people or processes react to.
    /// More may come.
    family: String,
    /// What makes it happen.
    trigger: String,
    /// The parameters it offers.
    parameters: Vec<Parameter>,
    /// The JSON Schema (draft 2020-12) of its messages; also at `/schemas/events/<name>/v1.json`. Only where one type is asked for.
    schema: Option<FreeObject>,
}

impl Example for EventType {
    fn example() -> Self {
        Self {
            name: "account.bill_cycle_changed".to_owned(),
            title: "Account Bill Cycle Changed".to_owned(),
            family: "lifecycle".to_owned(),
            trigger: "performAccountBillCycleChange".to_owned(),
            parameters: vec![Parameter {
                name: "account.name".to_owned(),
                meaning: "The account's name".to_owned(),
                example: "Acme Telecom".to_owned(),
            }],
            schema: None,
        }
    }
}

impl From<&catalogue::EventType> for EventType {
    fn from(event: &catalogue::EventType) -> Self {
        let parameters = event.parameters().map(|parameter| Parameter {
            name: parameter.name.to_owned(),
            meaning: parameter.meaning.to_owned(),
            example: parameter.example.to_owned(),
        });
        let family = match event.family {
            Family::Object => "object",
            Family::Lifecycle => "lifecycle",
        };
        Self {
            name: event.name.to_owned(),
            title: event.title.to_owned(),
            family: family.to_owned(),
            trigger: event.trigger.to_owned(),
            parameters: parameters.collect(),
            schema: None,
        }
    }
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::EventTypes")]
impl EventTypes {
    /// List event types
    ///
    /// All there are, by object.
    #[oai(path = "/event-types", method = "get", operation_id = "listEventTypes")]
    async fn list(&self, _context: Context) -> Result<Listed<EventType>, Problem> {
        let items: Vec<EventType> = catalogue::all().map(Into::into).collect();
        Ok(Listed::shown(&items, None))
    }

    /// Get an event type
    ///
    /// With its parameters and the JSON Schema of its messages.
    #[oai(path = "/event-types/:eventType", method = "get", operation_id = "getEventType")]
    async fn get(
        &self,
        _context: Context,
        /// Name of the event type.
        #[oai(name = "eventType")]
        event_type: Path<EventTypeName>,
    ) -> Result<Shown<EventType>, Problem> {
        let name = &event_type.0.0;
        let event = catalogue::find(name).ok_or_else(|| Rejected::not_found("event_type_not_found", "event type", name))?;
        let schema = match json_schema::of(event) {
            Value::Object(members) => Some(FreeObject(members)),
            _ => None,
        };
        Ok(Shown(EventType { schema, ..event.into() }))
    }
}
