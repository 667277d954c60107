//! A mail as the mailbox shows it.

use billwire_schemas::clock::Timestamp;
use mail_parser::{Header, Message, MessageParser, PartType};
use serde_json::{Value, json};

/// One mail as it came.
#[derive(Debug)]
pub struct Mail {
    /// When the mail was complete.
    pub received_at: Timestamp,
    /// The envelope's sender.
    pub from: String,
    /// The envelope's recipients.
    pub to: Vec<String>,
    /// The subject, decoded.
    pub subject: String,
    /// The plain text part.
    pub text: Option<String>,
    /// The HTML part.
    pub html: Option<String>,
    /// All headers, unfolded and decoded.
    pub headers: Vec<(String, String)>,
    /// The whole mail as it came.
    pub raw: String,
}

impl Mail {
    /// Reads a mail. Never fails: what cannot be parsed is shown as it is.
    pub fn read(from: String, to: Vec<String>, raw: &[u8], received_at: Timestamp) -> Self {
        let parsed = MessageParser::new().with_mime_headers().default_header_text().parse(raw);
        let raw = String::from_utf8_lossy(raw).into_owned();
        let Some(message) = parsed else {
            let text = Some(raw.clone());
            return Self { received_at, from, to, subject: String::new(), text, html: None, headers: Vec::new(), raw };
        };
        let part = |kind: fn(&PartType<'_>) -> Option<String>| message.parts.iter().find_map(|part| kind(&part.body));
        let text = part(|body| if let PartType::Text(text) = body { Some(text.replace("\r\n", "\n")) } else { None });
        let html = part(|body| if let PartType::Html(html) = body { Some(html.replace("\r\n", "\n")) } else { None });
        let headers = message.headers().iter().map(|header| (header.name().to_owned(), value(&message, header))).collect();
        let subject = message.subject().unwrap_or_default().to_owned();
        Self { received_at, from, to, subject, text, html, headers, raw }
    }

    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The id of the event that the mail is about: the first part of the `Message-ID` that the gateway sets.
    pub fn event(&self) -> Option<&str> {
        self.header("message-id")?.strip_prefix('<')?.split('.').next()
    }

    /// The mail in `/mails.json`.
    pub fn json(&self) -> Value {
        let headers: Vec<Value> = self.headers.iter().map(|(name, value)| json!({ "name": name, "value": value })).collect();
        json!({ "receivedAt": self.received_at, "from": self.from, "to": self.to, "subject": self.subject, "text": self.text,
                "html": self.html, "headers": headers, "raw": self.raw })
    }
}

/// A header's value: decoded, or as it came where the parser gives it a structure.
fn value(message: &Message<'_>, header: &Header<'_>) -> String {
    let raw = || {
        let bytes = message.raw_message.get(header.offset_start() as usize..header.offset_end() as usize).unwrap_or_default();
        String::from_utf8_lossy(bytes).replace("\r\n", "").trim().to_owned()
    };
    header.value().as_text().map_or_else(raw, str::to_owned)
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
    fn what_cannot_be_parsed_is_shown_as_it_is() {
        let mail = read("Subject: =?utf-8?b?%%?= and =?broken\n\nplain\n");
        assert_eq!((mail.subject.as_str(), mail.text.as_deref()), ("=?utf-8?b?%%?= and =?broken", Some("plain\n")));
        assert_eq!(read("").text.as_deref(), Some(""));
        assert_eq!(read("Content-Type: multipart/mixed\n\nx").text, None);
    }
}
