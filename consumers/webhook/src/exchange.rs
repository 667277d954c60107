//! What is kept of a call for people: URL, headers and the answer, bounded and without secrets. Pure.

use billwire_schemas::delivery::{Exchange, HeaderField, Received};
use http::{HeaderMap, HeaderValue, header};
use url::Url;

use crate::reply::{Answer, REDACTED, cleaned, redacted};

/// Headers that are kept, of the request and of the answer.
const HEADERS_MAX: usize = 40;
/// Bytes that are kept of a header's value.
const VALUE_BYTES_MAX: usize = 512;
/// Bytes that are kept of the answer's headers together.
const HEADERS_BYTES_MAX: usize = 4 * 1024;
/// Bytes that are kept of the answer's body.
pub const BODY_BYTES_MAX: usize = 4 * 1024;

/// The call to `url` with the headers `sent`, and its `answer` if there was one. `confidential` texts do not appear in it.
pub fn exchange(url: &Url, sent: &HeaderMap, answer: Option<&Answer>, confidential: &[String]) -> Exchange {
    let mut url = url.clone();
    // Some receivers want a secret there.
    url.set_query(None);
    Exchange {
        url: redacted(url.as_str(), confidential),
        sent: fields(sent, confidential).0,
        received: answer.map(|answer| received(answer, confidential)),
    }
}

fn received(answer: &Answer, confidential: &[String]) -> Received {
    let (headers, mut cut) = fields(&answer.headers, confidential);
    let mut body = cleaned(&redacted(&String::from_utf8_lossy(&answer.body), confidential));
    if body.len() > BODY_BYTES_MAX {
        body.truncate(body.floor_char_boundary(BODY_BYTES_MAX));
        cut = true;
    }
    Received { headers, body, cut }
}

/// Headers as far as they are kept, and whether some were left out.
fn fields(of: &HeaderMap, confidential: &[String]) -> (Vec<HeaderField>, bool) {
    let (mut fields, mut bytes) = (Vec::new(), 0);
    for (name, value) in of {
        let hidden = value.is_sensitive() || [header::SET_COOKIE, header::AUTHORIZATION, header::COOKIE].contains(name);
        let value = if hidden { REDACTED.to_owned() } else { shown(value, confidential) };
        bytes += name.as_str().len() + value.len();
        if fields.len() == HEADERS_MAX || bytes > HEADERS_BYTES_MAX {
            return (fields, true);
        }
        fields.push(HeaderField { name: name.as_str().to_owned(), value });
    }
    (fields, false)
}

fn shown(value: &HeaderValue, confidential: &[String]) -> String {
    let mut text = cleaned(&redacted(&String::from_utf8_lossy(value.as_bytes()), confidential));
    text.truncate(text.floor_char_boundary(VALUE_BYTES_MAX));
    text
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::{HeaderName, StatusCode};

    use super::*;

    fn headers(of: &[(&'static str, &str)]) -> HeaderMap {
        of.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())).collect()
    }

    fn answer(fields: &[(&'static str, &str)], body: &str) -> Answer {
        Answer { status: StatusCode::OK, headers: headers(fields), body: Bytes::copy_from_slice(body.as_bytes()) }
    }

    fn of(answer: Option<&Answer>) -> Exchange {
        let mut sent = headers(&[("webhook-id", "e1"), ("authorization", "Bearer s3cr3t-token"), ("x-key", "own")]);
        sent.get_mut("x-key").unwrap().set_sensitive(true);
        let url = "https://receiver.test/hooks/s3cr3t-token?key=s3cr3t".parse().unwrap();
        exchange(&url, &sent, answer, &["s3cr3t-token".to_owned()])
    }

    #[test]
    fn secrets_are_replaced_wherever_they_stand() {
        let kept = of(Some(&answer(&[("set-cookie", "session=1"), ("x-echo", "got s3cr3t-token")], "token=s3cr3t-token\nok")));
        assert_eq!(kept.url, "https://receiver.test/hooks/[redacted]");
        let sent: Vec<(&str, &str)> = kept.sent.iter().map(|field| (&*field.name, &*field.value)).collect();
        assert_eq!(sent, [("webhook-id", "e1"), ("authorization", REDACTED), ("x-key", REDACTED)]);
        let received = kept.received.unwrap();
        let headers: Vec<(&str, &str)> = received.headers.iter().map(|field| (&*field.name, &*field.value)).collect();
        assert_eq!(headers, [("set-cookie", REDACTED), ("x-echo", "got [redacted]")]);
        assert_eq!((&*received.body, received.cut), ("token=[redacted]\nok", false));
        assert_eq!(of(None).received, None);
    }

    #[test]
    fn what_is_kept_is_bounded_whatever_the_receiver_answers() {
        let long = "é".repeat(10_000);
        let received = of(Some(&answer(&[("x-long", &"x".repeat(10_000))], &long))).received.unwrap();
        assert_eq!((received.headers[0].value.len(), received.body.len(), received.cut), (VALUE_BYTES_MAX, BODY_BYTES_MAX, true));
        let mut many = answer(&[], "a\u{0}b\u{202e}c");
        for _ in 0..1_000 {
            many.headers.append("x", HeaderValue::from_static("y"));
        }
        let received = of(Some(&many)).received.unwrap();
        assert_eq!((received.headers.len(), &*received.body, received.cut), (HEADERS_MAX, "a bc", true));
    }
}
