//! Reading a mail: headers, encoded words and MIME parts (RFC 5322, 2045-2047), as far as people need to see what was sent.

use base64::{Engine, engine::general_purpose::STANDARD};
use billwire_schemas::clock::Timestamp;
use serde_json::{Value, json};

/// How deep parts may lie in parts; what lies deeper is left out.
const DEPTH_MAX: usize = 8;

/// One mail as it came.
#[derive(Debug)]
pub struct Mail {
    /// When its last line was there.
    pub received_at: Timestamp,
    /// The sender on the envelope.
    pub from: String,
    /// The recipients on the envelope.
    pub to: Vec<String>,
    /// The subject, decoded.
    pub subject: String,
    /// The plain text part.
    pub text: Option<String>,
    /// The HTML part.
    pub html: Option<String>,
    /// All headers, unfolded and decoded.
    pub headers: Vec<(String, String)>,
    /// Everything as it came.
    pub raw: String,
}

impl Mail {
    /// Reads a mail. Nothing is refused: what cannot be understood is shown as it is.
    pub fn read(from: String, to: Vec<String>, raw: &[u8], received_at: Timestamp) -> Self {
        let mut parts = Parts::default();
        let headers = parts.collect(raw, 0);
        let headers: Vec<_> = headers.into_iter().map(|(name, value)| (name, decoded_words(&value))).collect();
        let subject = header(&headers, "subject").unwrap_or_default().to_owned();
        Self { received_at, from, to, subject, text: parts.text, html: parts.html, headers, raw: String::from_utf8_lossy(raw).into_owned() }
    }

    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        header(&self.headers, name)
    }

    /// The event it tells of: the first part of the `Message-ID` that the gateway gives.
    pub fn event(&self) -> Option<&str> {
        self.header("message-id")?.strip_prefix('<')?.split('.').next()
    }

    /// As `/mails.json` shows it.
    pub fn json(&self) -> Value {
        let headers: Vec<Value> = self.headers.iter().map(|(name, value)| json!({ "name": name, "value": value })).collect();
        json!({ "receivedAt": self.received_at, "from": self.from, "to": self.to, "subject": self.subject, "text": self.text,
                "html": self.html, "headers": headers, "raw": self.raw })
    }
}

fn header<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
}

/// The first part of each kind.
#[derive(Default)]
struct Parts {
    text: Option<String>,
    html: Option<String>,
}

impl Parts {
    /// Reads an entity and the parts in it; gives its own headers.
    fn collect(&mut self, entity: &[u8], depth: usize) -> Vec<(String, String)> {
        let (head, body) = split_head(entity);
        let headers = unfolded(head);
        let kind = header(&headers, "content-type").unwrap_or("text/plain").to_owned();
        let media = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        if media.starts_with("multipart/") {
            if let Some(boundary) = parameter(&kind, "boundary").filter(|_| depth < DEPTH_MAX) {
                for part in split_parts(body, &boundary) {
                    self.collect(part, depth + 1);
                }
            }
            return headers;
        }
        let place = match media.as_str() {
            "text/plain" => &mut self.text,
            "text/html" => &mut self.html,
            _ => return headers,
        };
        if place.is_none() {
            let encoding = header(&headers, "content-transfer-encoding").unwrap_or_default().trim().to_ascii_lowercase();
            let bytes = match encoding.as_str() {
                "base64" => base64(body).unwrap_or_else(|| body.to_vec()),
                "quoted-printable" => quoted_printable(body),
                _ => body.to_vec(),
            };
            *place = Some(String::from_utf8_lossy(&bytes).replace("\r\n", "\n"));
        }
        headers
    }
}

/// Head and body, parted by the first empty line.
fn split_head(entity: &[u8]) -> (&[u8], &[u8]) {
    if let Some(body) = entity.strip_prefix(b"\r\n") {
        return (&[], body);
    }
    match entity.windows(4).position(|four| four == b"\r\n\r\n") {
        Some(at) => (&entity[..at + 2], &entity[at + 4..]),
        None => (entity, &[]),
    }
}

/// Names and values; a line that starts with a blank goes on with the one before.
fn unfolded(head: &[u8]) -> Vec<(String, String)> {
    let mut headers: Vec<(String, String)> = Vec::new();
    for line in String::from_utf8_lossy(head).split("\r\n").filter(|line| !line.is_empty()) {
        if line.starts_with([' ', '\t']) {
            if let Some((_, value)) = headers.last_mut() {
                value.push_str(line);
            }
        } else if let Some((name, value)) = line.split_once(':') {
            headers.push((name.to_owned(), value.to_owned()));
        }
    }
    headers.into_iter().map(|(name, value)| (name, value.trim().to_owned())).collect()
}

/// `name="value"` or `name=value` of a structured header.
fn parameter(value: &str, name: &str) -> Option<String> {
    value.split(';').skip(1).find_map(|part| {
        let (n, v) = part.split_once('=')?;
        n.trim().eq_ignore_ascii_case(name).then(|| v.trim().trim_matches('"').to_owned())
    })
}

