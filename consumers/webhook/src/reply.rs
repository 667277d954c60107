//! The outcome of a call: what an answer, or its absence, means for a delivery.

use std::{fmt, time::Duration};

use billwire_delivery::channel::{FailureScope, Outcome, Report};
use billwire_schemas::clock::Timestamp;
use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};

/// The longest wait a receiver may ask for.
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(24 * 60 * 60);
/// Bytes of an answer that are kept for people at most.
pub const EXCERPT_BYTES_MAX: usize = 512;
/// What stands in the place of a secret.
pub(crate) const REDACTED: &str = "[redacted]";
/// Shorter texts are not redacted in excerpts: a header value like `1` would redact half of every answer.
const CONFIDENTIAL_CHARS_MIN: usize = 6;

/// An answer. The body may have been cut; the status counts all the same.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// The first bytes of its body.
    pub body: Bytes,
}

/// Why there was no answer: only the category. Addresses, ports and system errors would show a tenant the inside of the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// DNS has no address for the name.
    #[error("host has no public address")]
    NotResolved,
    /// The URL, an address of its host or the connected peer breaks the rules of destinations. Tenants read the same text as for
    /// [`Failure::NotResolved`], or they could find out which internal names exist; the log has the address.
    #[error("host has no public address")]
    NotAllowed,
    /// No TCP connection.
    #[error("connect failed")]
    ConnectFailed,
    /// A connection, but the TLS handshake failed.
    #[error("TLS failed{0}")]
    TlsFailed(TlsFault),
    /// No answer within the deadline.
    #[error("timed out")]
    TimedOut,
    /// The connection ended, or did not speak HTTP, before there was an answer.
    #[error("connection broken before an answer")]
    Broken,
    /// All connections that may be open were in use, or the machine has no room for another, so that no call was made.
    #[error("no free connection")]
    Saturated,
}

/// Why a TLS handshake failed, as far as that helps who runs the receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsFault {
    /// The certificate is no longer valid.
    Expired,
    /// The certificate is not valid yet.
    NotYetValid,
    /// Nobody this machine trusts has issued the certificate.
    UnknownIssuer,
    /// The certificate is for other names.
    WrongName,
    /// Its issuer has revoked the certificate.
    Revoked,
    /// Something else is wrong with the certificate.
    Certificate,
    /// The receiver refuses the endpoint's client certificate, or wants one.
    ClientCertificate,
    /// No version or cipher that both sides know.
    NothingInCommon,
    /// Anything else.
    Other,
}

impl From<&rustls::Error> for TlsFault {
    fn from(error: &rustls::Error) -> Self {
        use rustls::{AlertDescription as Alert, CertificateError as Certificate, Error};
        match error {
            Error::InvalidCertificate(Certificate::Expired | Certificate::ExpiredContext { .. }) => Self::Expired,
            Error::InvalidCertificate(Certificate::NotValidYet | Certificate::NotValidYetContext { .. }) => Self::NotYetValid,
            Error::InvalidCertificate(Certificate::UnknownIssuer) => Self::UnknownIssuer,
            Error::InvalidCertificate(Certificate::NotValidForName | Certificate::NotValidForNameContext { .. }) => Self::WrongName,
            Error::InvalidCertificate(Certificate::Revoked) => Self::Revoked,
            Error::InvalidCertificate(_) => Self::Certificate,
            Error::AlertReceived(
                Alert::CertificateRequired
                | Alert::BadCertificate
                | Alert::UnsupportedCertificate
                | Alert::CertificateExpired
                | Alert::CertificateRevoked
                | Alert::CertificateUnknown
                | Alert::UnknownCA
                | Alert::AccessDenied,
            ) => Self::ClientCertificate,
            Error::AlertReceived(Alert::HandshakeFailure | Alert::ProtocolVersion | Alert::InsufficientSecurity)
            | Error::PeerIncompatible(_) => Self::NothingInCommon,
            _ => Self::Other,
        }
    }
}

