//! The e-mail channel: one event, one template, one message to an SMTP server.
//!
//! Called by the delivery engine, through [`Channel`], once per try; `server` makes the [`EmailChannel`] and implements
//! [`Accounts`] over the store. It never touches SQL or NATS, never decides when to try again, never sends in clear what was
//! to be sent through TLS, and never logs a password or a message. It exists so that everything about SMTP is decided in
//! one place: what a message looks like ([`request`], pure), how it travels ([`client`], the only IO) and what an answer
//! means ([`reply`], pure).
//!
//! **E-mail is at least once.** If the answer after the final dot is lost, nobody can know whether the server took the
//! message; it is sent again. Every try of a delivery is the same message, byte for byte, with the same `Message-ID` and
//! `Date`, so mail systems that look for duplicates find them; a reader may still see it twice.
//!
//! **Each recipient by itself.** Whoever the server took a message for is not sent to again; whoever it refused for now is tried again;
//! whoever it refused for good makes the delivery a dead letter, and an address that does not exist is not sent to any more
//! ([`Accounts::suppress`]). People who read in different languages or time zones get messages of their own.

mod addressees;
pub mod client;
mod connect;
pub mod probe;
pub mod reply;
pub mod request;
#[cfg(test)]
mod tests;

use std::{
    collections::{HashMap, HashSet},
    fmt,
    sync::Arc,
};

use async_trait::async_trait;
use billwire_delivery::{
    channel::{Attempt, Channel, ChannelAction, Outcome, Recipient, RecipientState, Report},
    payload,
};
use billwire_schemas::{
    events::envelope::Parameters,
    ids::{DeliveryId, EventId, NotificationTemplateId, SmtpAccountId, SystemUserId, TenantId},
    recipient::Recipient as To,
    template::{RenderError, Rendered, Rendering, Translated},
};
use chrono_tz::Tz;
use uuid::Uuid;

use addressees::{Addressee, Reading};
use reply::Failure;
use request::Unsendable;

pub use client::{Client, Settings};

/// How a connection is protected. There is no opportunistic way: what can be stripped protects nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Security {
    /// In clear; for a relay on the same machine or network.
    None,
    /// In clear until STARTTLS, which the server must offer.
    Starttls,
    /// TLS from the first byte.
    Tls,
}

/// A secret that is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(String);

impl Password {
    /// Keeps `secret`.
    pub fn new(secret: impl Into<String>) -> Self {
        Self(secret.into())
    }

    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(***)")
    }
}

/// From where e-mail is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SmtpAccount {
    /// The account's id.
    pub id: SmtpAccountId,
    /// Grows with every change, also with one of the password; connections of older versions are not used again.
    pub version: i64,
    /// Name or address of the server. With TLS, the name its certificate must have.
    pub server: String,
    /// The server's port; see [`SmtpAccount::PORT_DEFAULT`].
    pub port: u16,
    /// How the connection is protected.
    pub security: Security,
    /// The name in the From field; empty for none.
    pub from_name: String,
    /// The address in the From field, and the envelope's sender.
    pub from_address: String,
    /// Whom to log in as; `None`: no login.
    pub username: Option<String>,
    /// The password of that user.
    pub password: Option<Password>,
    /// Connections kept open at the most.
    pub connections: usize,
    /// Recipients of one message at the most; RFC 5321 section 4.5.3.1.8 has servers take 100.
    pub recipients: usize,
}

/// Someone who gets notifications.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SystemUser {
    /// The name.
    pub name: String,
    /// The address.
    pub email: String,
    /// The user's language, a BCP 47 tag.
    pub language: Option<String>,
    /// The time zone in which times are shown.
    pub time_zone: Option<Tz>,
    /// Whether the user receives mail.
    pub active: bool,
}

impl SmtpAccount {
    /// The port of an account that names none.
    pub const PORT_DEFAULT: u16 = 25;
}

