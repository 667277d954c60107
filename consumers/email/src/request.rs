//! What is sent: an event, a template and recipients become one message. Pure: the same input gives the same bytes.

use std::time::SystemTime;

use billwire_delivery::event::Event;
use billwire_schemas::{
    clock::Timestamp,
    events::envelope::{Envelope, Parameters},
    ids::{DeliveryId, SubscriptionId},
    template::{self, RenderError, Rendered, Template},
};
use lettre::{
    Address, Message,
    message::{
        Mailbox, MultiPart, SinglePart,
        header::{HeaderName, HeaderValue},
    },
};

use crate::SmtpAccount;

/// Why no message can be made. Another try would fail the same way.
#[derive(Debug, thiserror::Error)]
pub enum Unsendable {
    /// The event's body is not one of our messages.
    #[error("the event cannot be read: {0}")]
    Event(serde_json::Error),
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
    /// The `Date`.
    pub date: Timestamp,
    /// Parts the bodies from each other. Nobody who writes a template or a parameter can know it.
    pub boundary: String,
}

/// The message that tells `to` of `event`, with `more` parameters than stand in it.
///
/// # Errors
/// [`Unsendable`].
pub fn message(
    event: &Event,
    more: Parameters,
    subscription: SubscriptionId,
    account: &SmtpAccount,
    template: &Template,
    to: &[String],
) -> Result<Message, Unsendable> {
    let envelope: Envelope = serde_json::from_slice(&event.body).map_err(Unsendable::Event)?;
    let mut parameters = envelope.data.parameters;
    parameters.extend(more);
    let rendered = template::render(template, &parameters)?;
    let identity = Identity {
        local_id: format!("{}.{subscription}", event.id),
        date: envelope.time,
        boundary: format!("billwire-{}", DeliveryId::of(event.id, subscription).0.simple()),
    };
    compose(&identity, account, to, rendered)
}

/// A message with this content; also what a test e-mail is made with.
///
/// # Errors
/// [`Unsendable::Address`] and [`Unsendable::Refused`].
pub fn compose(identity: &Identity, account: &SmtpAccount, to: &[String], rendered: Rendered) -> Result<Message, Unsendable> {
    let from = address(&account.from_address)?;
    let message_id = format!("<{}@{}>", identity.local_id, from.domain());
    let name = account.from_name.trim();
    if name.chars().any(char::is_control) || rendered.subject.chars().any(char::is_control) {
        return Err(Unsendable::Refused("a header has a line break or another control character in it".to_owned()));
    }
    if to.is_empty() {
        return Err(Unsendable::Refused("there is no recipient".to_owned()));
    }
    let mut builder = Message::builder()
        .from(Mailbox::new((!name.is_empty()).then(|| name.to_owned()), from))
        .subject(rendered.subject)
        .message_id(Some(message_id))
        .date(date(identity.date)?)
        // RFC 3834: no out-of-office answers to this, please.
        .raw_header(HeaderValue::new(HeaderName::new_from_ascii_str("Auto-Submitted"), "auto-generated".to_owned()));
    for recipient in to {
        builder = builder.to(Mailbox::new(None, address(recipient)?));
    }
    let text = SinglePart::plain(rendered.text);
    match rendered.html {
        None => builder.singlepart(text),
        Some(html) => {
            builder.multipart(MultiPart::alternative().boundary(&identity.boundary).singlepart(text).singlepart(SinglePart::html(html)))
        }
    }
    .map_err(|error| Unsendable::Refused(error.to_string()))
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
