//! The one request body type: read within limits, held against the published schema, every violation named, and only then
//! parsed. poem-openapi's own `Json` stops at the first fault, often cannot name the member, and quietly coerces.

use std::time::Duration;

use poem::{Body, Request, RequestBody, http::header};
use poem_openapi::{
    ApiExtractor, ApiExtractorType, ExtractParamOptions,
    registry::{MetaMediaType, MetaRequest, Registry},
    types::ParseFromJSON,
};
use serde_json::Value;

use crate::{
    guard::Call,
    problem::{Problem, Violation},
    schema::validator_of,
    strict_json, violations,
};

/// A type a request body can have.
pub(crate) trait RequestBody_: ParseFromJSON + 'static {
    /// Rules of form that a schema of OpenAPI 3.0 cannot tell; asked whatever else is wrong.
    fn further(_: &Value, _: &mut Vec<Violation>) {}
}
