//! What is sent: an event, a template and recipients become one message. Pure: the same input gives the same bytes.

use std::time::SystemTime;

use base64::{Engine, engine::general_purpose::STANDARD};
use billwire_delivery::event::Event;
use billwire_schemas::{
    clock::Timestamp,
    events::envelope::Parameters,
    ids::{DeliveryId, SubscriptionId},
    recipient::with_ascii_domain,
    template::{RenderError, Rendered, Rendering, Translated},
};
use chrono_tz::Tz;
use lettre::{
    Address, Message,
    message::{
        Attachment, Mailbox, MultiPart, SinglePart,
        header::{ContentType, HeaderName, HeaderValue},
    },
};

use crate::{
    SmtpAccount,
    addressees::{Addressee, Reading, Role},
    client::{Content, Envelope, Target},
};

/// Why no message can be made. Another attempt would fail the same way.
#[derive(Debug, thiserror::Error)]
pub enum Unsendable {
    /// The template fails on this event.
    #[error("the template cannot be rendered: {0}")]
    Template(#[from] RenderError),
    /// The sender or a recipient is no address.
    #[error("{0:?} is not an e-mail address")]
    Address(String),
    /// Something else that no message may have.
    #[error("{0}")]
    Refused(String),
}

/// What identifies a message; the same in all attempts of a delivery.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The part of the `Message-ID` before the `@`.
    pub local_id: String,
    /// What all messages of one conversation have in common, as such a part: mail programs show them together.
    pub thread: Option<String>,
    /// The `Date`.
    pub date: Timestamp,
    /// Separates the bodies from each other. Nobody who writes a template or a parameter can know it.
    pub boundary: String,
}

impl Identity {
    /// The identity of the message about an event to people with this reading.
    ///
    /// # Errors
    /// [`Unsendable::Refused`]: the event has no time.
    pub fn of(event: &Event, subscription: SubscriptionId, parameters: &Parameters, reading: &Reading) -> Result<Self, Unsendable> {
        // Whoever reads in another language or time zone gets another message.
        let tag = |text: &str| text.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_lowercase();
        let language = reading.language.iter().map(|language| format!(".{}", tag(language)));
        let zone = reading.zone.iter().map(|zone| format!(".{}", tag(zone.name())));
        let json = event.json().map_err(Unsendable::Refused)?;
        let time = json["time"].as_str().and_then(|time| time.parse().ok());
        Ok(Self {
            local_id: [format!("{}.{subscription}", event.id)].into_iter().chain(language).chain(zone).collect(),
            thread: parameters.get("account.id").and_then(|id| id.as_str()).map(|id| format!("account.{}", tag(id))),
            date: time.ok_or_else(|| Unsendable::Refused("the event has no time".to_owned()))?,
            boundary: format!("billwire-{}", DeliveryId::of(event.id, subscription).0.simple()),
        })
    }
}

/// What is to be rendered for someone who reads like this.
pub fn rendering(template: &Translated, parameters: &Parameters, reading: &Reading, zone: Tz) -> Rendering {
    let (language, parts) = template.lookup(reading.language.as_deref());
    Rendering { parts: parts.clone(), parameters: parameters.clone(), language: language.to_owned(), zone: reading.zone.unwrap_or(zone) }
}

/// A message with this content to these people, who all stand in its headers as their roles say; `attached`: a JSON document and its name.
///
/// # Errors
/// [`Unsendable::Address`] and [`Unsendable::Refused`].
pub fn compose(
    identity: &Identity,
    account: &SmtpAccount,
    people: &[Addressee],
    rendered: Rendered,
    attached: Option<(String, Vec<u8>)>,
) -> Result<Content, Unsendable> {
    let all: Vec<_> = people.iter().map(|one| Ok((one, wire(&one.address)?))).collect::<Result<_, Unsendable>>()?;
    let ascii: Vec<_> = all.iter().filter(|(_, wire)| wire.is_ascii()).cloned().collect();
    if all.len() == ascii.len() {
        return Ok(Content { whole: message(identity, account, &all, rendered, attached)?, ascii: None });
    }
    let ascii = message(identity, account, &ascii, rendered.clone(), attached.clone())?;
    Ok(Content { whole: message(identity, account, &all, rendered, attached)?, ascii: Some(ascii) })
}

