//! Authorization of each operation: authenticates the caller, checks the scope, and validates path and query. It is part of the route
//! table, so no handler can omit it, and it runs before the body is read.

use std::{
    net::{IpAddr, SocketAddr},
    sync::{Arc, LazyLock, Mutex, PoisonError},
};

use billwire_schemas::{
    refusal::Code,
    trace::{TRACEPARENT, TraceParent},
};

use billwire_app::{App, Caller, Refused, Stranger, within};
use poem::{
    Endpoint, Request, Response,
    endpoint::BoxEndpoint,
    http::{HeaderMap, StatusCode, header},
};

use serde_json::Value;

use crate::{
    http::{
        access_log::Learned,
        options::Options,
        page_memory::{PageMemory, Reservation},
        problem::Problem,
        request_context::Context,
        request_limits::{Left, RequestLimits},
    },
    openapi::operation_spec::OperationSpec,
};

/// Header name of the idempotency key.
pub(crate) const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// Maximum length of an idempotency key, in characters.
pub(crate) const KEY_CHARS_MAX: usize = 255;

/// When to retry after the keys of an issuer could not be read, in seconds: when it is asked again.
const ISSUER_RETRY: &str = "5";

/// State shared by all requests.
pub(crate) struct Shared {
    pub app: App,
    pub options: Options,
    pub page_memory: PageMemory,
    pub limits: RequestLimits,
    /// The OpenAPI document, from which handlers take examples.
    pub document: &'static LazyLock<Value>,
}

/// An admitted request.
pub(crate) struct Call {
    pub shared: Arc<Shared>,
    pub caller: Caller,
    pub operation: &'static OperationSpec,
    pub path: Vec<String>,
    pub query: Vec<(String, String)>,
    pub idempotency_key: Option<String>,
    pub if_match: Option<i64>,
    pub trace: Option<TraceParent>,
    /// The memory for the page of a list, until its response is made.
    pub reservation: Mutex<Option<Reservation>>,
}

impl Shared {
    pub fn new(app: App, options: Options, document: &'static LazyLock<Value>) -> Arc<Self> {
        let page_memory = PageMemory::new(options.page_bytes, options.pages_bytes, options.pages_wait);
        let limits = RequestLimits::new(&options);
        Arc::new(Self { app, options, page_memory, limits, document })
    }
}

/// An operation behind authorization. Without an entry in the registry, every request is refused with 403.
pub(crate) struct Authorization {
    pub shared: Arc<Shared>,
    pub operation: Option<&'static OperationSpec>,
    pub inner: BoxEndpoint<'static>,
}

impl Endpoint for Authorization {
    type Output = Response;

    async fn call(&self, mut request: Request) -> poem::Result<Response> {
        let (call, left) = self.admit(&request).await?;
        let call = Arc::new(call);
        request.set_data(Context(call.clone()));
        let work = within(call.caller.tenant.clone(), self.inner.call(request));
        let mut response = match work.await {
            Ok(response) => response,
            Err(error) => {
                self.note(&call.caller, &error);
                return Err(left.told_by(error));
            }
        };
        left.told_in(&mut response);
        let reservation = call.reservation.lock().unwrap_or_else(PoisonError::into_inner).take();
        match reservation {
            Some(reservation) => Ok(reservation.sent_with(response).await?),
            None => Ok(response),
        }
    }
}

impl Authorization {
    /// Notes in the audit that an operation was not allowed to this caller.
    fn note(&self, caller: &Caller, error: &poem::Error) {
        if let Some(problem) = error.downcast_ref::<Problem>() {
            self.note_problem(caller, problem);
        }
    }

    fn note_problem(&self, caller: &Caller, problem: &Problem) {
        if problem.http_status() == StatusCode::FORBIDDEN {
            self.shared.app.note_refusal(
                Some((caller.tenant.clone(), caller.by())),
                self.operation.map(|spec| spec.operation.id),
                problem.code(),
            );
        }
    }