/// What stands between the lines `--boundary`, up to `--boundary--`.
fn split_parts<'a>(body: &'a [u8], boundary: &str) -> Vec<&'a [u8]> {
    let delimiter = format!("--{boundary}");
    let (mut parts, mut start, mut at) = (Vec::new(), None, 0);
    for line in body.split_inclusive(|byte| *byte == b'\n') {
        let text = line.trim_ascii_end();
        if let Some(rest) = text.strip_prefix(delimiter.as_bytes()).filter(|rest| rest.is_empty() || *rest == b"--") {
            if let Some(from) = start {
                // The line break before the delimiter belongs to it.
                let part: &[u8] = body.get(from..at).unwrap_or_default();
                parts.push(part.strip_suffix(b"\r\n").unwrap_or(part));
            }
            start = rest.is_empty().then_some(at + line.len());
        }
        at += line.len();
    }
    parts
}

fn base64(text: &[u8]) -> Option<Vec<u8>> {
    let text: Vec<u8> = text.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
    STANDARD.decode(text).ok()
}

fn quoted_printable(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'=' {
            out.push(byte);
            continue;
        }
        if let Some(next_line) = after.strip_prefix(b"\r\n") {
            rest = next_line;
        } else if let Some(byte) = after.get(..2).and_then(hex) {
            out.push(byte);
            rest = &after[2..];
        } else {
            out.push(byte);
        }
    }
    out
}

fn hex(pair: &[u8]) -> Option<u8> {
    u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()
}

/// Decodes `=?utf-8?b?…?=` and `=?utf-8?q?…?=`. Blanks between two of them mean nothing (RFC 2047 section 6.2).
fn decoded_words(value: &str) -> String {
    let (mut out, mut rest, mut after_word) = (String::new(), value, false);
    // Bytes wait here, since a character may begin in one word and end in the next.
    let mut pending: Vec<u8> = Vec::new();
    while let Some(start) = rest.find("=?") {
        let Some((bytes, length)) = word(&rest[start..]) else { break };
        let between = &rest[..start];
        if !(after_word && between.trim().is_empty()) {
            out.push_str(&String::from_utf8_lossy(&std::mem::take(&mut pending)));
            out.push_str(between);
        }
        pending.extend(bytes);
        rest = &rest[start + length..];
        after_word = true;
    }
    out.push_str(&String::from_utf8_lossy(&pending));
    out.push_str(rest);
    out
}

/// The bytes of the encoded word that `text` starts with, and how long it is.
fn word(text: &str) -> Option<(Vec<u8>, usize)> {
    let mut fields = text.strip_prefix("=?")?.splitn(4, '?');
    let (charset, encoding, content, end) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
    end.starts_with('=').then_some(())?;
    let bytes = match encoding.to_ascii_lowercase().as_str() {
        "b" => base64(content.as_bytes())?,
        "q" => quoted_printable(content.replace('_', " ").as_bytes()),
        _ => return None,
    };
    Some((bytes, charset.len() + encoding.len() + content.len() + "=???".len() + "?=".len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(raw: &str) -> Mail {
        Mail::read("a@b.example".into(), vec![], raw.replace('\n', "\r\n").as_bytes(), Timestamp::UNIX_EPOCH)
    }

    const BOTH_PARTS: &str = concat!(
        "From: Billing <a@b.example>\nMessage-ID:\n <0198c0de.sub@b.example>\n",
        "Subject: =?utf-8?b?WsOk?=\n =?UTF-8?Q?hler_ab=C3=BC?= for Acme\nMIME-Version: 1.0\n",
        "Content-Type: multipart/alternative;\n boundary=\"one-two\"\n\nignored\n",
        "--one-two\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\n",
        "Dear =C3=84mter,\nlong line =\njoined =3D yes\n",
        "--one-two\nContent-Type: text/html\nContent-Transfer-Encoding: base64\n\nPHA+aGk8\nL3A+\n--one-two--\ntrailer\n",
    );

    #[test]
    fn both_parts_and_the_subject_are_decoded() {
        let mail = read(BOTH_PARTS);
        assert_eq!(mail.subject, "Zähler abü for Acme");
        assert_eq!(mail.text.as_deref(), Some("Dear Ämter,\nlong line joined = yes"));
        assert_eq!(mail.html.as_deref(), Some("<p>hi</p>"));
        assert_eq!(mail.event(), Some("0198c0de"));
    }

    #[test]
    fn what_cannot_be_understood_is_shown_as_it_is() {
        let mail = read("Subject: =?utf-8?b?%%?= and =?broken\n\nplain\n");
        assert_eq!((mail.subject.as_str(), mail.text.as_deref()), ("=?utf-8?b?%%?= and =?broken", Some("plain\n")));
        assert_eq!(read("").text.as_deref(), Some(""));
        assert_eq!(read("Content-Type: multipart/mixed\n\nx").text, None);
    }
}
