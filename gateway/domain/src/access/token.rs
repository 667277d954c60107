//! The claims of a token whose signature is right: whom it names, and whether it counts now (RFC 7519, RFC 9068).

use billwire_schemas::clock::Timestamp;
use chrono::TimeDelta;
use serde_json::{Map, Value};

use crate::access::identity_provider::IdentityProvider;

/// How far the clocks of issuer and gateway may be apart.
pub const SKEW: TimeDelta = TimeDelta::seconds(60);
/// Longest `sub`, in characters: OpenID Connect Core 1.0 section 2 has 255.
const SUBJECT_CHARS_MAX: usize = 255;
/// Longest name of a person that is shown, in characters.
const NAME_CHARS_MAX: usize = 100;
/// Audiences of a token at most.
const AUDIENCES_MAX: usize = 16;
/// The claim whose text is a list with spaces between its values (RFC 8693 section 4.2).
const SCOPE: &str = "scope";

/// Whom a token names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// `sub`: who it is for the issuer.
    pub subject: String,
    /// The name, shortened.
    pub name: Option<String>,
    /// The values of the claim that gives roles.
    pub values: Vec<String>,
    /// `exp`: when the token ends.
    pub expires_at: Timestamp,
}

/// What is wrong with a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing is told of what cannot be trusted: form, issuer, audience, key or signature.
    Unknown,
    /// `exp` is past.
    Expired,
    /// `nbf` or `iat` is ahead.
    NotYetValid,
    /// A claim is missing, or has no sensible value.
    Claims,
}

impl Fault {
    /// The fault for people, in characters that RFC 6750 allows in `error_description`.
    pub fn text(self) -> &'static str {
        match self {
            Self::Unknown => "The token is not valid: its form, issuer, audience, key or signature is not accepted.",
            Self::Expired => "The token has expired.",
            Self::NotYetValid => "The token is not valid yet.",
            Self::Claims => "The token's claims are not valid: it needs sub (1 to 255 characters) and exp, and iat and nbf must fit.",
        }
    }
}

/// Which provider a token is from, by its own word: `iss` and `aud`. Nothing of it is to be trusted.
pub fn origin(claims: &Map<String, Value>) -> Option<(&str, Vec<&str>)> {
    let issuer = claims.get("iss")?.as_str()?;
    let audiences = match claims.get("aud")? {
        Value::String(one) => vec![one.as_str()],
        Value::Array(several) if several.len() <= AUDIENCES_MAX => several.iter().map(Value::as_str).collect::<Option<_>>()?,
        _ => return None,
    };
    Some((issuer, audiences))
}

/// Checks the claims of a token that `provider` has signed.
///
/// # Errors
/// The fault.
pub fn check(claims: &Map<String, Value>, provider: &IdentityProvider, now: Timestamp) -> Result<Person, Fault> {
    let (issuer, audiences) = origin(claims).ok_or(Fault::Unknown)?;
    if issuer != provider.issuer || !audiences.contains(&provider.audience.as_str()) {
        return Err(Fault::Unknown);
    }
    let expires_at = moment(claims, "exp")?.ok_or(Fault::Claims)?;
    let (not_before, issued_at) = (moment(claims, "nbf")?, moment(claims, "iat")?);
    if issued_at.is_some_and(|at| at >= expires_at) {
        return Err(Fault::Claims);
    }
    if expires_at + SKEW <= now {
        return Err(Fault::Expired);
    }
    if [not_before, issued_at].into_iter().flatten().any(|at| at - SKEW > now) {
        return Err(Fault::NotYetValid);
    }
    let subject = claims.get("sub").and_then(Value::as_str).filter(|subject| is_subject(subject)).ok_or(Fault::Claims)?;
    let name = provider.name_claim.as_deref().and_then(|path| claim(claims, path)).and_then(Value::as_str).and_then(shown);
    let values = claim(claims, &provider.role_claim).map(|value| texts(value, &provider.role_claim)).unwrap_or_default();
    Ok(Person { subject: subject.to_owned(), name, values, expires_at })
}