    async fn admit(&self, request: &Request) -> Result<(Call, Left), Problem> {
        if let Some(spec) = self.operation {
            Learned::operation(request, spec.operation.id);
        }
        let token = bearer(request.headers())?;
        let from = request.remote_addr().as_socket_addr().map(SocketAddr::ip);
        let admitted = match self.shared.app.authenticate(token, from).await? {
            Ok(admitted) => admitted,
            Err(Refused { why, whose }) => {
                let problem = refused(why, from);
                self.shared.app.note_refusal(whose, self.operation.map(|spec| spec.operation.id), problem.code());
                if why.is_wrong() {
                    self.shared.limits.wrong_credentials_from(from)?;
                }
                return Err(problem);
            }
        };
        Learned::actor(request, admitted.caller.distinct());
        let left = match self.shared.limits.admit(&admitted) {
            Ok(left) => left,
            Err(problem) => {
                self.shared.limits.hold_back().await;
                return Err(problem);
            }
        };
        match self.check(admitted.caller, request) {
            Ok(call) => Ok((call, left)),
            Err(problem) => Err(left.told_with(problem)),
        }
    }

    /// Checks what a known caller asks for.
    fn check(&self, caller: Caller, request: &Request) -> Result<Call, Problem> {
        let Some(operation) = self.operation else {
            return Err(Problem::new(Code::InsufficientScope, "No key may call this operation."));
        };
        ensure_scope(&caller, operation.operation.scope).inspect_err(|problem| self.note_problem(&caller, problem))?;
        let (path, query) = operation.check(request)?;
        let takes = operation.operation.takes;
        let idempotency_key = if takes.idempotency_key { idempotency_key(request.headers())? } else { None };
        let if_match = if takes.if_match { if_match(request.headers())? } else { None };
        // One that is not valid is none (W3C Trace Context, section 3.2).
        let trace = single(request.headers(), TRACEPARENT).ok().flatten().and_then(TraceParent::parse);
        let reservation = Mutex::default();
        let shared = self.shared.clone();
        Ok(Call { shared, caller, operation, path, query, idempotency_key, if_match, trace, reservation })
    }
}

/// Refuses a caller without this scope.
pub(crate) fn ensure_scope(caller: &Caller, scope: &str) -> Result<(), Problem> {
    if caller.may(scope) {
        return Ok(());
    }
    let challenge = format!(r#"Bearer realm="billwire", error="insufficient_scope", scope="{scope}""#);
    let detail = format!("The caller does not have the required scope '{scope}'.");
    Err(Problem::new(Code::InsufficientScope, detail).with_header(header::WWW_AUTHENTICATE, &challenge))
}

fn refused(stranger: Stranger, from: Option<IpAddr>) -> Problem {
    match stranger {
        Stranger::Unknown => {
            let detail = "The API key is unknown, revoked or expired.";
            unauthenticated(detail, r#"Bearer realm="billwire", error="invalid_token""#)
        }
        Stranger::Suspended => {
            Problem::new(Code::TenantSuspended, "The tenant of these credentials is suspended; the operator can resume it.")
        }
        Stranger::BadToken(fault) => {
            // RFC 6750 section 3.1: expired, malformed, or invalid for other reasons.
            let detail = fault.text();
            unauthenticated(detail, &format!(r#"Bearer realm="billwire", error="invalid_token", error_description="{detail}""#))
        }
        Stranger::NoRole => {
            // The token is valid, so it is not `invalid_token`: a fresh one would change nothing.
            let detail = "The token is valid, but none of its claims gives a role; updateIdentityProvider maps values to roles.";
            let challenge = r#"Bearer realm="billwire", error="insufficient_scope""#;
            Problem::new(Code::NoRole, detail).with_header(header::WWW_AUTHENTICATE, challenge)
        }
        Stranger::IssuerAway => {
            let detail = "The keys of the token's issuer cannot be read; retry after a moment. The log has the reason.";
            Problem::new(Code::IdentityProviderUnavailable, detail).with_header(header::RETRY_AFTER, ISSUER_RETRY)
        }
        Stranger::WrongNetwork => {
            let from = from.map_or_else(|| "an address that is not known".to_owned(), |address| address.to_string());
            Problem::new(Code::NetworkNotAllowed, format!("The API key may not be used from {from}, only from its allowed networks."))
        }
    }
}

fn unauthenticated(detail: &str, challenge: &str) -> Problem {
    Problem::new(Code::Unauthenticated, detail).with_header(header::WWW_AUTHENTICATE, challenge)
}

fn bearer(headers: &HeaderMap) -> Result<&str, Problem> {
    let credentials = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token = credentials.and_then(|text| {
        let (scheme, token) = text.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then_some(token.trim()).filter(|token| !token.is_empty())
    });
    token.ok_or_else(|| unauthenticated("Send 'Authorization: Bearer <API key or token>'.", r#"Bearer realm="billwire""#))
}

/// The value of a header that may occur once; `None` if absent.
fn single<'h>(headers: &'h HeaderMap, name: &str) -> Result<Option<&'h str>, ()> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(());
    }
    value.to_str().map(|text| Some(text.trim())).map_err(|_| ())
}

/// Parses plain text or a structured-field string (RFC 9651); both forms mean the same key.
fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let refused = || {
        let detail = format!("Idempotency-Key must occur once, with 1 to {KEY_CHARS_MAX} visible ASCII characters.");
        Problem::new(Code::BadIdempotencyKey, detail)
    };
    let Some(text) = single(headers, IDEMPOTENCY_KEY).map_err(|()| refused())? else { return Ok(None) };
    let key = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text);
    let fits = (1..=KEY_CHARS_MAX).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic());
    if fits { Ok(Some(key.to_owned())) } else { Err(refused()) }
}

