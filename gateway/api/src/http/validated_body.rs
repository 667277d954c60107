//! The request body type: reads within limits, validates against the published schema, reports every violation, and only then parses.
//! poem-openapi's `Json` stops at the first violation, often cannot name the member, and silently coerces.

use billwire_schemas::refusal::Code;
use poem::{
    Request, RequestBody,
    error::ReadBodyError,
    http::{HeaderMap, header},
};
use poem_openapi::{
    ApiExtractor, ApiExtractorType, ExtractParamOptions,
    registry::{MetaMediaType, MetaRequest, Registry},
    types::{ParseFromJSON, Type},
};
use serde_json::Value;
use tokio::io::AsyncReadExt;

use crate::{
    http::{
        authorization::IDEMPOTENCY_KEY,
        canonical_json,
        options::Options,
        problem::{Problem, Violation},
        request_context::Context,
        strict_json,
        violations::{self, capped},
    },
    openapi::schema::body_schema_of,
};

/// An oversized body is received up to this multiple of the limit, so that its sender sees the refusal.
const LINGER: u64 = 4;

/// The media type of bodies.
const JSON: &str = "application/json";

/// A type of request body.
pub(crate) trait Validate: ParseFromJSON + 'static {
    /// Checks syntax rules that an OpenAPI 3.0 schema cannot express. Runs whatever else is wrong with the body.
    fn further(_: &Value, _: &mut Vec<Violation>) {}
}

/// An optional body.
impl<T: Validate> Validate for Option<T> {
    fn further(body: &Value, found: &mut Vec<Violation>) {
        T::further(body, found);
    }
}

/// A request body that conforms to its schema.
pub(crate) struct Validated<T> {
    /// The body, parsed.
    pub body: T,
    /// The body as [`canonical_json`]; only with an idempotency key.
    pub canonical: Option<String>,
}

impl<'a, T: Validate> ApiExtractor<'a> for Validated<T> {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::RequestObject];

    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        T::register(registry);
    }

    fn request_meta() -> Option<MetaRequest> {
        let content = vec![MetaMediaType { content_type: JSON, schema: T::schema_ref() }];
        Some(MetaRequest { description: None, content, required: T::IS_REQUIRED })
    }

    async fn from_request(request: &'a Request, body: &mut RequestBody, _: ExtractParamOptions<()>) -> poem::Result<Self> {
        let context = Context::of(request)?;
        let bytes = read(request.headers(), body, context.options()).await?;
        if bytes.is_empty() && !T::IS_REQUIRED {
            return Ok(Self { body: parse(None)?, canonical: None });
        }
        ensure_json(request.headers())?;
        ensure_identity(request.headers())?;
        let value = strict_json::read(&bytes)?;
        // What many generated clients send for an optional body that their caller leaves out.
        if value.is_null() && !T::IS_REQUIRED {
            return Ok(Self { body: parse(None)?, canonical: None });
        }
        let canonical = request.headers().contains_key(IDEMPOTENCY_KEY).then(|| canonical_json::of(&value));
        check::<T>(&value)?;
        Ok(Self { body: parse(Some(value))?, canonical })
    }
}

async fn read(headers: &HeaderMap, body: &mut RequestBody, options: &Options) -> Result<Vec<u8>, Problem> {
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    let Ok(body) = body.take() else { return Ok(Vec::new()) };
    if announced.is_some_and(|length| length > options.body_limit as u64) {
        // Most clients send the whole body before they read the response, and see none if the connection closes meanwhile. A body
        // that is not far too large is therefore received and discarded.
        let mut unwanted = body.into_async_read().take((options.body_limit as u64).saturating_mul(LINGER));
        let _ = tokio::time::timeout(options.body_timeout, tokio::io::copy(&mut unwanted, &mut tokio::io::sink())).await;
        return Err(Problem::unreadable(&ReadBodyError::PayloadTooLarge));
    }
    match tokio::time::timeout(options.body_timeout, body.into_bytes_limit(options.body_limit)).await {
        Ok(read) => read.map(Vec::from).map_err(|error| Problem::unreadable(&error)),
        Err(_) => Err(Problem::new(Code::RequestTimeout, "The body did not arrive before the timeout.")),
    }
}

fn ensure_json(headers: &HeaderMap) -> Result<(), Problem> {
    let media_type = headers.get(header::CONTENT_TYPE).and_then(|media_type| media_type.to_str().ok()).unwrap_or_default();
    let mut parts = media_type.split(';').map(str::trim);
    let essence = parts.next().unwrap_or_default();
    let charset = parts.filter_map(|part| part.split_once('=')).find(|(name, _)| name.trim_end().eq_ignore_ascii_case("charset"));
    let charset = charset.map_or("utf-8", |(_, value)| value.trim().trim_matches('"'));
    let utf8 = ["utf-8", "utf8"].iter().any(|name| charset.eq_ignore_ascii_case(name));
    if essence.eq_ignore_ascii_case(JSON) && utf8 {
        return Ok(());
    }
    let found = if media_type.is_empty() { "it is missing".to_owned() } else { format!("it is '{}'", capped(media_type)) };
    let detail = format!("The Content-Type must be {JSON}, in UTF-8; {found}.");
    Err(Problem::new(Code::UnsupportedMediaType, detail).with_header(header::ACCEPT, JSON))
}

/// Bodies are read as they are: without compression, so that no small request becomes a large body.
fn ensure_identity(headers: &HeaderMap) -> Result<(), Problem> {
    let values = headers.get_all(header::CONTENT_ENCODING).iter().map(|value| String::from_utf8_lossy(value.as_bytes()));
    let encodings = values.collect::<Vec<_>>().join(",");
    let unknown = encodings.split(',').map(str::trim).find(|coding| !matches!(coding.to_ascii_lowercase().as_str(), "" | "identity"));
    let Some(unknown) = unknown else { return Ok(()) };
    let detail = format!("The Content-Encoding must be identity; it is '{}'.", capped(unknown));
    Err(Problem::new(Code::UnsupportedMediaType, detail).with_header(header::ACCEPT_ENCODING, "identity"))
}

/// Validates `value` against the schema of `T` and its further rules.
///
/// # Errors
/// `schema_violation`, with every violation.
pub(crate) fn check<T: Validate>(value: &Value) -> Result<(), Problem> {
    let schema = body_schema_of::<T>()?;
    let value = schema.without_nulls(value);
    let mut found = Vec::new();
    if !schema.validator.is_valid(&value) {
        found = violations::of(schema.validator.iter_errors(&value));
    }
    T::further(&value, &mut found);
    match found.as_slice() {
        [] => return Ok(()),
        [one] => Err(one.message.clone()),
        many => Err(format!("The body has {} violations; see errors.", many.len())),
    }
    .map_err(|detail: String| Problem::new(Code::SchemaViolation, detail).with_errors(found))
}

/// Parses a validated body. An error here means a rule missing from the schema, so it is still reported as the client's.
fn parse<T: ParseFromJSON>(value: Option<Value>) -> Result<T, Problem> {
    T::parse_from_json(value).map_err(|error| {
        tracing::warn!(kind = %<T as Type>::name(), error = error.message(), "a body passed its schema but did not parse");
        let violation = Violation::at("", "invalid", "The body does not match the schema.");
        Problem::new(Code::SchemaViolation, violation.message.clone()).with_errors(vec![violation])
    })
}
