//! The header If-None-Match (RFC 9110, section 13.1.2).

use billwire_schemas::refusal::Code;
use poem::http::header;

use crate::http::problem::Problem;

/// Longest list, in bytes.
pub(crate) const LENGTH_MAX: usize = 1_024;

/// The versions the client already has (`If-None-Match`).
#[derive(Debug, Default)]
pub(crate) struct IfNoneMatch(Option<String>);

impl IfNoneMatch {
    /// The list of a request.
    ///
    /// # Errors
    /// `bad_request` if it is empty or longer than [`LENGTH_MAX`].
    pub fn of(request: &poem::Request) -> Result<Self, Problem> {
        // The header is a list, so that several of it are one list.
        let values = request.headers().get_all(header::IF_NONE_MATCH);
        let lists: Vec<_> = values.iter().map(|value| String::from_utf8_lossy(value.as_bytes())).collect();
        if !lists.is_empty() && lists.iter().flat_map(|list| list.split(',')).all(|known| known.trim().is_empty()) {
            return Err(Problem::new(Code::BadRequest, "If-None-Match must list at least one ETag, or be *."));
        }
        let list = (!lists.is_empty()).then(|| lists.join(","));
        if list.as_ref().is_some_and(|list| list.len() > LENGTH_MAX) {
            return Err(Problem::new(Code::BadRequest, format!("If-None-Match must have at most {LENGTH_MAX} bytes.")));
        }
        Ok(Self(list))
    }

    /// Whether the list has this ETag, or all.
    pub fn names(&self, etag: &str) -> bool {
        let Some(list) = &self.0 else { return false };
        // Weak comparison, RFC 9110 section 8.8.3.2.
        list.split(',').map(str::trim).any(|known| known == "*" || known.strip_prefix("W/").unwrap_or(known) == etag)
    }
}

impl<'a> poem::FromRequest<'a> for IfNoneMatch {
    async fn from_request(request: &'a poem::Request, _: &mut poem::RequestBody) -> poem::Result<Self> {
        Ok(Self::of(request)?)
    }
}