/// Where SMTP accounts, templates and what only e-mails may say are found. `server` implements it over the store.
#[async_trait]
pub trait Accounts: Send + Sync + 'static {
    /// The SMTP account with its password in clear; `None` if this tenant has no such account.
    ///
    /// # Errors
    /// Text for the log; the try is not counted.
    async fn smtp_account(&self, tenant: &TenantId, id: SmtpAccountId) -> Result<Option<Arc<SmtpAccount>>, String>;

    /// The template; `None` if this tenant has no such template.
    ///
    /// # Errors
    /// Text for the log; the try is not counted.
    async fn template(&self, tenant: &TenantId, id: NotificationTemplateId) -> Result<Option<Arc<Translated>>, String>;

    /// The system users of a tenant, and the tenant's time zone.
    ///
    /// # Errors
    /// Text for the log; the try is not counted.
    async fn readers(&self, tenant: &TenantId) -> Result<Arc<Readers>, String>;

    /// The event's parameters for e-mail alone (`contact.*`, and what data sources add over a contact), which stand neither on the
    /// stream nor in any webhook.
    ///
    /// # Errors
    /// Text for the log; the try is not counted.
    async fn private_parameters(&self, tenant: &TenantId, event: EventId) -> Result<Parameters, String>;

    /// What a template becomes, or why it never becomes anything. Templates are a tenant's, so this happens outside this process.
    ///
    /// # Errors
    /// Text for the log; the try is not counted.
    async fn render(&self, tenant: &TenantId, rendering: Rendering) -> Result<Result<Rendered, RenderError>, String>;

    /// What became of the recipients at earlier tries of a delivery.
    ///
    /// # Errors
    /// Text for the log; the try is not counted.
    async fn earlier(&self, delivery: DeliveryId) -> Result<Vec<Recipient>, String>;

    /// Which of these addresses are on the tenant's suppression list.
    ///
    /// # Errors
    /// Text for the log; the try is not counted.
    async fn suppressed(&self, tenant: &TenantId, addresses: &[String]) -> Result<HashSet<String>, String>;

    /// Puts an address on the tenant's suppression list, with what its server said.
    ///
    /// # Errors
    /// Text for the log.
    async fn suppress(&self, tenant: &TenantId, delivery: DeliveryId, refused: &Recipient) -> Result<(), String>;
}

/// What an e-mail subscription asks for.
#[derive(Debug, Clone)]
pub struct EmailAction {
    /// The SMTP account that sends.
    pub smtp_account: SmtpAccountId,
    /// The template.
    pub template: NotificationTemplateId,
    /// The recipients.
    pub to: Vec<To>,
    /// The recipients of a copy.
    pub cc: Vec<To>,
    /// The recipients of a copy that the others do not see.
    pub bcc: Vec<To>,
    /// Whether the event itself is attached.
    pub attach_event: bool,
}

impl ChannelAction for EmailAction {
    const CHANNEL: &'static str = "email";

    fn target(&self) -> Option<Uuid> {
        Some(self.smtp_account.0)
    }
}

/// Who can be written to, by a tenant's own list.
#[derive(Debug, Default)]
pub struct Readers {
    /// Its system users.
    pub users: HashMap<SystemUserId, SystemUser>,
    /// The time zone of everybody else.
    pub time_zone: Tz,
}

/// Delivers events as e-mail.
#[derive(Debug)]
pub struct EmailChannel<A> {
    accounts: A,
    client: Arc<Client>,
}

/// A try that has ended before anything was sent.
enum Ended {
    /// We could not look something up.
    NotAttempted(String),
    /// It can never work.
    Hopeless(String),
}

impl From<Unsendable> for Ended {
    fn from(unsendable: Unsendable) -> Self {
        Self::Hopeless(unsendable.to_string())
    }
}

impl<A: Accounts> EmailChannel<A> {
    /// A channel that finds its accounts in `accounts` and sends through `client`.
    pub fn new(accounts: A, client: Arc<Client>) -> Self {
        Self { accounts, client }
    }

    /// Puts the addresses that the server reported as unknown on the suppression list.
    async fn suppress_unknown(&self, attempt: &Attempt, recipients: &[Recipient]) {
        for refused in recipients.iter().filter(|one| reply::is_hard(one)) {
            if let Err(error) = self.accounts.suppress(&attempt.subscription.tenant, attempt.delivery, refused).await {
                tracing::warn!(error, "an unknown address could not be put on the suppression list");
            }
        }
    }

