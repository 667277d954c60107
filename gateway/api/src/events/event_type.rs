//! Catalogue entries of event types, built-in and custom.

use billwire_app::{
    App, Failure,
    domain::{
        Rejected,
        events::{
            catalogue::{Catalogue, Known, Offer},
            custom_event_type::{CustomEventType, PREFIX},
        },
    },
};
use billwire_schemas::{
    events::{
        catalogue, example,
        json_schema::{self, Message},
    },
    ids::EventId,
};
use poem_openapi::{Object, types::Example};
use serde_json::{Map, Value, json};

use crate::{
    events::event_types::{CustomEventType as RegisteredEventType, not_found},
    http::request_context::Context,
    openapi::states::{event_schema, example_state},
    types::scalars::FreeObject,
};

/// A parameter that an event offers.
#[derive(Debug, Object)]
#[oai(rename = "EventParameter", rename_all = "camelCase")]
pub(crate) struct Parameter {
    /// Parameter name, as used in templates and expressions.
    name: String,
    /// Value type: `string` (also amounts and dates), `number`, `boolean`, or `object`: custom attributes, each used by its name, such as
    /// `account.attributes.region`.
    #[oai(rename = "type")]
    kind: String,
    /// Description.
    meaning: String,
    /// An example value.
    example: String,
    /// Whether it is available in e-mails only, and neither on the stream nor in webhook calls.
    email_only: bool,
}

impl From<Offer> for Parameter {
    fn from(offer: Offer) -> Self {
        let example = match offer.example {
            Value::String(text) => text,
            other => other.to_string(),
        };
        let kind = offer.kind.name().to_owned();
        Self { name: offer.name, kind, meaning: offer.meaning, example, email_only: offer.email_only }
    }
}

/// An event type.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub(crate) struct EventType {
    /// `<object>.<what happened>`, or `custom.<name>`.
    name: String,
    /// Version, starting at 1.
    pub version: i64,
    /// Title.
    title: String,
    /// Alternative names in the industry.
    aliases: Vec<String>,
    /// `object`: the state of a created, updated or deleted object. `lifecycle`: an occurrence that people or processes react to.
    /// `custom`: a type of your own. More values may be added.
    family: String,
    /// Description.
    description: Option<String>,
    /// What triggers the event.
    trigger: String,
    /// Type of the event's object, such as `account`. More values may be added.
    source: String,
    /// Ordering key of its events: `account`, `object` (the object's id), `key` (given with each event) or `accountOrKey`.
    ordering_key: String,
    /// The parameters its events offer.
    parameters: Vec<Parameter>,
    /// JSON Schema (draft 2020-12) of its messages; for built-in types also at `/schemas/<name>/v1.json`. Present only when a single
    /// type is requested.
    schema: Option<FreeObject>,
    /// An example message. Present only when a single type is requested and an example can be generated.
    #[oai(rename = "example")]
    message: Option<FreeObject>,
    /// The registration of a custom type. Present only when a single type is requested.
    registered: Option<RegisteredEventType>,
}

impl Example for EventType {
    fn example() -> Self {
        Self {
            name: "custom.sim_swapped".to_owned(),
            version: 1,
            title: "SIM Swapped".to_owned(),
            aliases: vec![],
            family: "custom".to_owned(),
            description: Some("A subscriber has got another SIM.".to_owned()),
            trigger: "submitEvents".to_owned(),
            source: "customEvent".to_owned(),
            ordering_key: "accountOrKey".to_owned(),
            parameters: vec![Parameter {
                name: "data.iccid".to_owned(),
                kind: "string".to_owned(),
                meaning: "The new SIM".to_owned(),
                example: "text".to_owned(),
                email_only: false,
            }],
            schema: None,
            message: None,
            registered: None,
        }
    }
}

fn members(value: Value) -> Option<FreeObject> {
    match value {
        Value::Object(members) => Some(FreeObject(members)),
        _ => None,
    }
}

impl EventType {
    /// The entry as in lists.
    pub fn of(catalogue: &Catalogue, event: Known<'_>) -> Self {
        let parameters = catalogue.offers(event).into_iter().map(Parameter::from).collect();
        let (family, ordering_key) = (event.family().to_owned(), event.ordering_key().to_owned());
        let (schema, message, registered) = (None, None, None);
        match event {
            Known::BuiltIn(event) => Self {
                name: event.name.to_owned(),
                version: 1,
                title: event.title.to_owned(),
                aliases: event.aliases.iter().map(|alias| (*alias).to_owned()).collect(),
                family,
                description: Some(event.description()),
                trigger: event.trigger.to_owned(),
                source: event.source.to_owned(),
                ordering_key,
                parameters,
                schema,
                message,
                registered,
            },
            Known::Custom(custom) => Self {
                name: custom.name.clone(),
                version: custom.version,
                title: custom.title.clone(),
                aliases: Vec::new(),
                family,
                description: custom.description.clone(),
                trigger: "submitEvents".to_owned(),
                source: "customEvent".to_owned(),
                ordering_key,
                parameters,
                schema,
                message,
                registered,
            },
        }
    }

