//! The context of a handler: the authorized call that [`crate::http::authorization`] stored in the request.

use std::sync::{Arc, PoisonError};

use aws_lc_rs::digest;
use billwire_app::{
    App, Caller, Claim, ConfigurationObject, ConfigurationUseCase, DeleteConfiguration, Failure, Object, ObjectUseCase, Reply,
    RequestContext, UseCase, page,
};
use billwire_schemas::{ids::TenantId, refusal::Code};
use poem::{Request, RequestBody};
use poem_openapi::{
    ApiExtractor, ApiExtractorType, ExtractParamOptions,
    registry::{MetaParamIn, MetaSchema, MetaSchemaRef, MetaSecurityScheme, Registry},
    types::ParseFromParameter,
};
use serde_json::Value;
use uuid::Uuid;

use crate::{
    http::{authorization::Call, cursor, options::Options, problem::Problem, request_limits::RequestLimits},
    types::scalars::{Cursor, Limit, Reference},
};

/// Name of the security scheme in the document.
const SCHEME: &str = "bearer";

/// Default page size.
const LIMIT_DEFAULT: u32 = 50;

/// An authorized call.
#[derive(Clone)]
pub(crate) struct Context(pub Arc<Call>);

impl Context {
    /// The authorized call of a request.
    ///
    /// # Errors
    /// When the request was not authorized, which is a bug in this crate.
    pub fn of(request: &Request) -> Result<&Self, Problem> {
        request.data::<Self>().ok_or_else(|| Problem::internal("a handler ran without authorization"))
    }

    /// The limits of callers.
    pub fn limits(&self) -> &RequestLimits {
        &self.0.shared.limits
    }

    /// The use cases.
    pub fn app(&self) -> &App {
        &self.0.shared.app
    }

    /// The service's options.
    pub fn options(&self) -> &Options {
        &self.0.shared.options
    }

    /// The caller.
    pub fn caller(&self) -> &Caller {
        &self.0.caller
    }

    /// The caller's tenant.
    pub fn tenant(&self) -> &TenantId {
        &self.0.caller.tenant
    }

    /// The OpenAPI document, with an example of each resource.
    pub fn document(&self) -> &'static Value {
        self.0.shared.document
    }

    /// The version required by `If-Match`.
    pub fn if_match(&self) -> Option<i64> {
        self.0.if_match
    }

    /// The caller and idempotency claim of a changing operation. The claim's fingerprint covers operation, path and body; the body is
    /// [`crate::http::canonical_json`], so how its values are written does not matter.
    pub fn request(&self, canonical: Option<&str>) -> RequestContext {
        let claim = self.0.idempotency_key.clone().map(|key| {
            let mut hash = digest::Context::new(&digest::SHA256);
            // Each part is prefixed with its length, so that no two lists of parts hash alike.
            for part in [self.0.operation.operation.id].into_iter().chain(self.0.path.iter().map(String::as_str)).chain(canonical) {
                hash.update(&(part.len() as u64).to_be_bytes());
                hash.update(part.as_bytes());
            }
            Claim { key, fingerprint: hex(hash.finish().as_ref()) }
        });
        RequestContext { caller: self.0.caller.clone(), claim, trace: self.0.trace.clone() }
    }

    /// Runs a use case once for this request; `canonical` is its body in canonical JSON.
    ///
    /// # Errors
    /// The use case's refusal, or a database failure.
    pub async fn execute(&self, canonical: Option<&str>, use_case: impl UseCase) -> Result<Reply, Failure> {
        self.app().execute(self.request(canonical), use_case).await
    }

    /// Runs a use case once for this request on the object that `reference` names, if it has the version required by `If-Match`.
    ///
    /// # Errors
    /// The refusal for a missing object, `stale_version`, the use case's refusal, or a database failure.
    pub async fn execute_on(&self, reference: &Reference, canonical: Option<&str>, use_case: impl ObjectUseCase) -> Result<Reply, Failure> {
        self.app().execute_on(self.request(canonical), &reference.0, self.if_match(), use_case).await
    }

    /// Runs a use case once for this request on the configuration object with this id, if it has the version required by `If-Match`.
    ///
    /// # Errors
    /// The refusal for a missing object, `stale_version`, the use case's refusal, or a database failure.
    pub async fn execute_on_configuration(
        &self,
        id: &Reference,
        canonical: Option<&str>,
        use_case: impl ConfigurationUseCase,
    ) -> Result<Reply, Failure> {
        self.app().execute_on_configuration(self.request(canonical), &id.0, self.if_match(), use_case).await
    }

    /// Deletes the configuration object with this id, if it has the version required by `If-Match`.
    ///
    /// # Errors
    /// The refusal for a missing object or for one in use, `stale_version`, or a database failure.
    pub async fn delete<T: ConfigurationObject>(&self, id: Reference) -> Result<Reply, Failure> {
        self.execute(None, DeleteConfiguration::<T>::new(id.0, self.if_match())).await
    }

    /// The id of the object a list is filtered by; the nil id, which matches nothing, if that object does not exist.
    ///
    /// # Errors
    /// A database failure.
    pub async fn filtered<T: Object>(&self, reference: &Query<Reference>) -> Result<Option<Uuid>, Failure> {
        let Some(reference) = &reference.0 else { return Ok(None) };
        let found: Option<T> = self.app().find(self.tenant(), &reference.0).await?;
        Ok(Some(found.map_or(Uuid::nil(), |object| object.id())))
    }

    /// A query parameter, already validated by [`crate::http::authorization`].
    fn parameter<T: ParseFromParameter>(&self, name: &str) -> Result<Option<T>, Problem> {
        let Some((_, text)) = self.0.query.iter().find(|(known, _)| known == name) else { return Ok(None) };
        let parsed = T::parse_from_parameter(text).map(Some);
        parsed.map_err(|_| Problem::new(Code::InvalidParameter, format!("'{name}' is not valid.")))
    }

    /// The values of a query parameter that can be repeated, already validated by [`crate::http::authorization`].
    fn parameters<T: ParseFromParameter>(&self, name: &str) -> Result<Vec<T>, Problem> {
        let texts = self.0.query.iter().filter(|(known, _)| known == name).map(|(_, text)| text);
        let parsed = texts.map(|text| T::parse_from_parameter(text)).collect::<Result<_, _>>();
        parsed.map_err(|_| Problem::new(Code::InvalidParameter, format!("'{name}' is not valid.")))
    }

    /// The requested page of a list, with memory reserved for it.
    ///
    /// # Errors
    /// `bad_cursor`, or `busy` if there is no memory in time.
    pub async fn page(&self) -> Result<page::PageRequest, Problem> {
        let page_request = self.page_request()?;
        self.reserve_page().await?;
        Ok(page_request)
    }

    /// Waits for memory for the page of a list; the response keeps it until it is sent.
    ///
    /// # Errors
    /// `busy` if there is none in time.
    pub async fn reserve_page(&self) -> Result<(), Problem> {
        let reservation = self.0.shared.page_memory.reserve(self.tenant()).await?;
        *self.0.reservation.lock().unwrap_or_else(PoisonError::into_inner) = Some(reservation);
        Ok(())
    }

    /// The requested page of a list.
    ///
    /// # Errors
    /// `bad_cursor`.
    pub fn page_request(&self) -> Result<page::PageRequest, Problem> {
        let (limit, cursor): (Option<Limit>, Option<Cursor>) = (self.parameter("limit")?, self.parameter("cursor")?);
        let after = cursor.map(|cursor| cursor::read(&cursor.0, &self.list_identity())).transpose()?;
        Ok(page::PageRequest { limit: limit.map_or(LIMIT_DEFAULT, |limit| limit.0).into(), bytes: self.options().page_bytes as u64, after })
    }

    /// The cursor with which the list continues after `after`.
    pub fn cursor(&self, after: page::After) -> String {
        cursor::write(after, &self.list_identity())
    }

    /// Identifies the list a cursor belongs to: tenant, operation and filters.
    fn list_identity(&self) -> String {
        // These parameters do not affect which items the list has.
        let filters = self.0.query.iter().filter(|(name, _)| !["cursor", "limit", "waitSeconds"].contains(&name.as_str()));
        let mut filters: Vec<_> = filters.collect();
        filters.sort();
        format!("{} {} {filters:?}", self.tenant(), self.0.operation.operation.id)
    }
}

