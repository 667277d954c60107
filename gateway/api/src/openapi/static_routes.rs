//! Routes besides the operations: the documents, Swagger UI, event schemas, liveness and readiness.

use std::sync::{Arc, LazyLock};

use billwire_schemas::refusal::Code;

use billwire_schemas::events::{catalogue, json_schema};
use poem::{
    Endpoint, IntoResponse, Request, Response, Route,
    endpoint::make,
    get,
    http::{HeaderValue, header},
};
use serde_json::Value;

use crate::{
    http::{
        authorization::Shared,
        problem::Problem,
        readiness::{livez, readyz},
    },
    openapi::document,
};

/// Content security policy for Swagger UI: no other hosts, no inline code, no frames.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// A file of Swagger UI, compiled in.
#[derive(Clone, Copy)]
struct Asset {
    path: &'static str,
    media_type: &'static str,
    gzipped: bool,
    bytes: &'static [u8],
}

macro_rules! asset {
    ($path:literal, $media_type:literal, $gzipped:literal, $file:literal) => {
        Asset { path: $path, media_type: $media_type, gzipped: $gzipped, bytes: include_bytes!(concat!("../../assets/swagger/", $file)) }
    };
}

const ASSETS: [Asset; 5] = [
    asset!("/docs", "text/html; charset=utf-8", false, "index.html"),
    asset!("/docs/initializer.js", "text/javascript; charset=utf-8", false, "initializer.js"),
    asset!("/docs/swagger-ui-bundle.js", "text/javascript; charset=utf-8", true, "swagger-ui-bundle.js.gz"),
    asset!("/docs/swagger-ui.css", "text/css; charset=utf-8", true, "swagger-ui.css.gz"),
    asset!("/docs/favicon-32x32.png", "image/png", false, "favicon-32x32.png"),
];

impl Asset {
    fn response(self) -> Response {
        let mut response = Response::builder().content_type(self.media_type).body(self.bytes);
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
        headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        if self.gzipped {
            // Only the gzip form is embedded; every current browser accepts it.
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        response
    }
}

static DOCUMENT: LazyLock<String> = LazyLock::new(|| document::openapi().to_string());
static DOCUMENT_31: LazyLock<String> = LazyLock::new(|| document::openapi_31().to_string());

pub(crate) fn fixed(respond: impl Fn() -> Response + Send + Sync + 'static) -> impl Endpoint<Output = Response> + 'static {
    let respond = Arc::new(respond);
    make(move |_: Request| {
        let respond = respond.clone();
        async move { Ok::<_, poem::Error>(respond()) }
    })
}

pub(crate) fn answer(body: impl Into<poem::Body>, media_type: &str) -> Response {
    Response::builder().content_type(media_type).body(body)
}

/// A public document, which caches may keep.
fn published(body: impl Into<poem::Body>, media_type: &str) -> Response {
    answer(body, media_type).with_header(header::CACHE_CONTROL, "no-cache").into_response()
}

/// Adds these routes to `route`.
pub(crate) fn add(route: Route, shared: &Arc<Shared>) -> Route {
    let mut route = route
        .at("/openapi.json", get(fixed(|| published(DOCUMENT.as_str(), "application/json"))))
        .at("/openapi-3.1.json", get(fixed(|| published(DOCUMENT_31.as_str(), "application/json"))))
        .at("/livez", get(livez()))
        .at("/readyz", get(readyz(shared.clone())))
        .at("/schemas/events/:event_type/v1.json", get(make(event_schema)));
    for asset in ASSETS {
        route = route.at(asset.path, get(fixed(move || asset.response())));
    }
    route
}

async fn event_schema(request: Request) -> poem::Result<Response> {
    let name = request.raw_path_param("event_type").unwrap_or_default();
    let Some(event) = catalogue::find(name) else {
        return Err(Problem::new(Code::EventTypeNotFound, "No event type has this name.").into());
    };
    let schema: Value = json_schema::of(event);
    Ok(published(schema.to_string(), "application/schema+json"))
}