    async fn tried(&self, attempt: &Attempt, action: &EmailAction) -> Result<Outcome, Ended> {
        let tenant = &attempt.subscription.tenant;
        let gone = |what: &str| Ended::Hopeless(format!("the {what} does not exist any more"));
        let account = self.accounts.smtp_account(tenant, action.smtp_account).await.map_err(Ended::NotAttempted)?;
        let account = account.ok_or_else(|| gone("SMTP account"))?;
        let template = self.accounts.template(tenant, action.template).await.map_err(Ended::NotAttempted)?;
        let template = template.ok_or_else(|| gone("notification template"))?;
        let readers = self.accounts.readers(tenant).await.map_err(Ended::NotAttempted)?;
        let private = self.accounts.private_parameters(tenant, attempt.event.id).await.map_err(Ended::NotAttempted)?;
        let parameters: Parameters =
            payload::parameters(&attempt.event, &attempt.subscription).map_err(Ended::Hopeless)?.into_iter().chain(private).collect();

        let (people, missing) = addressees::addressees(action, &readers.users, &parameters);
        if people.is_empty() {
            let why = if missing.is_empty() { "every recipient is inactive".to_owned() } else { missing.join("; ") };
            return Err(Ended::Hopeless(format!("there is no recipient: {why}")));
        }
        // What became of recipients stands in the delivery store; before the first try there is nothing.
        let earlier =
            if attempt.number > 1 { self.accounts.earlier(attempt.delivery).await.map_err(Ended::NotAttempted)? } else { Vec::new() };
        let in_state = |state| earlier.iter().filter(move |one: &&Recipient| one.state == state).map(|one| one.address.clone());
        let reached: HashSet<String> = in_state(RecipientState::Sent).collect();
        // Whoever was refused is not asked again, until a person has the delivery tried anew.
        let anew = attempt.number == attempt.forgiven + 1;
        let refused: HashSet<String> = if anew { HashSet::new() } else { in_state(RecipientState::Refused).collect() };
        let addresses: Vec<String> = people.iter().map(|one| one.address.clone()).collect();
        let suppressed = self.accounts.suppressed(tenant, &addresses).await.map_err(Ended::NotAttempted)?;

        let mut results: Vec<Recipient> = earlier.iter().filter(|one| refused.contains(&one.address)).cloned().collect();
        let mut last = Ok(Report::default());
        let mut readings: Vec<&Reading> = Vec::new();
        for one in &people {
            if !readings.contains(&&one.reading) {
                readings.push(&one.reading);
            }
        }
        'all: for reading in readings {
            let group: Vec<Addressee> = people.iter().filter(|one| one.reading == *reading).cloned().collect();
            let (held, pending): (Vec<&Addressee>, Vec<&Addressee>) = group
                .iter()
                .filter(|one| !reached.contains(&one.address) && !refused.contains(&one.address))
                .partition(|one| suppressed.contains(&one.address.to_lowercase()));
            let detail = "on the suppression list".to_owned();
            let state = RecipientState::Suppressed;
            results.extend(held.iter().map(|one| Recipient { address: one.address.clone(), state, status: None, detail: detail.clone() }));
            if pending.is_empty() {
                continue;
            }
            let identity = request::Identity::of(&attempt.event, attempt.subscription.id, &parameters, reading)?;
            let rendering = request::rendering(&template, &parameters, reading, readers.time_zone);
            let rendered = self.accounts.render(tenant, rendering).await.map_err(Ended::NotAttempted)?.map_err(Unsendable::Template)?;
            let attached = action.attach_event.then(|| ("event.json".to_owned(), attempt.event.body.to_vec()));
            let content = request::compose(&identity, &account, &group, rendered, attached)?;
            for some in pending.chunks(account.recipients.max(1)) {
                match self.client.send(&account, &request::envelope(&account, some, content.clone())?).await {
                    Ok((found, report)) => {
                        self.suppress_unknown(attempt, &found).await;
                        results.extend(found);
                        last = Ok(report);
                    }
                    Err(failure) => {
                        results.extend(some.iter().map(|one| unreached(&one.address, &failure)));
                        last = Err(failure);
                        break 'all;
                    }
                }
            }
        }
        Ok(reply::outcome(results, last, !reached.is_empty()))
    }
}

/// What became of a recipient when the message itself failed.
fn unreached(address: &str, failure: &Failure) -> Recipient {
    let state = if failure.is_final() { RecipientState::Refused } else { RecipientState::Deferred };
    let report = failure.report();
    Recipient { address: address.to_owned(), state, status: report.status, detail: report.detail }
}

#[async_trait]
impl<A: Accounts> Channel for EmailChannel<A> {
    type Action = EmailAction;

    async fn attempt(&self, attempt: &Attempt, action: &EmailAction) -> Outcome {
        match self.tried(attempt, action).await {
            Ok(outcome) => outcome,
            Err(Ended::NotAttempted(reason)) => Outcome::NotAttempted(reason),
            Err(Ended::Hopeless(why)) => Outcome::GiveUp(Report::new(None, why)),
        }
    }
}
