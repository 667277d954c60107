//! The HTTP API: maps requests to use cases, and publishes the OpenAPI document that describes it.
//!
//! Called by `server`, which owns the listener. This crate never sees SQL or NATS and decides no billing rule: it authenticates,
//! validates requests against the published schema, calls one use case of `app` and writes the result. It exists so that
//! everything a caller relies on (paths, schemas, codes) is in one crate and is documented from the code that implements it.
//!
//! Request flow: [`http::error_middleware`] (request id, errors to problems) → route → [`http::authorization`] (caller, scope, path and
//! query) → [`http::validated_body`] → the resource's handler → `app`. Resources have the same groups as in `app`, `domain` and `store`.
//! To add an operation: write a handler in the resource's file, add an entry to the `OPERATIONS` beside it, add its refusals to
//! [`billwire_schemas::refusal`], and run `UPDATE=1 cargo test -p billwire-api` for the document. Tests name what is missing.

mod access;
mod billing;
mod customers;
mod delivery;
mod email;
mod events;
mod http;
mod openapi;
mod registry;
mod types;
mod usage;

use std::{collections::HashMap, sync::LazyLock};

use billwire_app::App;
use poem::{EndpointExt, Request, Response, Route, RouteMethod, endpoint::BoxEndpoint, http::Method};
use poem_openapi::OpenApi;
use serde_json::Value;

pub use http::{
    options::Options,
    request_limits::{AddressLimits, share_of},
};
pub use openapi::{
    asyncapi::asyncapi,
    document::{openapi, openapi_31},
    operation::{Makes, Operation, Takes},
    sign_in::SignIn,
    states::event_schema,
    whole_transactions::business_transaction_schema,
};
pub use registry::operations;

use http::{
    authorization::{Authorization, Shared},
    error_middleware::{self, ErrorMiddleware},
};

/// The document, generated on first use.
static DOCUMENT: LazyLock<Value> = LazyLock::new(openapi);

/// The whole HTTP service: `/v1`, the documents, `/docs`, `/schemas`, `/livez` and `/readyz`.
pub fn service(app: App, options: Options) -> BoxEndpoint<'static, Response> {
    let shared = Shared::new(app, options, &DOCUMENT);
    let mut table: HashMap<String, HashMap<Method, BoxEndpoint<'static>>> = HashMap::new();
    registry::NOUNS.add_routes(&mut table);
    let mut route = openapi::static_routes::add(Route::new(), &shared);
    for (path, methods) in table {
        let authorized = methods.into_iter().fold(RouteMethod::new(), |route, (method, inner)| {
            let operation = registry::SPECS.iter().find(|spec| spec.is_routed_by(&method, &path));
            route.method(method, Authorization { shared: shared.clone(), operation, inner })
        });
        route = route.at(path, authorized);
    }
    ErrorMiddleware { operations: &registry::SPECS, inner: route }.boxed()
}

/// What a monitor asks a process for, without a key: `/livez`, `/readyz` and `/metrics`.
pub fn monitoring(app: App) -> BoxEndpoint<'static, Response> {
    let shared = Shared::new(app, Options::default(), &DOCUMENT);
    ErrorMiddleware { operations: &[], inner: http::readiness::monitoring(&shared) }.boxed()
}

/// The response to a request beyond the listener's capacity: 503 `overloaded`.
pub fn overloaded(request: &Request) -> Response {
    error_middleware::overloaded(request)
}
