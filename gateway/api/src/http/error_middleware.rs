//! The outermost layer: refuses ambiguous requests, assigns request ids, turns errors and panics into problems, and sets the headers
//! that every response has.

use std::panic::AssertUnwindSafe;

use billwire_schemas::{ids::fresh, refusal::Code};
use futures::FutureExt;
use poem::{
    Endpoint, Request, Response,
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header},
};

use crate::{
    http::{access_log::Access, problem::Problem},
    openapi::operation_spec::OperationSpec,
};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Maximum length of a caller's request id.
const REQUEST_ID_MAX: usize = 128;

/// Headers that must not be repeated: a proxy might read one of them, and the gateway the other.
const SINGLE: [HeaderName; 3] = [header::AUTHORIZATION, header::CONTENT_TYPE, header::HOST];

/// Wraps the routes.
pub(crate) struct ErrorMiddleware<E> {
    /// The routed operations, for `Allow`.
    pub operations: &'static [OperationSpec],
    pub inner: E,
}

impl<E: Endpoint<Output = Response>> Endpoint for ErrorMiddleware<E> {
    type Output = Response;

    async fn call(&self, mut request: Request) -> poem::Result<Response> {
        let (id, text) = request_id(&request);
        let access = Access::begin(&mut request);
        let (method, uri) = (request.method().clone(), request.uri().clone());
        let outcome = match ensure_unambiguous(request.headers()) {
            Ok(()) => AssertUnwindSafe(self.inner.call(request)).catch_unwind().await,
            Err(problem) => Ok(Err(problem.into())),
        };
        let refused = match outcome {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) => Problem::from_error(error).map_or_else(|response| Ok(*response), Err),
            Err(_) => Err(Problem::internal("a handler panicked; the panic message is logged above")),
        };
        let response = refused.unwrap_or_else(|mut problem| {
            if problem.http_status() == StatusCode::METHOD_NOT_ALLOWED {
                problem = problem.with_header(header::ALLOW, &allowed(self.operations, uri.path()));
            }
            render(problem, &method, &uri, &text)
        });
        access.answered(response.status(), &text);
        Ok(with_common_headers(response, id))
    }
}

fn ensure_unambiguous(headers: &HeaderMap) -> Result<(), Problem> {
    match SINGLE.iter().find(|name| headers.get_all(*name).iter().nth(1).is_some()) {
        Some(name) => Err(Problem::new(Code::BadRequest, format!("The header '{name}' must occur once."))),
        None => Ok(()),
    }
}

/// Adds the headers that every response has. Responses contain customers' data, so that no cache may store one that does not say
/// otherwise.
fn with_common_headers(mut response: Response, id: HeaderValue) -> Response {
    let headers = response.headers_mut();
    headers.insert(REQUEST_ID, id);
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

/// The refusal of a request beyond capacity.
pub(crate) fn overloaded(request: &Request) -> Response {
    let (id, text) = request_id(request);
    let problem = Problem::later(Code::Overloaded, "Too many requests are in progress; nothing was changed. Retry after a moment.", None);
    with_common_headers(render(problem, request.method(), request.uri(), &text), id)
}

/// The caller's request id if it is safe to log, else a new one.
fn request_id(request: &Request) -> (HeaderValue, String) {
    let theirs = request.headers().get(REQUEST_ID).and_then(|id| Some((id, id.to_str().ok()?)));
    if let Some((id, text)) = theirs
        && (1..=REQUEST_ID_MAX).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_graphic())
    {
        return (id.clone(), text.to_owned());
    }
    let text = fresh().to_string();
    (HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static("none")), text)
}

fn render(mut problem: Problem, method: &Method, uri: &Uri, request_id: &str) -> Response {
    if let Some(cause) = problem.take_cause() {
        // The query may contain personal data; the path is enough to find the operation.
        if problem.http_status() == StatusCode::SERVICE_UNAVAILABLE {
            tracing::warn!(request.id = request_id, %method, path = uri.path(), cause, "request refused: dependency unavailable");
        } else {
            tracing::error!(request.id = request_id, %method, path = uri.path(), cause, "request failed");
        }
    }
    problem.render(request_id)
}

/// The methods a path supports. A path that is documented literally is not one of those with a parameter in its place.
fn allowed(operations: &[OperationSpec], path: &str) -> String {
    let routed: Vec<(Vec<bool>, &Method)> = operations.iter().filter_map(|operation| operation.matches(path)).collect();
    let closest = routed.iter().map(|(literal, _)| literal).max();
    let mut methods: Vec<&str> = routed.iter().filter(|(literal, _)| Some(literal) == closest).map(|(_, method)| method.as_str()).collect();
    if methods.is_empty() || methods.contains(&"GET") {
        methods.extend(["GET", "HEAD"]);
    }
    methods.sort_unstable();
    methods.dedup();
    methods.join(", ")
}

#[cfg(test)]
mod tests {
    use poem::{endpoint::make, error::NotFoundError, test::TestClient};

    use super::*;

    async fn answer(outcome: fn() -> poem::Result<Response>) -> (StatusCode, String) {
        let client = TestClient::new(ErrorMiddleware { operations: &[], inner: make(move |_| async move { outcome() }) });
        let mut response = client.get("/x").header("x-request-id", "r-1").send().await.0;
        assert_eq!(response.headers()[REQUEST_ID], "r-1");
        assert_eq!(response.headers()[header::CONTENT_TYPE], "application/problem+json");
        (response.status(), response.take_body().into_string().await.expect("text"))
    }

    #[tokio::test]
    async fn whatever_happens_a_problem_is_answered_and_nothing_of_ours_leaks() {
        let (status, text) = answer(|| panic!("secret")).await;
        assert_eq!((status.as_u16(), text.contains("internal_error"), text.contains("secret")), (500, true, false));
        let (status, text) = answer(|| Err(poem::Error::from_string("secret", StatusCode::BAD_GATEWAY))).await;
        assert_eq!((status.as_u16(), text.contains("internal_error"), text.contains("secret")), (500, true, false));
        let (status, text) = answer(|| Err(poem::Error::from_string("secret", StatusCode::IM_A_TEAPOT))).await;
        assert_eq!((status.as_u16(), text.contains("bad_request"), text.contains("secret")), (400, true, false));
        let (status, text) = answer(|| Err(NotFoundError.into())).await;
        assert_eq!((status.as_u16(), text.contains("\"requestId\":\"r-1\"")), (404, true));
    }
}
