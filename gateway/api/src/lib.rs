//! HTTP: from a request to a use case and back, and the document that tells of it.
//!
//! Called by `server`, which owns the listener. It never sees SQL or NATS and decides no rule of billing; it authenticates,
//! holds requests against the published schema, calls one use case of `app` and writes what comes back. It exists so that
//! everything a caller can rely on (addresses, shapes, codes) is in one crate, and is documented from the code that does it.
//!
//! A request's way: [`edge`] (request id, errors to problems) → route → [`guard`] (who, scope, path and query) →
//! [`checked`] (body) → the handler of its noun → `app`. To add an operation: a handler in its noun's file, an entry in
//! [`OPERATIONS`], its refusals in [`CODES`], `UPDATE=1 cargo test -p billwire-api` for the document; the tests say what is missing.

mod accounts;
mod answers;
mod bill_cycles;
mod checked;
mod codes;
mod context;
mod cursor;
mod described;
mod document;
mod edge;
mod fields;
mod guard;
mod operations;
mod problem;
mod schema;
mod site;
mod strict_json;
mod transaction;
mod violations;

use std::{collections::HashMap, sync::Arc, time::Duration};

use billwire_app::App;
use poem::{Endpoint, EndpointExt, Response, Route, RouteMethod, endpoint::BoxEndpoint, http::Method};
use poem_openapi::{OpenApi, Tags};
use serde_json::Value;

pub use codes::{CODES, Code};
pub use operations::{Makes, OPERATIONS, Operation, Takes};

use described::Described;
use guard::{Guard, Shared};

/// How the service behaves.
#[derive(Debug, Clone)]
pub struct Options {
    /// Longest request body, in bytes. Default 1 MiB.
    pub body_limit: usize,
    /// How long a body may take to arrive. Default 30 s.
    pub body_timeout: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self { body_limit: 1024 * 1024, body_timeout: Duration::from_secs(30) }
    }
}

/// The nouns operations are grouped by.
#[derive(Tags)]
pub(crate) enum Tag {
    /// Who is billed, their status, and in which bill cycle.
    Accounts,
    /// The rhythms accounts are billed in.
    #[oai(rename = "Bill cycles")]
    BillCycles,
}

/// Every noun's operations.
pub(crate) type Operations = (accounts::Accounts, bill_cycles::BillCycles);

pub(crate) const ALL: Operations = (accounts::Accounts, bill_cycles::BillCycles);

/// The whole HTTP service: `/v1`, the documents, `/docs`, `/schemas`, `/livez` and `/readyz`.
pub fn service(app: App, options: Options) -> BoxEndpoint<'static, Response> {
    let shared = Arc::new(Shared { app, options });
    let mut table: HashMap<String, HashMap<Method, BoxEndpoint<'static>>> = HashMap::new();
    ALL.add_routes(&mut table);
    let mut route = site::add(Route::new(), &shared);
    for (path, methods) in table {
        let guarded = methods.into_iter().fold(RouteMethod::new(), |route, (method, inner)| {
            let operation = Described::find(&method, &path);
            route.method(method, Guard { shared: shared.clone(), operation, inner })
        });
        route = route.at(path, guarded);
    }
    edge::Edge(route).boxed()
}

/// The document for generators: OpenAPI 3.0.3.
pub fn openapi() -> Value {
    document::openapi()
}

/// The same as OpenAPI 3.1.0, with the outgoing webhooks.
pub fn openapi_31() -> Value {
    document::openapi_31()
}
