//! The JSON Schemas that events refer to.

use billwire_schemas::{events::envelope::schema_path, refusal::Code};
use poem::{
    IntoResponse, Response,
    http::{HeaderValue, header},
};
use poem_openapi::{
    ApiResponse, Object, OpenApi,
    param::Path,
    registry::{MetaResponses, Registry},
    types::Example,
};
use serde_json::{Map, json};

use crate::{
    events::{event_type::EventType, event_types::Tag},
    http::{
        problem::Problem,
        request_context::Context,
        responses::{Found, IfNoneMatch},
    },
    openapi::operation::{Operation, get},
    types::scalars::{EventTypeName, FreeObject, SchemaFile},
};

pub(crate) struct EventSchemas;

/// Registry entries of the operations below.
pub(crate) const OPERATIONS: &[Operation] = &[get("getEventSchema", "event_types:read", &[Code::EventTypeNotFound])];

/// A JSON Schema (draft 2020-12).
#[derive(Debug, Object)]
#[oai(example)]
pub(crate) struct EventSchema {
    /// The dialect: `https://json-schema.org/draft/2020-12/schema`.
    #[oai(rename = "$schema")]
    dialect: String,
    /// The schema's path.
    #[oai(rename = "$id")]
    id: String,
    /// Name of the event type for people.
    title: String,
    /// Meaning of the event.
    description: String,
    /// `object`.
    #[oai(rename = "type")]
    kind: String,
    /// The members that each message has.
    required: Vec<String>,
    /// The members of a message.
    properties: FreeObject,
    /// The schemas that others refer to.
    #[oai(rename = "$defs", skip_serializing_if_is_none)]
    definitions: Option<FreeObject>,
}

impl Example for EventSchema {
    fn example() -> Self {
        Self {
            dialect: "https://json-schema.org/draft/2020-12/schema".to_owned(),
            id: schema_path("custom.sim_swapped", 1),
            title: "SIM swapped".to_owned(),
            description: "Submitted by an external system.".to_owned(),
            kind: "object".to_owned(),
            required: vec!["specversion".to_owned(), "id".to_owned(), "data".to_owned()],
            properties: FreeObject(Map::from_iter([("specversion".to_owned(), json!({ "const": "1.0" }))])),
            definitions: None,
        }
    }
}

/// Media type of JSON Schemas.
pub(crate) const SCHEMA_JSON: &str = "application/schema+json";

/// A schema with its `ETag`.
pub(crate) struct FoundSchema(Found<EventSchema>);

impl IntoResponse for FoundSchema {
    fn into_response(self) -> Response {
        let mut response = self.0.into_response();
        if let Some(media_type) = response.headers_mut().get_mut(header::CONTENT_TYPE) {
            *media_type = HeaderValue::from_static(SCHEMA_JSON);
        }
        response
    }
}

impl ApiResponse for FoundSchema {
    fn meta() -> MetaResponses {
        let mut meta = Found::<EventSchema>::meta();
        meta.responses.iter_mut().flat_map(|response| &mut response.content).for_each(|content| content.content_type = SCHEMA_JSON);
        meta
    }

    fn register(registry: &mut Registry) {
        Found::<EventSchema>::register(registry);
    }
}

#[OpenApi(tag = "Tag::EventTypes")]
impl EventSchemas {
    /// Get the schema of an event type's messages
    ///
    /// Events name it as their `dataschema`. Anyone may read the schemas of the built-in types; those of a tenant's own types need its key.
    #[oai(path = "/schemas/:eventType/:file", method = "get", operation_id = "getEventSchema")]
    async fn get(
        &self,
        context: Context,
        known: IfNoneMatch,
        /// Name of the event type.
        #[oai(name = "eventType")]
        event_type: Path<EventTypeName>,
        /// The version: `v1.json`, for example.
        file: Path<SchemaFile>,
    ) -> Result<FoundSchema, Problem> {
        let file = file.0.0.as_str();
        let version = file.strip_prefix('v').and_then(|rest| rest.strip_suffix(".json")).and_then(|version| version.parse().ok());
        let schema = EventType::find(&context, &event_type.0.0, Some(version.unwrap_or(0))).await?.into_schema();
        Ok(FoundSchema(Found::counted(&schema, file.trim_end_matches(".json"), &known)?))
    }
}
