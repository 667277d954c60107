//! Maps every error to a problem response (RFC 9457). Public text comes from here and from the domain's refusals. The cause of an
//! internal failure goes to the log only, once, in [`crate::http::error_middleware`].

use std::fmt;

use billwire_schemas::refusal::Code;

use billwire_app::{Failure, StoreError, domain::Rejected};
use poem::{
    Response,
    error::{MethodNotAllowedError, NotFoundError, ReadBodyError, ResponseError},
    http::{HeaderName, HeaderValue, StatusCode, header},
};
use poem_openapi::{
    ApiResponse, Object,
    registry::{MetaResponses, Registry},
    types::Example,
};
use serde::Serialize;
use serde_json::Value;

/// A violation in a request, with its location.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Violation {
    /// JSON pointer into the body.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pointer: Option<String>,
    /// Name of the path or query parameter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parameter: Option<String>,
    /// Stable code of the rule.
    pub code: &'static str,
    /// What is wrong, and what would be valid.
    pub message: String,
}

impl Violation {
    /// A violation at `pointer` in the body.
    pub fn at(pointer: impl Into<String>, code: &'static str, message: impl Into<String>) -> Self {
        Self { pointer: Some(pointer.into()), parameter: None, code, message: message.into() }
    }
}

/// A refusal or failure to report to the client.
#[derive(Debug)]
pub(crate) struct Problem(Box<Parts>);

#[derive(Debug)]
struct Parts {
    code: Code,
    detail: String,
    errors: Vec<Violation>,
    headers: Vec<(HeaderName, HeaderValue)>,
    cause: Option<String>,
    /// The states of the process's parts, for `/readyz`.
    parts: Option<Value>,
}

impl Problem {
    /// A problem with this code.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self(Box::new(Parts { code, detail: detail.into(), errors: Vec::new(), headers: Vec::new(), cause: None, parts: None }))
    }

    /// An internal failure. The client gets the request id; the log gets the cause.
    pub fn internal(cause: impl fmt::Display) -> Self {
        let mut problem = Self::new(Code::InternalError, "An internal error occurred. The log has its cause under the request id.");
        problem.0.cause = Some(cause.to_string());
        problem
    }

    /// Sets the violations.
    pub fn with_errors(mut self, errors: Vec<Violation>) -> Self {
        self.0.errors = errors;
        self
    }

    /// Adds a header.
    pub fn with_header(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.0.headers.push((name, value));
        }
        self
    }

    /// Adds the states of the process's parts.
    pub fn with_parts(mut self, parts: Value) -> Self {
        self.0.parts = Some(parts);
        self
    }

    /// A temporary refusal with `Retry-After`; nothing was changed.
    pub(crate) fn later(code: Code, detail: &str, cause: Option<String>) -> Self {
        let mut problem = Self::new(code, detail).with_header(header::RETRY_AFTER, "1");
        problem.0.cause = cause;
        problem
    }

    /// Converts any framework error. `Err` is a finished response to pass through.
    pub fn from_error(error: poem::Error) -> Result<Self, Box<Response>> {
        let error = match error.downcast::<Self>() {
            Ok(problem) => return Ok(problem),
            Err(error) => error,
        };
        if error.is_from_response() {
            return Err(Box::new(error.into_response()));
        }
        if error.is::<NotFoundError>() {
            return Ok(Self::new(Code::RouteNotFound, "No resource has this path."));
        }
        if error.is::<MethodNotAllowedError>() {
            return Ok(Self::new(Code::MethodNotAllowed, "The path does not support this method; the Allow header lists those it does."));
        }
        if let Some(unreadable) = error.downcast_ref::<ReadBodyError>() {
            return Ok(Self::unreadable(unreadable));
        }
        if error.status().is_client_error() {
            return Ok(Self::new(Code::BadRequest, "The request is malformed."));
        }
        Ok(Self::internal(error))
    }

    /// The problem for an unreadable body.
    pub fn unreadable(error: &ReadBodyError) -> Self {
        match error {
            ReadBodyError::PayloadTooLarge => Self::new(Code::BodyTooLarge, "The body exceeds this server's size limit."),
            _ => Self::new(Code::MalformedJson, "The body ended early or is unreadable."),
        }
    }

    /// Takes the cause, for the log.
    pub fn take_cause(&mut self) -> Option<String> {
        self.0.cause.take()
    }

    /// The code.
    pub fn code(&self) -> Code {
        self.0.code
    }

    /// The HTTP status.
    pub fn http_status(&self) -> StatusCode {
        StatusCode::from_u16(self.0.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// The response.
    pub fn render(self, request_id: &str) -> Response {
        let status = self.http_status();
        let Parts { code, detail, errors, headers, parts, .. } = *self.0;
        let (kind, title) = (format!("urn:billwire:problem:{code}"), code.title());
        let body = Rendered { kind, title, status: code.status(), code, detail, errors, request_id, parts };
        let text = serde_json::to_string(&body).unwrap_or_default();
        let mut response = Response::builder().status(status).content_type(CONTENT_TYPE).body(text);
        response.headers_mut().extend(headers);
        response
    }
}

/// Media type of every problem.
pub(crate) const CONTENT_TYPE: &str = "application/problem+json";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Rendered<'a> {
    #[serde(rename = "type")]
    kind: String,
    title: &'a str,
    status: u16,
    code: Code,
    detail: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<Violation>,
    request_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    parts: Option<Value>,
}