impl fmt::Display for TlsFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Expired => ": the certificate has expired",
            Self::NotYetValid => ": the certificate is not valid yet",
            Self::UnknownIssuer => ": the certificate's issuer is unknown; a missing intermediate certificate looks like this too",
            Self::WrongName => ": the certificate is for another name",
            Self::Revoked => ": the certificate is revoked",
            Self::Certificate => ": the certificate is not valid",
            Self::ClientCertificate => ": the receiver refuses the client certificate, or wants one",
            Self::NothingInCommon => ": no version or cipher in common; TLS 1.2 or 1.3 is needed",
            Self::Other => "",
        })
    }
}

/// A receiver that refuses the delivery is healthy; one that reports an error of its own, or too much load, is not.
fn failure_scope(status: StatusCode) -> FailureScope {
    let cannot = status.is_server_error() || matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT);
    if cannot { FailureScope::Target } else { FailureScope::Delivery }
}

/// The outcome of a call. `confidential` texts must not appear in the report even if the receiver echoes them.
pub fn outcome(called: Result<Answer, Failure>, confidential: &[String], now: Timestamp) -> Outcome {
    let answer = match called {
        Ok(answer) => answer,
        Err(Failure::Saturated) => return Outcome::NotAttempted(Failure::Saturated.to_string()),
        Err(failure) => {
            return Outcome::Retry { report: Report::new(None, failure.to_string()), after: None, failure_scope: FailureScope::Target };
        }
    };
    let status = answer.status;
    let report = |detail: &str| Report::new(Some(status.as_u16()), detail);
    if status.is_redirection() {
        return Outcome::Retry { report: report("redirects are not followed"), after: None, failure_scope: FailureScope::Delivery };
    }
    let report = report(&excerpt(&answer.body, confidential));
    if status.is_success() {
        Outcome::Delivered(report)
    } else if status == StatusCode::GONE {
        Outcome::Gone(report)
    } else {
        Outcome::Retry { report, after: retry_after(&answer.headers, now), failure_scope: failure_scope(status) }
    }
}

/// The wait a receiver asks for, in seconds or as a date; capped, and `None` if it is invalid or in the past.
fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        // A number too large to parse is a wait beyond the cap, not an invalid one.
        Duration::from_secs(text.parse().unwrap_or(u64::MAX))
    } else {
        (Timestamp::from(httpdate::parse_http_date(text).ok()?) - now).to_std().ok()?
    };
    (!wait.is_zero()).then(|| wait.min(RETRY_AFTER_MAX))
}

/// A short excerpt of an answer that is safe to show: credentials redacted, white space folded, no control characters, and none
/// that change the direction of the surrounding text.
pub(crate) fn excerpt(body: &[u8], confidential: &[String]) -> String {
    let visible = cleaned(&redacted(&String::from_utf8_lossy(body), confidential));
    let mut short = String::new();
    for word in visible.split_whitespace() {
        if !short.is_empty() {
            short.push(' ');
        }
        short.push_str(word);
        if short.len() >= EXCERPT_BYTES_MAX {
            break;
        }
    }
    short.truncate(short.floor_char_boundary(EXCERPT_BYTES_MAX));
    short
}

/// A text without the confidential ones.
pub(crate) fn redacted(text: &str, confidential: &[String]) -> String {
    let mut text = text.to_owned();
    for hidden in confidential.iter().filter(|hidden| hidden.chars().count() >= CONFIDENTIAL_CHARS_MIN) {
        text = text.replace(hidden.as_str(), REDACTED);
    }
    text
}

/// A text without control characters, but for the ends of lines, and without those that change the direction of the text around it.
pub(crate) fn cleaned(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\n' { ' ' } else { c }).filter(|c| !changes_direction(*c)).collect()
}