/// [`compose`], with each person's address as it is sent.
fn message(
    identity: &Identity,
    account: &SmtpAccount,
    people: &[(&Addressee, String)],
    rendered: Rendered,
    attached: Option<(String, Vec<u8>)>,
) -> Result<Vec<u8>, Unsendable> {
    let from = sender(account)?;
    let (local, domain) = from.rsplit_once('@').unwrap_or_default();
    let message_id = |local: &str| format!("<{local}@{domain}>");
    // The gateway's rule for addresses holds, not the library's, which knows fewer scripts.
    let from = Address::new_dangerous(local, domain);
    let name = account.from_name.trim();
    if is_controlled(name) || is_controlled(&rendered.subject) {
        return Err(Unsendable::Refused("a header has a line break or another control character in it".to_owned()));
    }
    let mut builder = Message::builder()
        .from(Mailbox::new((!name.is_empty()).then(|| name.to_owned()), from.clone()))
        .raw_header(subject(rendered.subject))
        .message_id(Some(message_id(&identity.local_id)))
        .date(date(identity.date)?)
        // RFC 3834: no out-of-office answers to this, please.
        .raw_header(HeaderValue::new(HeaderName::new_from_ascii_str("Auto-Submitted"), "auto-generated".to_owned()));
    if let Some(thread) = &identity.thread {
        builder = builder.references(message_id(thread)).in_reply_to(message_id(thread));
    }
    for header in recipients(people) {
        builder = builder.raw_header(header);
    }
    // The library insists on an envelope of its own; ours is beside the message.
    let envelope = lettre::address::Envelope::new(Some(from.clone()), vec![from.clone()]);
    builder = builder.envelope(envelope.map_err(|error| Unsendable::Refused(error.to_string()))?);
    let text = SinglePart::plain(rendered.text);
    let alternative =
        |html| MultiPart::alternative().boundary(&identity.boundary).singlepart(text.clone()).singlepart(SinglePart::html(html));
    let bodies = rendered.html.map(alternative);
    let message = match (bodies, attached) {
        (None, None) => builder.singlepart(text),
        (Some(bodies), None) => builder.multipart(bodies),
        (bodies, Some((name, content))) => {
            let mixed = MultiPart::mixed().boundary(format!("{}-mixed", identity.boundary));
            let json = ContentType::parse("application/json").map_err(|error| Unsendable::Refused(error.to_string()))?;
            let attachment = Attachment::new(name).body(content, json);
            builder.multipart(match bodies {
                None => mixed.singlepart(text).singlepart(attachment),
                Some(bodies) => mixed.multipart(bodies).singlepart(attachment),
            })
        }
    };
    Ok(message.map_err(|error| Unsendable::Refused(error.to_string()))?.formatted())
}

/// The headers that name the recipients, folded between them, so that no line becomes too long however many they are.
fn recipients(people: &[(&Addressee, String)]) -> Vec<HeaderValue> {
    let header = |name, value: String| HeaderValue::dangerous_new_pre_encoded(HeaderName::new_from_ascii_str(name), value.clone(), value);
    let of = |role| {
        let mailboxes = people.iter().filter(move |(one, _)| one.role == role).map(|(one, wire)| match shown_name(one) {
            Some(name) => format!("{name} <{wire}>"),
            None => wire.clone(),
        });
        folded(mailboxes)
    };
    let named = [("To", of(Role::To)), ("Cc", of(Role::Cc))].into_iter().filter(|(_, value)| !value.is_empty());
    let headers: Vec<HeaderValue> = named.map(|(name, value)| header(name, value)).collect();
    if headers.is_empty() { vec![header("To", "undisclosed-recipients:;".to_owned())] } else { headers }
}

