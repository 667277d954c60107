//! Public documents and files, which caches may keep: each with an ETag, and compressed for clients that accept it.

use std::io::Write;

use aws_lc_rs::digest;
use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use poem::{
    Body, Request, Response,
    http::{HeaderMap, HeaderValue, StatusCode, header},
};

use crate::http::{if_none_match::IfNoneMatch, problem::Problem, request_context::hex};

/// Smaller ones are not compressed: they fit into one packet.
const COMPRESSED_FROM: usize = 1_024;

/// A document in the forms that it is served in.
pub(crate) struct Published {
    media_type: &'static str,
    /// `None`: only the gzip form is there, which every current client accepts.
    plain: Option<Bytes>,
    gzip: Option<Bytes>,
    /// Weak, because it is that of both forms.
    etag: String,
}

impl Published {
    /// A document with this text.
    pub fn new(media_type: &'static str, text: String) -> Self {
        let plain = Bytes::from(text);
        let gzip = (plain.len() >= COMPRESSED_FROM).then(|| gzipped(&plain)).flatten();
        Self { media_type, etag: etag(&plain), gzip, plain: Some(plain) }
    }

    /// A file that is compiled in, as it is or in its gzip form.
    pub fn file(media_type: &'static str, bytes: &'static [u8], is_gzipped: bool) -> Self {
        let (etag, bytes) = (etag(bytes), Bytes::from_static(bytes));
        let (plain, gzip) = if is_gzipped { (None, Some(bytes)) } else { (Some(bytes), None) };
        Self { media_type, plain, gzip, etag }
    }

    /// The response: 304 if the client has the document already.
    ///
    /// # Errors
    /// `bad_request` for an empty If-None-Match.
    pub fn answer(&self, request: &Request) -> Result<Response, Problem> {
        let known = IfNoneMatch::of(request)?.names(self.etag.trim_start_matches("W/"));
        let gzip = self.gzip.as_ref().filter(|_| self.plain.is_none() || accepts_gzip(request.headers()));
        let (status, body) = match (known, gzip.or(self.plain.as_ref())) {
            (true, _) => (StatusCode::NOT_MODIFIED, Bytes::new()),
            (false, body) => (StatusCode::OK, body.cloned().unwrap_or_default()),
        };
        let mut response = Response::builder().status(status).content_type(self.media_type).body(Body::from(body));
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        headers.extend(HeaderValue::from_str(&self.etag).ok().map(|etag| (header::ETAG, etag)));
        if self.plain.is_some() && self.gzip.is_some() {
            headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
        }
        if gzip.is_some() {
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        Ok(response)
    }
}

fn etag(bytes: &[u8]) -> String {
    let digest = digest::digest(&digest::SHA256, bytes);
    format!("W/\"{}\"", hex(&digest.as_ref()[..16]))
}

/// `None`: compression failed, and the document is served as it is.
fn gzipped(bytes: &[u8]) -> Option<Bytes> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).and_then(|()| encoder.finish()).ok().map(Bytes::from)
}

/// Whether a client takes gzip (RFC 9110, section 12.5.3).
fn accepts_gzip(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|one| {
        let mut parts = one.split(';').map(str::trim);
        let named = parts.next().is_some_and(|coding| coding.eq_ignore_ascii_case("gzip"));
        named && !parts.any(|weight| weight.strip_prefix("q=").is_some_and(|weight| weight.parse() == Ok(0.0_f32)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_taken_where_it_is_named_and_not_refused() {
        let takes = |value: &'static str| accepts_gzip(&HeaderMap::from_iter([(header::ACCEPT_ENCODING, HeaderValue::from_static(value))]));
        assert!(takes("gzip") && takes("br, GZIP;q=0.5"));
        assert!(!takes("br") && !takes("gzip;q=0") && !takes("gzip; q=0.000"));
        assert!(!accepts_gzip(&HeaderMap::new()));
    }
}
