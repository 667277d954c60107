//! Responses of operations. Domain entities are serialized by serde, and separate types document them; a test validates samples
//! against the documented schemas.

use std::{borrow::Cow, marker::PhantomData};

use billwire_app::{ConfigurationObject, Filter, Object, Reply, domain::Entity, page::Page};
use poem::{
    IntoResponse, Response,
    http::{HeaderName, HeaderValue, StatusCode, header},
};
use poem_openapi::{
    ApiResponse,
    registry::{MetaHeader, MetaMediaType, MetaResponse, MetaResponses, MetaSchema, MetaSchemaRef, Registry},
    types::{ToJSON, Type},
};
use serde::Serialize;
use serde_json::{Value, value::RawValue};

pub(crate) use crate::http::if_none_match::IfNoneMatch;
use crate::{
    http::{problem::Problem, request_context::Context},
    types::business_transaction::BusinessTransaction,
};

const JSON: &str = "application/json";

pub(crate) fn documented(name: &str, description: &str) -> MetaHeader {
    MetaHeader {
        name: name.to_owned(),
        description: Some(description.to_owned()),
        required: false,
        deprecated: false,
        schema: MetaSchemaRef::Inline(Box::new(MetaSchema::new("string"))),
    }
}

pub(crate) fn answered(status: u16, description: &'static str, schema: Option<MetaSchemaRef>, headers: Vec<MetaHeader>) -> MetaResponse {
    let content = schema.map(|schema| MetaMediaType { content_type: JSON, schema }).into_iter().collect();
    MetaResponse { description, status: Some(status), status_range: None, content, headers }
}

fn json(status: StatusCode, body: String) -> Response {
    Response::builder().status(status).content_type(JSON).body(body)
}

pub(crate) fn replayed(reply: Reply) -> Response {
    let status = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::OK);
    let mut response = json(status, reply.body);
    if reply.replayed {
        response.headers_mut().insert(HeaderName::from_static("idempotency-replayed"), HeaderValue::from_static("true"));
    }
    response
}

pub(crate) const REPLAYED: (&str, &str) =
    ("Idempotency-Replayed", "`true`: this is the stored response to an earlier request with the same Idempotency-Key.");

/// 200 with the business transaction of a change.
pub(crate) struct Done(pub Reply);

impl IntoResponse for Done {
    fn into_response(self) -> Response {
        replayed(self.0)
    }
}

impl ApiResponse for Done {
    fn meta() -> MetaResponses {
        let headers = vec![documented(REPLAYED.0, REPLAYED.1)];
        let description = "Done: the business transaction with the changed entities and published events.";
        MetaResponses { responses: vec![answered(200, description, Some(BusinessTransaction::schema_ref()), headers)] }
    }

    fn register(registry: &mut Registry) {
        BusinessTransaction::register(registry);
    }
}

/// 202 with a body of schema `S`; processing continues asynchronously.
pub(crate) struct Accepted<S>(Reply, PhantomData<S>);

impl<S> Accepted<S> {
    /// The reply of an operation.
    pub fn of(reply: Reply) -> Self {
        Self(reply, PhantomData)
    }
}

impl<S: Type> IntoResponse for Accepted<S> {
    fn into_response(self) -> Response {
        replayed(self.0)
    }
}

impl<S: Type> ApiResponse for Accepted<S> {
    fn meta() -> MetaResponses {
        let headers = vec![documented(REPLAYED.0, REPLAYED.1)];
        MetaResponses { responses: vec![answered(202, "Accepted: processing continues asynchronously.", Some(S::schema_ref()), headers)] }
    }

    fn register(registry: &mut Registry) {
        S::register(registry);
    }
}

/// 201 with the business transaction and the location of the created entity.
pub(crate) struct Created {
    reply: Reply,
    location: Option<String>,
}

impl Created {
    /// `collection` is the path of the entity's collection.
    pub fn under(collection: &str, reply: Reply) -> Self {
        let location = reply.entity.as_ref().map(|id| format!("{collection}/{id}"));
        Self { reply, location }
    }

    /// `location` is the path of the entity.
    pub fn at(location: String, reply: Reply) -> Self {
        Self { reply, location: Some(location) }
    }
}

impl IntoResponse for Created {
    fn into_response(self) -> Response {
        let mut response = replayed(self.reply);
        if let Some(location) = self.location.and_then(|location| HeaderValue::from_str(&location).ok()) {
            response.headers_mut().insert(header::LOCATION, location);
        }
        response
    }
}