impl From<Rejected> for Problem {
    fn from(rejected: Rejected) -> Self {
        let mut problem = Self::new(rejected.code, rejected.message);
        let broken = rejected.violations.into_iter();
        problem.0.errors = broken.map(|broken| Violation::at(broken.pointer, broken.code.as_str(), broken.message)).collect();
        problem
    }
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Rejected(rejected) => rejected.into(),
            Failure::Overloaded => {
                Self::later(Code::Overloaded, "Too many operations are queued; nothing was changed. Retry after a moment.", None)
            }
            Failure::Outdated => {
                let detail =
                    "The configuration, or the external id of the object, changes all the time; nothing was changed. Retry after a moment.";
                Self::later(Code::Busy, detail, None)
            }
            Failure::Store(error) => match &*error {
                StoreError::Unavailable(_) | StoreError::Contention(_) => {
                    let detail = "A dependency is unavailable; nothing was changed. Retry after a moment.";
                    Self::later(Code::Unavailable, detail, Some(error.to_string()))
                }
                StoreError::Busy(_) => {
                    let detail = "A lock was not free in time, or a deadline passed; nothing was changed. Retry after a moment.";
                    Self::later(Code::Busy, detail, Some(error.to_string()))
                }
                StoreError::Damaged(_) => {
                    let detail = "The database is damaged; nothing was changed. An operator must restore a backup.";
                    Self::later(Code::Unavailable, detail, Some(error.to_string()))
                }
                StoreError::Unknown(_) => {
                    let detail = "The database failed while it committed; the change may have been made or not. A repeat with the same \
                                  Idempotency-Key settles it.";
                    Self::later(Code::Unavailable, detail, Some(error.to_string()))
                }
                StoreError::Restored => {
                    let detail = "The database was restored to an older moment; nothing was changed. An operator must recover it.";
                    Self::later(Code::RestoredDatabase, detail, Some(error.to_string()))
                }
                StoreError::StorageFull(_) => {
                    let detail = "The storage is full, or nearly so; nothing was changed. Retry when space is available.";
                    Self::later(Code::StorageFull, detail, Some(error.to_string()))
                }
                _ => Self::internal(error),
            },
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.code, self.0.detail)
    }
}

impl std::error::Error for Problem {}

impl ResponseError for Problem {
    fn status(&self) -> StatusCode {
        self.http_status()
    }
}

/// Handlers may return problems; [`crate::Operation::codes`] documents which ones.
impl ApiResponse for Problem {
    fn meta() -> MetaResponses {
        MetaResponses { responses: Vec::new() }
    }

    fn register(_: &mut Registry) {}
}

/// Why a request failed (RFC 9457). The meaning of a `code` never changes; `errors` lists every violation found.
#[derive(Debug, Object)]
#[oai(rename = "Problem", rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub(crate) struct ProblemView {
    /// `urn:billwire:problem:<code>`.
    #[oai(rename = "type")]
    kind: String,
    /// Short description of the kind of problem.
    title: String,
    /// The HTTP status.
    status: u16,
    /// Stable machine-readable code. More values may be added; handle an unknown one by its status.
    code: String,
    /// Explanation of this occurrence.
    detail: String,
    /// Every violation found, if the request's content is the problem.
    errors: Option<Vec<ViolationView>>,
    /// The response's X-Request-Id; quote it in support requests.
    request_id: String,
}

/// A violation in a request, with its location.
#[derive(Debug, Object)]
#[oai(rename = "Violation", rename_all = "camelCase", skip_serializing_if_is_none)]
pub(crate) struct ViolationView {
    /// JSON pointer (RFC 6901) into the body; empty for the whole body.
    pointer: Option<String>,
    /// Name of the path or query parameter.
    parameter: Option<String>,
    /// Stable code of the broken rule.
    code: String,
    /// What is wrong, and what would be valid.
    message: String,
}

impl Example for ProblemView {
    fn example() -> Self {
        Self {
            kind: "urn:billwire:problem:schema_violation".into(),
            title: "The body does not fit the schema".into(),
            status: 400,
            code: Code::SchemaViolation.as_str().into(),
            detail: "'/name' is required.".into(),
            errors: Some(vec![ViolationView {
                pointer: Some("/name".into()),
                parameter: None,
                code: "missing".into(),
                message: "'/name' is required.".into(),
            }]),
            request_id: "0198c0de-0000-7000-8000-00000000000f".into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_that_is_away_asks_to_come_again_and_a_broken_one_says_nothing() {
        let told = |failure: Failure| {
            let response = Problem::from(failure).render("r");
            let again = response.headers().get(header::RETRY_AFTER).map(|value| value.as_bytes() == b"1");
            (response.status().as_u16(), again)
        };
        assert_eq!(told(Failure::Overloaded), (503, Some(true)));
        assert_eq!(told(StoreError::Unavailable("x".into()).into()), (503, Some(true)));
        assert_eq!(told(StoreError::Contention("x".into()).into()), (503, Some(true)));
        assert_eq!(told(StoreError::StorageFull("x".into()).into()), (503, Some(true)));
        assert_eq!(Problem::from(Failure::from(StoreError::StorageFull("x".into()))).0.code, "storage_full");
        assert_eq!(told(StoreError::Busy("x".into()).into()), (503, Some(true)));
        assert_eq!(Problem::from(Failure::from(StoreError::Busy("x".into()))).0.code, "busy");
        assert_eq!(told(StoreError::Restored.into()), (503, Some(true)));
        assert_eq!(Problem::from(Failure::from(StoreError::Restored)).0.code, "restored_database");
        assert_eq!(told(StoreError::Unknown("x".into()).into()), (503, Some(true)));
        assert_eq!(told(StoreError::Other("x".into()).into()), (500, None));
        let mut broken = Problem::from(Failure::from(StoreError::Corrupt { table: "account", detail: "pgpass".into() }));
        assert!(broken.take_cause().is_some_and(|cause| cause.contains("pgpass")));
        assert!(!format!("{broken}").contains("pgpass"));
    }
}
