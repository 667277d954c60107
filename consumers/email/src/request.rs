//! What is sent: an event, a template and recipients become one message. Pure: the same input gives the same bytes.

use std::time::SystemTime;

use billwire_delivery::event::Event;
use billwire_schemas::{
    clock::Timestamp,
    events::envelope::Parameters,
    ids::{DeliveryId, SubscriptionId},
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
    client::Envelope,
};

/// Why no message can be made. Another try would fail the same way.
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

/// What makes a message this one and no other; equal over all tries of a delivery.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The part of the `Message-ID` before the `@`.
    pub local_id: String,
    /// What all messages of one conversation have in common, as such a part: mail programs show them together.
    pub thread: Option<String>,
    /// The `Date`.
    pub date: Timestamp,
    /// Parts the bodies from each other. Nobody who writes a template or a parameter can know it.
    pub boundary: String,
}

impl Identity {
    /// Of the message that tells people who read like this of an event.
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
) -> Result<Vec<u8>, Unsendable> {
    let from = sender(account)?;
    let message_id = |local: &str| format!("<{local}@{}>", from.domain());
    let name = account.from_name.trim();
    let control = |text: &str| text.chars().any(char::is_control);
    if control(name) || control(&rendered.subject) {
        return Err(Unsendable::Refused("a header has a line break or another control character in it".to_owned()));
    }
    let mut builder = Message::builder()
        .from(Mailbox::new((!name.is_empty()).then(|| name.to_owned()), from.clone()))
        .subject(rendered.subject)
        .message_id(Some(message_id(&identity.local_id)))
        .date(date(identity.date)?)
        // RFC 3834: no out-of-office answers to this, please.
        .raw_header(HeaderValue::new(HeaderName::new_from_ascii_str("Auto-Submitted"), "auto-generated".to_owned()));
    if let Some(thread) = &identity.thread {
        builder = builder.references(message_id(thread)).in_reply_to(message_id(thread));
    }
    let mut shown = false;
    for one in people {
        // A name is shown only where it cannot be taken for anything else.
        let name = one.name.clone().filter(|name| !control(name) && !name.contains(['"', '<', '>', '@', ',', ';']));
        let mailbox = Mailbox::new(name, address(&one.address)?);
        builder = match one.role {
            Role::To => builder.to(mailbox),
            Role::Cc => builder.cc(mailbox),
            Role::Bcc => builder,
        };
        shown |= one.role != Role::Bcc;
    }
    if !shown {
        builder = builder.raw_header(HeaderValue::new(HeaderName::new_from_ascii_str("To"), "undisclosed-recipients:;".to_owned()));
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

/// The content on its way to some of its recipients.
///
/// # Errors
/// [`Unsendable::Address`].
pub fn envelope(account: &SmtpAccount, to: &[&Addressee], content: Vec<u8>) -> Result<Envelope, Unsendable> {
    let to = to.iter().map(|one| address(&one.address)).collect::<Result<_, _>>()?;
    Ok(Envelope { from: sender(account)?, to, content })
}

/// The account's address.
///
/// # Errors
/// [`Unsendable::Address`].
pub fn sender(account: &SmtpAccount) -> Result<Address, Unsendable> {
    address(&account.from_address)
}

fn address(text: &str) -> Result<Address, Unsendable> {
    text.parse().map_err(|_| Unsendable::Address(text.to_owned()))
}

/// Header dates end with the year 9999 and begin, in the crate that writes them, with 1970: outside, it panics.
fn date(moment: Timestamp) -> Result<SystemTime, Unsendable> {
    let representable = 0..253_402_300_800;
    if !representable.contains(&moment.timestamp()) {
        return Err(Unsendable::Refused(format!("no e-mail can be dated {moment}")));
    }
    Ok(moment.into())
}
