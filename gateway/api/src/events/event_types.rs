//! Event types: the catalogue, and the tenant's custom types.

use billwire_app::{
    DeleteEventType, RegisterEventType,
    domain::{
        Rejected,
        events::custom_event_type::{self, PREFIX},
    },
};
use billwire_schemas::ids::{EventTypeId, fresh};
use billwire_schemas::refusal::Code;
use poem_openapi::{Object, OpenApi, Tags, param::Path, types::Example};
use serde_json::json;
use uuid::Uuid;

use crate::{
    events::event_type::EventType,
    http::{
        problem::Problem,
        request_context::{Context, Query},
        responses::{Created, Done, Found, IfNoneMatch, Listed},
        validated_body::{Validate, Validated},
    },
    openapi::operation::{Operation, PLAIN, create, created, delete, get},
    types::example::{example_id, example_moment},
    types::scalars::{CustomEventName, Description, EventTypeName, EventTypeVersion, FreeObject, Moment, Name, OrderedBy},
};

#[derive(Tags)]
pub(crate) enum Tag {
    /// The catalogue of event types and the parameters each offers.
    #[oai(rename = "Event types")]
    EventTypes,
}

pub(crate) struct EventTypes;

/// Registry entries of the operations below.
pub(crate) const OPERATIONS: &[Operation] = &[
    Operation { takes: PLAIN, ..get("listEventTypes", "event_types:read", &[]) },
    get("getEventType", "event_types:read", &[Code::EventTypeNotFound]),
    create(
        "registerEventType",
        "event_types:write",
        &[
            Code::EventTypeUnchanged,
            Code::TooManyEventTypes,
            Code::OrderingKeyChanged,
            Code::SchemaTooLarge,
            Code::SchemaTooDeep,
            Code::SchemaNotOfObject,
            Code::SchemaDialectUnknown,
            Code::SchemaKeywordUnknown,
            Code::SchemaKeywordNotAllowed,
            Code::SchemaReferenceNotAllowed,
            Code::SchemaReferenceUnknown,
            Code::SchemaReferenceRecursive,
            Code::SchemaInvalid,
            Code::SchemaIncompatible,
            Code::SchemaNarrowed,
            Code::TypeNarrowed,
            Code::EnumNarrowed,
            Code::BoundNarrowed,
            Code::MemberRequired,
            Code::MemberRemoved,
            Code::MemberConstrained,
            Code::DefinitionChanged,
            Code::KeywordChanged,
            Code::ParameterLost,
        ],
        created("eventType", "CustomEventType", &[]),
    ),
    delete(
        "deleteEventType",
        "event_types:write",
        &[Code::EventTypeNotFound, Code::EventTypeBuiltIn, Code::StillInUse],
        "eventType",
        "CustomEventType",
    ),
];

/// The custom event type to register, or its next version.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub(crate) struct EventTypeInput {
    /// Name; the full type name is `custom.<name>`.
    name: CustomEventName,
    /// Title.
    title: Name,
    /// Meaning, and when the event occurs.
    description: Option<Description>,
    /// Ordering key of its events: `account` (each event names its account and offers the account's parameters) or `key` (each event has
    /// its own key). Absent: each event has one of the two. Cannot be changed later.
    ordering_key: Option<OrderedBy>,
    /// JSON Schema (draft 2020-12) of the events' data, which is an object. Its scalar members become the parameters `data.<member>`. Set
    /// `additionalProperties: false` on objects: a later version cannot add a constrained member to an open object, since earlier events
    /// may have any value under that name.
    schema: FreeObject,
}

impl Validate for EventTypeInput {}

fn example_schema() -> FreeObject {
    let schema = json!({
        "type": "object",
        "required": ["iccid"],
        "additionalProperties": false,
        "properties": { "iccid": { "type": "string", "pattern": "^[0-9]{19,20}$", "description": "The new SIM", "examples": ["8949010000000000001"] } },
    });
    FreeObject(schema.as_object().cloned().unwrap_or_default())
}

impl Example for EventTypeInput {
    fn example() -> Self {
        Self {
            name: "sim_activated".into(),
            title: "SIM Activated".into(),
            description: Some("A subscriber's SIM is activated.".into()),
            ordering_key: None,
            schema: example_schema(),
        }
    }
}

/// A registered custom event type.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub(crate) struct CustomEventType {
    /// Unique id; the same for all versions.
    id: Uuid,
    /// Version, starting at 1.
    version: i64,
    /// `custom.<name>`.
    name: String,
    /// Title.
    title: String,
    /// Meaning, and when the event occurs.
    description: Option<String>,
    /// Ordering key of its events: `account` or `key`. Absent: each event has one of the two.
    ordering_key: Option<String>,
    /// JSON Schema (draft 2020-12) of `data.after`.
    schema: FreeObject,
    /// Time of the first registration.
    created_at: Moment,
    /// Time at which this version was registered.
    updated_at: Moment,
}

