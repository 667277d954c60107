//! The console: the files of the page at `/console`, compiled in. It speaks the public API with its user's key, and is nothing that a caller could
//! not make.

use poem::{
    Response, Route,
    endpoint::make_sync,
    get,
    http::{HeaderValue, StatusCode, header},
};
use rust_embed::RustEmbed;

use super::static_routes::{of_page, published};

#[derive(RustEmbed)]
#[folder = "assets/console"]
struct Files;

/// Where the page is. Its own links are relative, so that a proxy may put it below a prefix.
const PAGE: &str = "/console";
const INDEX: &str = "index.html";

/// The media type of a file, by its name; `None`: it is not part of the page.
fn media_type(name: &str) -> Option<&'static str> {
    match name.rsplit_once('.')?.1 {
        "html" => Some("text/html; charset=utf-8"),
        "css" => Some("text/css; charset=utf-8"),
        "js" | "mjs" => Some("text/javascript; charset=utf-8"),
        "svg" => Some("image/svg+xml"),
        _ => None,
    }
}

/// Adds the page to `route`, with this content security policy.
pub(super) fn add(mut route: Route, policy: &HeaderValue) -> Route {
    for name in Files::iter() {
        let (Some(media_type), Some(file)) = (media_type(&name), Files::get(&name)) else { continue };
        let path = if name == INDEX { PAGE.to_owned() } else { format!("{PAGE}/{name}") };
        route = route.at(path, get(of_page(published(media_type, move || String::from_utf8_lossy(&file.data).into_owned()), policy)));
    }
    let without_slash =
        make_sync(|_| Response::builder().status(StatusCode::PERMANENT_REDIRECT).header(header::LOCATION, "../console").finish());
    route.at(format!("{PAGE}/"), get(without_slash))
}
