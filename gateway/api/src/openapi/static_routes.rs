//! Routes besides the operations: the documents, Swagger UI, event schemas, liveness and readiness.

use std::sync::{Arc, LazyLock};

use billwire_schemas::events::{catalogue, envelope::schema_path, selection::BUSINESS_TRANSACTION};
use poem::{
    Endpoint, EndpointExt, Request, Response, Route,
    endpoint::make,
    get,
    http::{HeaderValue, header},
    middleware::SetHeader,
};
use serde_json::{Value, json};

use crate::{
    events::event_schemas::SCHEMA_JSON,
    http::{
        authorization::Shared,
        published::Published,
        readiness::{livez, readyz},
    },
    openapi::{
        asyncapi::asyncapi, asyncapi_page, console, document, sign_in::SignIn, states::event_schema,
        whole_transactions::business_transaction_schema,
    },
};

/// Content security policy for Swagger UI: no inline code, no frames, and no other hosts, but for `callable`, which begins with a space if
/// it is not empty.
fn policy(callable: &str) -> String {
    format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'{callable}; base-uri 'none'; \
         form-action 'none'; frame-ancestors 'none'"
    )
}

/// A file of a page, compiled in.
#[derive(Clone, Copy)]
struct Asset {
    path: &'static str,
    media_type: &'static str,
    gzipped: bool,
    bytes: &'static [u8],
}

macro_rules! asset {
    ($path:expr, $media_type:literal, $gzipped:literal, $file:literal) => {
        Asset { path: $path, media_type: $media_type, gzipped: $gzipped, bytes: include_bytes!(concat!("../../assets/", $file)) }
    };
}

const ASSETS: [Asset; 8] = [
    asset!(asyncapi_page::STYLE, "text/css; charset=utf-8", false, "asyncapi.css"),
    asset!("/docs", "text/html; charset=utf-8", false, "swagger/index.html"),
    asset!("/docs/initializer.js", "text/javascript; charset=utf-8", false, "swagger/initializer.js"),
    asset!("/docs/swagger-ui-bundle.js", "text/javascript; charset=utf-8", true, "swagger/swagger-ui-bundle.js.gz"),
    asset!("/docs/swagger-ui.css", "text/css; charset=utf-8", true, "swagger/swagger-ui.css.gz"),
    asset!("/docs/oauth2-redirect.html", "text/html; charset=utf-8", false, "swagger/oauth2-redirect.html"),
    asset!("/docs/oauth2-redirect.js", "text/javascript; charset=utf-8", false, "swagger/oauth2-redirect.js"),
    asset!("/docs/favicon-32x32.png", "image/png", false, "swagger/favicon-32x32.png"),
];

impl Asset {
    /// Serves the file.
    fn endpoint(self) -> impl Endpoint<Output = Response> + 'static {
        let file = Arc::new(Published::file(self.media_type, self.bytes, self.gzipped));
        make(move |request: Request| {
            let file = file.clone();
            async move { Ok::<_, poem::Error>(file.answer(&request)?) }
        })
    }
}

/// A part of a page, with this content security policy.
pub(super) fn of_page(
    part: impl Endpoint<Output = Response> + 'static,
    policy: &HeaderValue,
) -> impl Endpoint<Output = Response> + 'static {
    let headers = SetHeader::new().overriding(header::CONTENT_SECURITY_POLICY, policy).overriding(header::REFERRER_POLICY, "no-referrer");
    part.with(headers)
}

/// A document with the identity provider of this installation.
fn document(generate: fn() -> Value, sign_in: Option<SignIn>) -> impl Endpoint<Output = Response> + 'static {
    published(JSON, move || match &sign_in {
        None => generate().to_string(),
        Some(sign_in) => document::with_sign_in(generate(), sign_in).to_string(),
    })
}

const JSON: &str = "application/json";

/// A document, which is generated on first use.
pub(super) fn published(
    media_type: &'static str,
    generate: impl FnOnce() -> String + Send + 'static,
) -> impl Endpoint<Output = Response> + 'static {
    let document = Arc::new(LazyLock::new(move || Published::new(media_type, generate())));
    make(move |request: Request| {
        let document = document.clone();
        async move { Ok::<_, poem::Error>(document.answer(&request)?) }
    })
}

/// Adds these routes to `route`.
pub(crate) fn add(route: Route, shared: &Arc<Shared>) -> Route {
    let sign_in = &shared.options.sign_in;
    let settings = sign_in.as_ref().map_or_else(|| json!({}), SignIn::settings).to_string();
    // An origin has no characters that a header or a policy does not allow.
    let callable = sign_in.as_ref().map(|sign_in| format!(" {}", sign_in.origin)).unwrap_or_default();
    let policy = HeaderValue::from_str(&policy(&callable)).unwrap_or(HeaderValue::from_static("default-src 'none'"));
    let mut route = route
        .at("/openapi.json", get(document(document::openapi, sign_in.clone())))
        .at("/openapi-3.1.json", get(document(document::openapi_31, sign_in.clone())))
        .at("/docs/sign-in.json", get(published(JSON, move || settings)))
        .at("/livez", get(livez()))
        .at("/readyz", get(readyz(shared.clone())));
    let described = shared.document;
    let public_url = shared.app.public_url().to_owned();
    let events = published(JSON, move || asyncapi(described, &public_url).to_string());
    let url = shared.app.public_url().to_owned();
    let page = published("text/html; charset=utf-8", move || asyncapi_page::page(&asyncapi(described, &url)));
    route = route.at("/asyncapi.json", get(events)).at("/asyncapi", get(of_page(page, &policy)));
    for event in catalogue::all() {
        let schema = published(SCHEMA_JSON, move || event_schema(event, described).to_string());
        route = route.at(schema_path(event.name, 1), get(schema));
    }
    let whole = published(SCHEMA_JSON, move || business_transaction_schema(described).to_string());
    route = route.at(schema_path(BUSINESS_TRANSACTION, 1), get(whole));
    route = console::add(route, &policy);
    for asset in ASSETS {
        route = route.at(asset.path, get(of_page(asset.endpoint(), &policy)));
    }
    route
}