/// Bytes in hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

impl<'a> ApiExtractor<'a> for Context {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::SecurityScheme];

    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        let description = "An API key, or a token (JWT) of a registered identity provider, sent as `Authorization: Bearer <key or token>`. Create a key with `billwire keys create`.";
        registry.create_security_scheme(
            SCHEME,
            MetaSecurityScheme {
                ty: "http",
                description: Some(description),
                name: None,
                key_in: None,
                scheme: Some("bearer"),
                bearer_format: None,
                flows: None,
                openid_connect_url: None,
            },
        );
    }

    fn security_schemes() -> Vec<&'static str> {
        vec![SCHEME]
    }

    async fn from_request(request: &'a Request, _: &mut RequestBody, _: ExtractParamOptions<()>) -> poem::Result<Self> {
        Ok(Self::of(request)?.clone())
    }
}

/// An optional query parameter, already validated by [`crate::http::authorization`].
pub(crate) struct Query<T>(pub Option<T>);

impl<'a, T: ParseFromParameter> ApiExtractor<'a> for Query<T> {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::Parameter];

    type ParamType = T;
    type ParamRawType = T::RawValueType;

    fn register(registry: &mut Registry) {
        T::register(registry);
    }

    fn param_in() -> Option<MetaParamIn> {
        Some(MetaParamIn::Query)
    }

    fn param_schema_ref() -> Option<MetaSchemaRef> {
        Some(T::schema_ref())
    }

    async fn from_request(request: &'a Request, _: &mut RequestBody, options: ExtractParamOptions<T>) -> poem::Result<Self> {
        Ok(Self(Context::of(request)?.parameter(options.name)?))
    }
}

/// How often a query parameter can be repeated.
const REPEATED_MAX: usize = 10;

/// A query parameter that can be repeated, already validated by [`crate::http::authorization`].
pub(crate) struct QueryAll<T>(pub Vec<T>);

impl<'a, T: ParseFromParameter> ApiExtractor<'a> for QueryAll<T> {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::Parameter];

    type ParamType = T;
    type ParamRawType = T::RawValueType;

    fn register(registry: &mut Registry) {
        T::register(registry);
    }

    fn param_in() -> Option<MetaParamIn> {
        Some(MetaParamIn::Query)
    }

    fn param_schema_ref() -> Option<MetaSchemaRef> {
        let schema = MetaSchema { items: Some(Box::new(T::schema_ref())), max_items: Some(REPEATED_MAX), ..MetaSchema::new("array") };
        Some(MetaSchemaRef::Inline(Box::new(schema)))
    }

    async fn from_request(request: &'a Request, _: &mut RequestBody, options: ExtractParamOptions<T>) -> poem::Result<Self> {
        Ok(Self(Context::of(request)?.parameters(options.name)?))
    }
}