/// A list of mailboxes, with a line break before each that does not fit into the line.
fn folded(mailboxes: impl Iterator<Item = String>) -> String {
    let joined = mailboxes.reduce(|list, mailbox| {
        let line = list.rsplit("\r\n").next().unwrap_or_default();
        let separator = if "Cc: , ".len() + line.len() + mailbox.len() < LINE_CHARS { ", " } else { ",\r\n " };
        format!("{list}{separator}{mailbox}")
    });
    joined.unwrap_or_default()
}

/// A name as it stands before an address, where it cannot be taken for anything else.
fn shown_name(one: &Addressee) -> Option<String> {
    let name = one.name.as_deref().map(str::trim).filter(|name| !name.is_empty())?;
    let atoms = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~ ".contains(c);
    if is_controlled(name) || name.contains(['"', '<', '>', '@', ',', ';']) {
        return None;
    }
    let plain = name.len() <= WORD_BYTES_MAX && name.chars().all(atoms) && !name.contains("=?");
    Some(if plain { name.to_owned() } else { encoded(name) })
}

/// Where lines of headers are folded (RFC 5322 section 2.1.1).
const LINE_CHARS: usize = 78;
/// Longest word that a header has as it is; encoded words can be folded, others cannot. RFC 5322 section 2.1.1 allows 998 in a line.
const WORD_BYTES_MAX: usize = 200;
/// Bytes of text in an encoded word, which has 75 characters at most (RFC 2047 section 2).
const ENCODED_BYTES_MAX: usize = 45;

fn subject(text: String) -> HeaderValue {
    let name = HeaderName::new_from_ascii_str("Subject");
    if text.split(' ').all(|word| word.len() <= WORD_BYTES_MAX) {
        return HeaderValue::new(name, text);
    }
    let encoded = encoded(&text);
    HeaderValue::dangerous_new_pre_encoded(name, text, encoded)
}

/// A text in encoded words (RFC 2047), each on a line of its own.
fn encoded(text: &str) -> String {
    let (mut words, mut rest) = (Vec::new(), text);
    while !rest.is_empty() {
        let (word, after) = rest.split_at(rest.floor_char_boundary(ENCODED_BYTES_MAX));
        words.push(format!("=?utf-8?b?{}?=", STANDARD.encode(word)));
        rest = after;
    }
    words.join("\r\n ")
}

fn is_controlled(text: &str) -> bool {
    text.chars().any(char::is_control)
}

/// The envelope of a message to some of its recipients.
///
/// # Errors
/// [`Unsendable::Address`].
pub fn envelope(account: &SmtpAccount, to: &[&Addressee], content: Content) -> Result<Envelope, Unsendable> {
    let target = |one: &&Addressee| Ok(Target { address: one.address.clone(), wire: wire(&one.address)? });
    Ok(Envelope { from: sender(account)?, to: to.iter().map(target).collect::<Result<_, Unsendable>>()?, content })
}

/// The account's address, with its domain in ASCII.
///
/// # Errors
/// [`Unsendable::Address`].
pub fn sender(account: &SmtpAccount) -> Result<String, Unsendable> {
    wire(&account.from_address)
}

fn wire(address: &str) -> Result<String, Unsendable> {
    with_ascii_domain(address).ok_or_else(|| Unsendable::Address(address.to_owned()))
}

/// Header dates end with the year 9999 and begin, in the crate that writes them, with 1970: outside, it panics.
fn date(moment: Timestamp) -> Result<SystemTime, Unsendable> {
    let representable = 0..253_402_300_800;
    if !representable.contains(&moment.timestamp()) {
        return Err(Unsendable::Refused(format!("no e-mail can be dated {moment}")));
    }
    Ok(moment.into())
}