impl ApiResponse for Created {
    fn meta() -> MetaResponses {
        let headers = vec![documented("Location", "URL of the created entity."), documented(REPLAYED.0, REPLAYED.1)];
        let description = "Created: the business transaction with the entity and published events.";
        MetaResponses { responses: vec![answered(201, description, Some(BusinessTransaction::schema_ref()), headers)] }
    }

    fn register(registry: &mut Registry) {
        BusinessTransaction::register(registry);
    }
}

/// One entity with its `ETag`, documented as `S`.
pub(crate) struct Found<S> {
    body: Option<String>,
    etag: String,
    schema: PhantomData<fn() -> S>,
}

impl<S> Found<S> {
    /// `entity`, or 304 if the client already has this version.
    ///
    /// # Errors
    /// When serialization fails.
    pub fn of<T: Entity>(entity: &T, known: &IfNoneMatch) -> Result<Self, Problem> {
        let etag = format!("\"{}\"", entity.version());
        let body = if known.names(&etag) { None } else { Some(serde_json::to_string(entity).map_err(Problem::internal)?) };
        Ok(Self { body, etag, schema: PhantomData })
    }
}

impl<S> Found<S> {
    /// A value counted just now, with `state` as its `ETag`; 304 if the client already has that state.
    ///
    /// # Errors
    /// When serialization fails.
    pub fn counted(value: &impl Serialize, state: &str, known: &IfNoneMatch) -> Result<Self, Problem> {
        let etag = format!("\"{state}\"");
        let body = if known.names(&etag) { None } else { Some(serde_json::to_string(value).map_err(Problem::internal)?) };
        Ok(Self { body, etag, schema: PhantomData })
    }
}

impl<S: ToJSON> Found<S> {
    /// A value serialized by its documented type, at this version; 304 if the client already has it.
    pub fn shown(value: &S, version: i64, known: &IfNoneMatch) -> Self {
        let etag = format!("\"{version}\"");
        let body = if known.names(&etag) { None } else { Some(value.to_json_string()) };
        Self { body, etag, schema: PhantomData }
    }
}

impl<S: Type> IntoResponse for Found<S> {
    fn into_response(self) -> Response {
        let mut response = match self.body {
            Some(body) => json(StatusCode::OK, body),
            None => StatusCode::NOT_MODIFIED.into_response(),
        };
        if let Ok(etag) = HeaderValue::from_str(&self.etag) {
            response.headers_mut().insert(header::ETAG, etag);
        }
        response
    }
}

impl<S: Type> ApiResponse for Found<S> {
    fn meta() -> MetaResponses {
        let etag = || vec![documented("ETag", "The version, for If-Match and If-None-Match.")];
        let same = answered(304, "Not modified: the version is one listed in If-None-Match.", None, etag());
        MetaResponses { responses: vec![answered(200, "The current state.", Some(S::schema_ref()), etag()), same] }
    }

    fn register(registry: &mut Registry) {
        S::register(registry);
    }
}

/// A value without a version, serialized by its documented type.
pub(crate) struct Shown<S>(pub S);

impl<S: ToJSON> IntoResponse for Shown<S> {
    fn into_response(self) -> Response {
        json(StatusCode::OK, self.0.to_json().unwrap_or_default().to_string())
    }
}

impl<S: ToJSON> ApiResponse for Shown<S> {
    fn meta() -> MetaResponses {
        MetaResponses { responses: vec![answered(200, "The current state.", Some(S::schema_ref()), Vec::new())] }
    }

    fn register(registry: &mut Registry) {
        S::register(registry);
    }
}

/// A stored JSON record, returned byte for byte, documented as `S`.
pub(crate) struct Stored<S> {
    body: String,
    schema: PhantomData<fn() -> S>,
}

impl<S> Stored<S> {
    /// Wraps `body`.
    pub fn of(body: String) -> Self {
        Self { body, schema: PhantomData }
    }
}

impl<S: Type> IntoResponse for Stored<S> {
    fn into_response(self) -> Response {
        json(StatusCode::OK, self.body)
    }
}

impl<S: Type> ApiResponse for Stored<S> {
    fn meta() -> MetaResponses {
        MetaResponses { responses: vec![answered(200, "The stored record.", Some(S::schema_ref()), Vec::new())] }
    }

    fn register(registry: &mut Registry) {
        S::register(registry);
    }
}