/// Most digits of a version.
pub(crate) const VERSION_DIGITS_MAX: usize = 18;

/// The required version: `"3"`, or `3` from clients that omit the quotes. `*` matches any version. Version 0 means settings that
/// were never set.
fn if_match(headers: &HeaderMap) -> Result<Option<i64>, Problem> {
    let refused = || Problem::new(Code::BadIfMatch, "If-Match must be one strong ETag from a response, such as \"3\", or *.");
    let Some(text) = single(headers, "if-match").map_err(|()| refused())? else { return Ok(None) };
    if text == "*" {
        return Ok(None);
    }
    let digits = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text);
    match digits.parse::<i64>() {
        Ok(version) if digits.len() <= VERSION_DIGITS_MAX && digits.bytes().all(|byte| byte.is_ascii_digit()) => Ok(Some(version)),
        _ => Err(refused()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_operation_without_an_entry_in_the_table_is_shut() {
        use billwire_schemas::{clock::ShiftedClock, ids::fresh};
        use billwire_store::{Options as StoreOptions, Store, secrets::Sealer};

        let folder = std::env::temp_dir().join(format!("billwire-guard-{}", fresh()));
        let master = Sealer::fresh_master_key().expect("a key");
        let url = format!("sqlite://{}", folder.join("billwire.db").display());
        let store = Store::open(StoreOptions::new(url), Sealer::new([master.as_str()]).expect("a sealer")).await.expect("a store");
        let app = App::new(store, Arc::new(ShiftedClock::default()), false);
        app.set_admin_key("k").await.expect("a key");
        static NO_DOCUMENT: LazyLock<Value> = LazyLock::new(Value::default);
        let inner = poem::endpoint::make(|_| async { Ok::<_, poem::Error>(()) });
        let shared = Shared::new(app, Options::default(), &NO_DOCUMENT);
        let shut = Authorization { shared, operation: None, inner: poem::EndpointExt::boxed(poem::EndpointExt::map_to_response(inner)) };
        let request = Request::builder().header("authorization", "Bearer k").finish();
        let refused = shut.call(request).await.err().map(|error| error.to_string()).unwrap_or_default();
        assert!(refused.starts_with("insufficient_scope"), "{refused}");
        let _ = std::fs::remove_dir_all(folder);
    }

    fn with(name: &'static str, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name.parse().expect("a name"), value.parse().expect("a value"))])
    }

    #[test]
    fn an_idempotency_key_is_the_same_with_and_without_quotes() {
        let key = |value: &str| idempotency_key(&with(IDEMPOTENCY_KEY, value)).ok().flatten();
        assert_eq!(key("k-1"), Some("k-1".to_owned()));
        assert_eq!(key("\"k-1\""), Some("k-1".to_owned()));
        for bad in ["", "\"\"", "a b", &"x".repeat(256)] {
            assert_eq!(key(bad), None, "{bad}");
        }
    }

    #[test]
    fn only_one_strong_etag_is_an_if_match() {
        let version = |value: &str| if_match(&with("if-match", value)).map_err(|problem| problem.to_string()).ok();
        assert_eq!([version("\"3\""), version("3"), version("*")], [Some(Some(3)), Some(Some(3)), Some(None)]);
        for bad in ["W/\"3\"", "\"3\", \"4\"", "\"\"", "-1", "+1", "three"] {
            assert_eq!(version(bad), None, "{bad}");
        }
    }
}
