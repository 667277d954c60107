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
use serde_json::{Value, json};

use crate::{
    http::{
        authorization::Shared,
        problem::Problem,
        readiness::{livez, readyz},
    },
    openapi::{document, sign_in::SignIn},
};

/// Content security policy for Swagger UI: no inline code, no frames, and no other hosts, but for `callable`, which begins with a space if
/// it is not empty.
fn policy(callable: &str) -> String {
    format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'{callable}; base-uri 'none'; \
         form-action 'none'; frame-ancestors 'none'"
    )
}

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

const ASSETS: [Asset; 7] = [
    asset!("/docs", "text/html; charset=utf-8", false, "index.html"),
    asset!("/docs/initializer.js", "text/javascript; charset=utf-8", false, "initializer.js"),
    asset!("/docs/swagger-ui-bundle.js", "text/javascript; charset=utf-8", true, "swagger-ui-bundle.js.gz"),
    asset!("/docs/swagger-ui.css", "text/css; charset=utf-8", true, "swagger-ui.css.gz"),
    asset!("/docs/oauth2-redirect.html", "text/html; charset=utf-8", false, "oauth2-redirect.html"),
    asset!("/docs/oauth2-redirect.js", "text/javascript; charset=utf-8", false, "oauth2-redirect.js"),
    asset!("/docs/favicon-32x32.png", "image/png", false, "favicon-32x32.png"),
];

impl Asset {
    fn response(self, policy: &HeaderValue) -> Response {
        let mut response = Response::builder().content_type(self.media_type).body(self.bytes);
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_SECURITY_POLICY, policy.clone());
        headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        if self.gzipped {
            // Only the gzip form is embedded; every current browser accepts it.
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        response
    }
}

/// A document, with the identity provider of this installation. It is generated on first use.
fn document(generate: fn() -> Value, sign_in: Option<SignIn>) -> impl Endpoint<Output = Response> + 'static {
    let text = LazyLock::new(move || match &sign_in {
        None => generate().to_string(),
        Some(sign_in) => document::with_sign_in(generate(), sign_in).to_string(),
    });
    fixed(move || published(text.clone(), "application/json"))
}

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
    let sign_in = &shared.options.sign_in;
    let settings = sign_in.as_ref().map_or_else(|| json!({}), SignIn::settings).to_string();
    // An origin has no characters that a header or a policy does not allow.
    let callable = sign_in.as_ref().map(|sign_in| format!(" {}", sign_in.origin)).unwrap_or_default();
    let policy = HeaderValue::from_str(&policy(&callable)).unwrap_or(HeaderValue::from_static("default-src 'none'"));
    let mut route = route
        .at("/openapi.json", get(document(document::openapi, sign_in.clone())))
        .at("/openapi-3.1.json", get(document(document::openapi_31, sign_in.clone())))
        .at("/docs/sign-in.json", get(fixed(move || published(settings.clone(), "application/json"))))
        .at("/livez", get(livez()))
        .at("/readyz", get(readyz(shared.clone())))
        .at("/schemas/events/:event_type/v1.json", get(make(event_schema)));
    for asset in ASSETS {
        let policy = policy.clone();
        route = route.at(asset.path, get(fixed(move || asset.response(&policy))));
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