    /// The full entry of the type with this name.
    ///
    /// # Errors
    /// `event_type_not_found`, or a database failure.
    pub async fn find(context: &Context, name: &str, version: Option<i64>) -> Result<Self, Failure> {
        let (app, tenant) = (context.app(), context.tenant());
        let catalogue = app.catalogue(tenant).await?;
        if let Some(event) = catalogue::find(name) {
            if version.is_some_and(|version| version != 1) {
                return Err(not_found(name, version).into());
            }
            let shown = Self::of(&catalogue, Known::BuiltIn(event));
            let message = members(example::of(event, &example_state(event.source, context.document()), app.public_url()));
            return Ok(Self { schema: members(event_schema(event, context.document())), message, ..shown });
        }
        let known = catalogue.custom().iter().find(|custom| custom.name == name || custom.id.to_string() == name);
        let custom = match (known, version) {
            (Some(known), None) => known.clone(),
            (known, Some(version)) => {
                let name = known.map_or(name, |known| known.name.as_str());
                app.custom_event_type(tenant, name, version).await?
            }
            (None, None) => return Err(not_found(name, version).into()),
        };
        Ok(Self::of_custom(app, &catalogue, &custom))
    }

    /// The JSON Schema of its messages.
    pub fn into_schema(self) -> Value {
        self.schema.map_or(Value::Null, |schema| Value::Object(schema.0))
    }

    /// The example message of a type, with the event id `id`.
    ///
    /// # Errors
    /// `event_type_unknown`, or a database failure.
    pub async fn example_message(context: &Context, name: &str, id: EventId) -> Result<Map<String, Value>, Failure> {
        let unknown = context.app().catalogue(context.tenant()).await?.unknown_types(&[name.to_owned()]).into_iter().next();
        if let Some(unknown) = unknown {
            return Err(Rejected::violation("/eventType", unknown.code, unknown.message).into());
        }
        let mut message = Self::find(context, name, None).await?.message.map(|message| message.0).unwrap_or_default();
        message.insert("id".to_owned(), id.to_string().into());
        message.insert("source".to_owned(), format!("/tenants/{}", context.tenant()).into());
        Ok(message)
    }

    fn of_custom(app: &App, catalogue: &Catalogue, custom: &CustomEventType) -> Self {
        let offers: Vec<Offer> = catalogue.offers(Known::Custom(custom)).into_iter().filter(|offer| !offer.email_only).collect();
        let described = |offer: &Offer| json!({ "description": offer.meaning, "type": offer.kind.name() });
        let schema = json_schema::message(&Message {
            kind: &custom.name,
            path: custom.schema_path(),
            title: &custom.title,
            description: custom.description.clone().unwrap_or_else(|| "Submitted by an external system.".to_owned()),
            action: json!({ "const": "created" }),
            parameters: offers.iter().map(|offer| (offer.name.clone(), described(offer))).collect(),
            before: json!({ "type": "object" }),
            after: &custom.schema,
        });
        let message = app.sample_of(custom).and_then(|data| members(example_of(custom, &offers, &data, app.public_url())));
        let registered = Some(custom.into());
        Self { schema: members(schema), message, registered, ..Self::of(catalogue, Known::Custom(custom)) }
    }
}

/// An example message of a custom type with this data.
fn example_of(custom: &CustomEventType, offers: &[Offer], data: &Value, public_url: &str) -> Value {
    let mut parameters = Map::new();
    for offer in offers {
        let value = match (offer.name.as_str(), offer.name.strip_prefix("data.")) {
            ("event.name", _) => Some(custom.title.clone().into()),
            ("event.type", _) => Some(custom.name.clone().into()),
            (_, Some(member)) => data.get(member).filter(|value| !value.is_null()).cloned(),
            _ => Some(offer.example.clone()),
        };
        parameters.extend(value.map(|value| (offer.name.clone(), value)));
    }
    let key = match offers.iter().find(|offer| offer.name == "account.id") {
        Some(offer) => offer.example.as_str().unwrap_or_default().to_owned(),
        None => custom.name.strip_prefix(PREFIX).unwrap_or("key").to_owned(),
    };
    let schema = format!("{public_url}{}", custom.schema_path());
    let object = json!({ "type": "customEvent", "id": crate::types::example::example_id(9), "version": 1, "action": "created" });
    example::message(&custom.name, &schema, &key, &object, data, &parameters)
}