/// The actor of what a person does: the name, if there is one, the provider's name and the subject.
pub fn actor(person: &Person, provider: &IdentityProvider) -> String {
    match &person.name {
        Some(name) => format!("{name} ({}: {})", provider.name, person.subject),
        None => format!("{}: {}", provider.name, person.subject),
    }
}

/// A moment (RFC 7519 section 2, NumericDate), which may have a fraction; `None`: there is no such claim.
fn moment(claims: &Map<String, Value>, name: &str) -> Result<Option<Timestamp>, Fault> {
    let Some(value) = claims.get(name) else { return Ok(None) };
    let seconds = value.as_f64().filter(|seconds| (0.0..=SECONDS_MAX).contains(seconds)).ok_or(Fault::Claims)?;
    let moment = Timestamp::from_timestamp_micros((seconds * 1e6) as i64).ok_or(Fault::Claims)?;
    Ok(Some(moment))
}

/// The end of the year 9999.
const SECONDS_MAX: f64 = 253_402_300_799.0;

fn is_subject(subject: &str) -> bool {
    let chars = subject.chars().count();
    (1..=SUBJECT_CHARS_MAX).contains(&chars) && !subject.chars().any(is_hidden) && !subject.trim().is_empty()
}

/// Whether a character is not seen, or changes the direction of the text around it.
fn is_hidden(c: char) -> bool {
    c.is_control() || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// The name in one line, shortened.
fn shown(name: &str) -> Option<String> {
    let visible: String = name.chars().map(|c| if is_hidden(c) { ' ' } else { c }).take(NAME_CHARS_MAX).collect();
    Some(visible.trim().to_owned()).filter(|name| !name.is_empty())
}

/// The claim of this name, or else the member that the parts between its dots lead to.
fn claim<'c>(claims: &'c Map<String, Value>, path: &str) -> Option<&'c Value> {
    claims.get(path).or_else(|| {
        let mut parts = path.split('.');
        let first = claims.get(parts.next()?)?;
        parts.try_fold(first, |found, part| found.as_object()?.get(part))
    })
}