fn changes_direction(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sun, 06 Nov 1994 08:49:37 GMT, the example of RFC 9110.
    fn now() -> Timestamp {
        Timestamp::from_timestamp(784_111_777, 0).unwrap()
    }

    fn judge(status: u16, retry_after: Option<&'static str>, body: &'static str) -> Outcome {
        let mut headers = HeaderMap::new();
        if let Some(text) = retry_after {
            headers.insert(header::RETRY_AFTER, http::HeaderValue::from_static(text));
        }
        let answer = Answer { status: StatusCode::from_u16(status).unwrap(), headers, body: Bytes::from_static(body.as_bytes()) };
        outcome(Ok(answer), &["s3cr3t-token".to_owned(), "1".to_owned()], now())
    }

    #[test]
    fn the_status_decides() {
        for status in [200, 201, 202, 204, 299] {
            assert!(matches!(judge(status, None, ""), Outcome::Delivered(report) if report.status == Some(status)), "{status}");
        }
        for status in [101, 300, 301, 302, 304, 307, 308, 400, 401, 403, 404, 409, 413, 422, 429, 500, 501, 502, 503, 504, 599, 999] {
            assert!(
                matches!(judge(status, None, ""), Outcome::Retry { report, after: None, .. } if report.status == Some(status)),
                "{status}"
            );
        }
        assert!(matches!(judge(410, Some("60"), "gone"), Outcome::Gone(report) if report.detail == "gone"));
    }

    #[test]
    fn retry_after_is_heard_within_reason() {
        let day = Some(RETRY_AFTER_MAX.as_secs());
        for (text, seconds) in [
            ("120", Some(120)),
            (" 120 ", Some(120)),
            ("0", None),
            ("86400", day),
            ("86401", day),
            ("315360000", day),
            ("99999999999999999999999999", day),
            ("-5", None),
            ("1.5", None),
            ("soon", None),
            ("", None),
            ("Sun, 06 Nov 1994 08:50:37 GMT", Some(60)),
            ("Sunday, 06-Nov-94 08:50:37 GMT", Some(60)),
            ("Sun Nov  6 08:50:37 1994", Some(60)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", None),
            ("Sun, 06 Nov 1994 08:00:00 GMT", None),
            ("Fri, 06 Nov 2009 08:49:37 GMT", day),
            ("Mon, 99 Nov 1994 08:50:37 GMT", None),
        ] {
            for status in [429, 502, 503, 504] {
                let after = seconds.map(Duration::from_secs);
                assert!(
                    matches!(judge(status, Some(text), ""), Outcome::Retry { after: found, .. } if found == after),
                    "{status} {text:?}"
                );
            }
        }
        assert!(matches!(judge(301, Some("60"), ""), Outcome::Retry { after: None, .. }));
    }

    #[test]
    fn a_missing_answer_is_told_by_category_alone() {
        for (failure, detail) in [
            (Failure::NotResolved, "host has no public address"),
            (Failure::NotAllowed, "host has no public address"),
            (Failure::ConnectFailed, "connect failed"),
            (Failure::TlsFailed(TlsFault::Other), "TLS failed"),
            (Failure::TlsFailed(TlsFault::Expired), "TLS failed: the certificate has expired"),
            (Failure::TimedOut, "timed out"),
            (Failure::Broken, "connection broken before an answer"),
        ] {
            let report = Report::new(None, detail);
            assert_eq!(outcome(Err(failure), &[], now()), Outcome::Retry { report, after: None, failure_scope: FailureScope::Target });
        }
    }

    #[test]
    fn a_call_that_was_not_made_is_no_attempt() {
        assert_eq!(outcome(Err(Failure::Saturated), &[], now()), Outcome::NotAttempted("no free connection".to_owned()));
    }

    #[test]
    fn excerpts_are_short_clean_and_without_credentials() {
        let detail = |body: &'static str| match judge(500, None, body) {
            Outcome::Retry { report, .. } => report.detail,
            other => panic!("{other:?}"),
        };
        assert_eq!(detail("a\r\n\tb\u{0}c \u{1b}[31m\u{202e}d"), "a b c [31md");
        assert_eq!(detail("got Bearer s3cr3t-token, 1 time"), "got Bearer [redacted], 1 time");
        let long: &'static str = Box::leak("é".repeat(10_000).into_boxed_str());
        assert_eq!(detail(long).len(), EXCERPT_BYTES_MAX);
        let words: &'static str = Box::leak("ab ".repeat(10_000).into_boxed_str());
        assert!(detail(words).len() <= EXCERPT_BYTES_MAX);
    }
}