impl From<&custom_event_type::CustomEventType> for CustomEventType {
    fn from(custom: &custom_event_type::CustomEventType) -> Self {
        let ordering_key = custom.ordering_key.map(|ordered| match ordered {
            custom_event_type::OrderedBy::Account => OrderedBy::Account.wire().to_owned(),
            custom_event_type::OrderedBy::Key => OrderedBy::Key.wire().to_owned(),
        });
        Self {
            id: custom.id.0,
            version: custom.version,
            name: custom.name.clone(),
            title: custom.title.clone(),
            description: custom.description.clone(),
            ordering_key,
            schema: FreeObject(custom.schema.as_object().cloned().unwrap_or_default()),
            created_at: custom.created_at.into(),
            updated_at: custom.updated_at.into(),
        }
    }
}

impl Example for CustomEventType {
    fn example() -> Self {
        Self {
            id: example_id(0x202),
            version: 1,
            name: "custom.sim_swapped".to_owned(),
            title: "SIM Swapped".to_owned(),
            description: Some("A subscriber has got another SIM.".to_owned()),
            ordering_key: None,
            schema: example_schema(),
            created_at: example_moment(),
            updated_at: example_moment(),
        }
    }
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::EventTypes")]
impl EventTypes {
    /// List event types
    ///
    /// Returns all types: the built-in ones by object, then custom types by name.
    #[oai(path = "/event-types", method = "get", operation_id = "listEventTypes")]
    async fn list(&self, context: Context) -> Result<Listed<EventType>, Problem> {
        let catalogue = context.app().catalogue(context.tenant()).await?;
        let items: Vec<EventType> = catalogue.all().map(|event| EventType::of(&catalogue, event)).collect();
        Ok(Listed::shown(&items, None))
    }

    /// Get an event type
    ///
    /// Includes its parameters, the JSON Schema of its messages and an example message.
    #[oai(path = "/event-types/:eventType", method = "get", operation_id = "getEventType")]
    async fn get(
        &self,
        context: Context,
        known: IfNoneMatch,
        /// Name of the event type, or id of a custom one.
        #[oai(name = "eventType")]
        event_type: Path<EventTypeName>,
        /// An earlier version of a custom event type; deleted types included.
        version: Query<EventTypeVersion>,
    ) -> Result<Found<EventType>, Problem> {
        let name = event_type.0.0.as_str();
        let version = version.0.map(|version| i64::from(version.0));
        let shown = EventType::find(&context, name, version).await?;
        Ok(Found::shown(&shown, shown.version, &known))
    }

    /// Register an event type
    ///
    /// Registers a custom event type, which queues, subscriptions and templates can use immediately. An existing name gets its next
    /// version, provided that the new schema accepts everything the previous version accepts. Otherwise the request is refused with
    /// `schema_incompatible`, and `errors` lists each location. Earlier versions stay readable.
    #[oai(path = "/event-types", method = "post", operation_id = "registerEventType")]
    async fn register(&self, context: Context, input: Validated<EventTypeInput>) -> Result<Created, Problem> {
        let new = input.body;
        let register = custom_event_type::Register {
            id: EventTypeId(fresh()),
            version: 1,
            name: new.name.0,
            title: new.title.0,
            description: new.description.map(|description| description.0),
            ordering_key: new.ordering_key.map(|ordered| match ordered {
                OrderedBy::Account => custom_event_type::OrderedBy::Account,
                OrderedBy::Key => custom_event_type::OrderedBy::Key,
            }),
            schema: serde_json::Value::Object(new.schema.0),
        };
        let reply = context.execute(input.canonical.as_deref(), RegisterEventType(register)).await?;
        Ok(Created::under("/v1/event-types", reply))
    }

    /// Delete an event type
    ///
    /// Allowed only for a custom type that no queue and no template uses. Its versions stay readable. Registering the name again continues
    /// with the next version.
    #[oai(path = "/event-types/:eventType", method = "delete", operation_id = "deleteEventType")]
    async fn delete(
        &self,
        context: Context,
        /// Name of the event type.
        #[oai(name = "eventType")]
        event_type: Path<EventTypeName>,
    ) -> Result<Done, Problem> {
        let use_case = DeleteEventType { name: event_type.0.0, if_match: context.if_match() };
        Ok(Done(context.execute(None, use_case).await?))
    }
}

/// The refusal for a missing type or version.
pub(crate) fn not_found(name: &str, version: Option<i64>) -> Rejected {
    let what = version.map_or_else(|| name.to_owned(), |version| format!("{name}' at version '{version}"));
    let hint = if name.starts_with(PREFIX) { "custom event type" } else { "event type" };
    Rejected::not_found(Code::EventTypeNotFound, hint, &what)
}