/// The texts of a claim. Its size has the bound of the token.
fn texts(value: &Value, path: &str) -> Vec<String> {
    match value {
        Value::String(text) if path == SCOPE => text.split(' ').map(str::to_owned).collect(),
        Value::String(text) => vec![text.clone()],
        Value::Array(several) => several.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::access::identity_provider::tests::provider;

    const NOW: i64 = 1_800_000_000;

    fn claims(changes: Value) -> Map<String, Value> {
        let mut claims = json!({
            "iss": "https://login.example.com/realms/staff", "aud": "billwire", "sub": "248289761001", "name": "Jane\nDoe",
            "exp": NOW + 300, "nbf": NOW - 10, "iat": NOW - 10, "realm_access": { "roles": ["billing", 7, "desk"] },
        });
        for (name, value) in changes.as_object().into_iter().flatten() {
            claims[name] = value.clone();
        }
        match claims {
            Value::Object(claims) => claims,
            _ => Map::new(),
        }
    }

    fn checked(changes: Value) -> Result<Person, Fault> {
        check(&claims(changes), &provider(), Timestamp::from_timestamp(NOW, 0).expect("a moment"))
    }

    #[test]
    fn a_token_names_a_person_and_their_values() {
        let person = checked(json!({ "aud": ["other", "billwire"] })).expect("valid");
        assert_eq!((person.subject.as_str(), person.name.as_deref()), ("248289761001", Some("Jane Doe")));
        assert_eq!(person.values, ["billing", "desk"]);
        assert_eq!(actor(&person, &provider()), "Jane Doe (staff: 248289761001)");
        let nameless = checked(json!({ "name": "\u{7}" })).expect("valid");
        assert_eq!(actor(&nameless, &provider()), "staff: 248289761001");
        let long = checked(json!({ "name": "x".repeat(1_000), "sub": "y".repeat(255) })).expect("valid");
        assert_eq!(actor(&long, &provider()).len(), 100 + " (staff: ".len() + 255 + 1);
    }

    #[test]
    fn it_counts_within_its_time_and_a_minute_of_skew() {
        for (changes, fault) in [
            (json!({ "exp": NOW - 59, "iat": NOW - 200 }), None),
            (json!({ "exp": NOW - 60, "iat": NOW - 200 }), Some(Fault::Expired)),
            (json!({ "exp": 0, "iat": null }), Some(Fault::Claims)),
            (json!({ "nbf": NOW + 60 }), None),
            (json!({ "nbf": NOW + 61 }), Some(Fault::NotYetValid)),
            (json!({ "iat": NOW + 61 }), Some(Fault::NotYetValid)),
            (json!({ "iat": NOW + 300 }), Some(Fault::Claims)),
            (json!({ "exp": f64::from(1_800_000) * 1e3 - 59.5, "iat": NOW - 200 }), None),
            (json!({ "exp": "1800000300" }), Some(Fault::Claims)),
            (json!({ "exp": -1 }), Some(Fault::Claims)),
            (json!({ "exp": 1e300 }), Some(Fault::Claims)),
            (json!({ "exp": null }), Some(Fault::Claims)),
            (json!({ "nbf": "now" }), Some(Fault::Claims)),
            (json!({ "sub": "" }), Some(Fault::Claims)),
            (json!({ "sub": " " }), Some(Fault::Claims)),
            (json!({ "sub": "a\nb" }), Some(Fault::Claims)),
            (json!({ "sub": 7 }), Some(Fault::Claims)),
            (json!({ "sub": "y".repeat(256) }), Some(Fault::Claims)),
            (json!({ "iss": "https://login.example.com/realms/staff/" }), Some(Fault::Unknown)),
            (json!({ "aud": "billwire2" }), Some(Fault::Unknown)),
            (json!({ "aud": [] }), Some(Fault::Unknown)),
            (json!({ "aud": ["billwire", 7] }), Some(Fault::Unknown)),
            (json!({ "aud": vec!["billwire"; 17] }), Some(Fault::Unknown)),
        ] {
            assert_eq!(checked(changes.clone()).err(), fault, "{changes}");
        }
        let mut without = claims(json!({}));
        without.retain(|name, _| name != "nbf" && name != "iat");
        assert!(check(&without, &provider(), Timestamp::from_timestamp(NOW, 0).expect("a moment")).is_ok(), "both are optional");
    }

    #[test]
    fn a_claim_is_found_by_its_whole_name_or_by_the_parts_of_it() {
        let values = |path: &str, claims: Value| {
            let claims = claims.as_object().expect("an object").clone();
            claim(&claims, path).map(|value| texts(value, path)).unwrap_or_default()
        };
        assert_eq!(values("roles", json!({ "roles": "a b" })), ["a b"]);
        assert_eq!(values("scope", json!({ "scope": "a b" })), ["a", "b"]);
        assert_eq!(values("https://example.com/roles", json!({ "https://example.com/roles": ["a"] })), ["a"]);
        assert_eq!(values("a.b.c", json!({ "a": { "b": { "c": ["x", {}] } } })), ["x"]);
        for (path, claims) in [("a.b", json!({ "a": ["b"] })), ("a", json!({ "a": { "b": 1 } })), ("a..b", json!({ "a": {} }))] {
            assert!(values(path, claims.clone()).is_empty(), "{path} {claims}");
        }
    }

    #[test]
    fn no_fault_has_characters_that_an_error_description_must_not_have() {
        for fault in [Fault::Unknown, Fault::Expired, Fault::NotYetValid, Fault::Claims] {
            assert!(fault.text().bytes().all(|byte| matches!(byte, 0x20..=0x21 | 0x23..=0x5b | 0x5d..=0x7e)), "{}", fault.text());
        }
    }
}