/// A page of a list, its items documented as `S`.
pub(crate) struct Listed<S> {
    body: String,
    schema: PhantomData<fn() -> S>,
}

/// What a list takes besides its items.
const CURSOR_BYTES: usize = 256;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Items<'l, T> {
    items: &'l [T],
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

impl<S> Listed<S> {
    /// A page from the store.
    ///
    /// # Errors
    /// When serialization fails.
    pub fn page<T: Serialize>(context: &Context, page: &Page<T>) -> Result<Self, Problem> {
        let next_cursor = page.next.map(|after| context.cursor(after));
        let body = serde_json::to_string(&Items { items: &page.items, next_cursor }).map_err(Problem::internal)?;
        Ok(Self { body, schema: PhantomData })
    }

    /// The requested page of the objects that `filter` selects, oldest first.
    ///
    /// # Errors
    /// `bad_cursor`, or a database failure.
    pub async fn objects<T: Object>(context: &Context, filter: Filter) -> Result<Self, Problem> {
        Self::page(context, &context.app().list::<T>(context.tenant(), filter, context.page().await?).await?)
    }

    /// The requested page of configuration objects, oldest first.
    ///
    /// # Errors
    /// `bad_cursor`, or a database failure.
    pub async fn configurations<T: ConfigurationObject>(context: &Context) -> Result<Self, Problem> {
        Self::page(context, &context.app().list_configurations::<T>(context.tenant(), context.page().await?).await?)
    }

    /// A page of stored JSON, byte for byte.
    ///
    /// # Errors
    /// When a stored item is not JSON.
    pub fn stored(context: &Context, page: Page<String>) -> Result<Self, Problem> {
        let bytes = page.items.iter().map(|item| item.len() + 1).sum::<usize>();
        let items = page.items.into_iter().map(RawValue::from_string).collect::<Result<Vec<_>, _>>().map_err(Problem::internal)?;
        // Made large enough: a text that grows takes up to twice its length.
        let mut body = Vec::with_capacity(bytes + CURSOR_BYTES);
        let next_cursor = page.next.map(|after| context.cursor(after));
        serde_json::to_writer(&mut body, &Items { items: &items, next_cursor }).map_err(Problem::internal)?;
        Ok(Self { body: String::from_utf8(body).map_err(Problem::internal)?, schema: PhantomData })
    }

    /// An empty list.
    pub fn nothing() -> Self {
        Self { body: r#"{"items":[]}"#.to_owned(), schema: PhantomData }
    }
}

impl<S: ToJSON> Listed<S> {
    /// Items serialized by their documented type.
    pub fn shown(items: &[S], next_cursor: Option<String>) -> Self {
        let items: Vec<Value> = items.iter().filter_map(ToJSON::to_json).collect();
        let body = serde_json::to_string(&Items { items: &items, next_cursor }).unwrap_or_default();
        Self { body, schema: PhantomData }
    }
}

impl<S: Type> IntoResponse for Listed<S> {
    fn into_response(self) -> Response {
        json(StatusCode::OK, self.body)
    }
}

/// Schema of a list of `S`.
struct ListOf<S>(PhantomData<fn() -> S>);

impl<S: Type> ListOf<S> {
    fn name() -> Cow<'static, str> {
        format!("{}List", S::name()).into()
    }

    fn schema() -> MetaSchema {
        let items =
            MetaSchema { description: Some("The items of the page."), items: Some(Box::new(S::schema_ref())), ..MetaSchema::new("array") };
        let cursor =
            MetaSchema { description: Some("The `cursor` of the next page; absent on the last page."), ..MetaSchema::new("string") };
        MetaSchema {
            description: Some("A page of a list."),
            required: vec!["items"],
            properties: vec![("items", MetaSchemaRef::Inline(Box::new(items))), ("nextCursor", MetaSchemaRef::Inline(Box::new(cursor)))],
            ..MetaSchema::new("object")
        }
    }
}

impl<S: Type> ApiResponse for Listed<S> {
    fn meta() -> MetaResponses {
        let schema = MetaSchemaRef::Reference(ListOf::<S>::name().into_owned());
        MetaResponses { responses: vec![answered(200, "A page of the list.", Some(schema), Vec::new())] }
    }

    fn register(registry: &mut Registry) {
        S::register(registry);
        registry.create_schema::<ListOf<S>, _>(ListOf::<S>::name().into_owned(), |_| ListOf::<S>::schema());
    }
}
