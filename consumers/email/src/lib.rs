//! The e-mail channel: one event, one template, one message to an SMTP server.
//!
//! Called by the delivery engine, through [`Channel`], once per attempt; `server` creates the [`EmailChannel`] and implements
//! [`Accounts`] over the store. It never touches SQL or NATS, never decides when the next attempt is, never sends in clear what
//! an account wants encrypted, and never logs a password or a message. It exists so that everything about SMTP is decided in
//! one place: what a message looks like ([`request`], pure), how it is sent ([`client`], `connect` and `session`, the only IO) and what a
//! reply means ([`reply`], pure).
//!
//! **E-mail is at least once.** If the reply after the final dot is lost, nobody can know whether the server accepted the
//! message; it is sent again. Every attempt of a delivery sends the same message, byte for byte, with the same `Message-ID` and
//! `Date`, so that mail systems that look for duplicates find them; a reader may still see it twice.
//!
//! **Each recipient alone.** A recipient for whom the server accepted a message gets no second one. A recipient refused for now is tried
//! again. A recipient refused for good makes the delivery a dead letter, and an address that does not exist goes on the suppression list
//! ([`Accounts::suppress`]). People who read in different languages or time zones get messages of their own, and the failure of one message
//! does not stop the others, unless it is the server or the account that failed.

mod addressees;
pub mod client;
mod connect;
pub mod probe;
pub mod reply;
pub mod request;
mod results;
mod session;
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
use client::Content;
use reply::{Cause, Stage};
use request::Unsendable;
use results::Results;

pub use client::{Client, Settings};

/// How a connection is encrypted. Never opportunistically: encryption that an attacker can strip protects nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Security {
    /// Unencrypted; for a relay on the same machine or network.
    None,
    /// Unencrypted until STARTTLS, which the server must offer.
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
    /// The user to log in as; `None`: no login.
    pub username: Option<String>,
    /// The password of that user.
    pub password: Option<Password>,
    /// Maximum number of connections kept open.
    pub connections: usize,
    /// Maximum number of recipients of one message; RFC 5321 section 4.5.3.1.8 has servers accept 100.
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

/// Access to SMTP accounts, templates and the parameters for e-mail alone. `server` implements it over the store.
#[async_trait]
pub trait Accounts: Send + Sync + 'static {
    /// The SMTP account with its password in clear; `None` if this tenant has no such account.
    ///
    /// # Errors
    /// Text for the log; the attempt does not count.
    async fn smtp_account(&self, tenant: &TenantId, id: SmtpAccountId) -> Result<Option<Arc<SmtpAccount>>, String>;

    /// The template; `None` if this tenant has no such template.
    ///
    /// # Errors
    /// Text for the log; the attempt does not count.
    async fn template(&self, tenant: &TenantId, id: NotificationTemplateId) -> Result<Option<Arc<Translated>>, String>;

    /// The system users of a tenant, and the tenant's time zone.
    ///
    /// # Errors
    /// Text for the log; the attempt does not count.
    async fn readers(&self, tenant: &TenantId) -> Result<Arc<Readers>, String>;

    /// The event's parameters for e-mail alone (`contact.*`, and what data sources add over a contact), which stand neither on the
    /// stream nor in any webhook.
    ///
    /// # Errors
    /// Text for the log; the attempt does not count.
    async fn private_parameters(&self, tenant: &TenantId, event: EventId) -> Result<Parameters, String>;

    /// The rendered template, or why it cannot be rendered. Tenants write templates, so this happens outside this process.
    ///
    /// # Errors
    /// Text for the log; the attempt does not count.
    async fn render(&self, tenant: &TenantId, rendering: Rendering) -> Result<Result<Rendered, RenderError>, String>;

    /// The results of the recipients at earlier attempts of a delivery.
    ///
    /// # Errors
    /// Text for the log; the attempt does not count.
    async fn earlier(&self, delivery: DeliveryId) -> Result<Vec<Recipient>, String>;

    /// Which of these addresses are on the tenant's suppression list.
    ///
    /// # Errors
    /// Text for the log; the attempt does not count.
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

/// An attempt that has ended before anything was sent.
enum Ended {
    /// Something could not be looked up.
    NotAttempted(String),
    /// It can never work.
    Hopeless(String),
}

impl From<Unsendable> for Ended {
    fn from(unsendable: Unsendable) -> Self {
        Self::Hopeless(unsendable.to_string())
    }
}

/// All that an attempt sends, and to whom.
struct Prepared<'a> {
    attempt: &'a Attempt,
    action: &'a EmailAction,
    account: Arc<SmtpAccount>,
    template: Arc<Translated>,
    zone: Tz,
    parameters: Parameters,
    people: Vec<Addressee>,
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

    async fn prepare<'a>(&self, attempt: &'a Attempt, action: &'a EmailAction) -> Result<Prepared<'a>, Ended> {
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
        Ok(Prepared { attempt, action, account, template, zone: readers.time_zone, parameters, people })
    }

    async fn tried(&self, attempt: &Attempt, action: &EmailAction) -> Result<Outcome, Ended> {
        let tenant = &attempt.subscription.tenant;
        let prepared = self.prepare(attempt, action).await?;
        // The delivery store has the results of earlier attempts; before the first one there are none.
        let earlier =
            if attempt.number > 1 { self.accounts.earlier(attempt.delivery).await.map_err(Ended::NotAttempted)? } else { Vec::new() };
        let in_state = |state| earlier.iter().filter(move |one: &&Recipient| one.state == state).map(|one| one.address.clone());
        let reached: HashSet<String> = in_state(RecipientState::Sent).collect();
        // Whoever was refused is not asked again, until a person redrives the delivery.
        let anew = attempt.number == attempt.forgiven + 1;
        let refused: HashSet<String> = if anew { HashSet::new() } else { in_state(RecipientState::Refused).collect() };
        let addresses: Vec<String> = prepared.people.iter().map(|one| one.address.clone()).collect();
        let suppressed = self.accounts.suppressed(tenant, &addresses).await.map_err(Ended::NotAttempted)?;

        let mut results = Results::default();
        results.recipients.extend(earlier.iter().filter(|one| refused.contains(&one.address)).cloned());
        let mut readings: Vec<&Reading> = Vec::new();
        for one in &prepared.people {
            if !readings.contains(&&one.reading) {
                readings.push(&one.reading);
            }
        }
        for reading in readings {
            let group: Vec<Addressee> = prepared.people.iter().filter(|one| one.reading == *reading).cloned().collect();
            let (held, pending): (Vec<&Addressee>, Vec<&Addressee>) = group
                .iter()
                .filter(|one| !reached.contains(&one.address) && !refused.contains(&one.address))
                .partition(|one| suppressed.contains(&one.address.to_lowercase()));
            results.add(&held, RecipientState::Suppressed, &Report::new(None, "on the suppression list"));
            if pending.is_empty() {
                continue;
            }
            let sent = results.recipients.iter().any(|one| one.state == RecipientState::Sent);
            let stop = match self.content(&prepared, reading, &group).await {
                Ok(content) => self.send(&prepared, pending, &content, &mut results).await,
                // Only this message cannot be made; people who read differently get theirs.
                Err(Ended::Hopeless(why)) => results.fail(&pending, Cause::Unsendable(why).at(Stage::Send)),
                // An attempt that has reached somebody must be recorded, or they would get the message again.
                Err(Ended::NotAttempted(why)) if sent => {
                    results.add(&pending, RecipientState::Deferred, &Report::new(None, why));
                    true
                }
                Err(ended) => return Err(ended),
            };
            if stop {
                break;
            }
        }
        Ok(results.outcome(!reached.is_empty()))
    }

    /// The message to the people who read like this.
    async fn content(&self, prepared: &Prepared<'_>, reading: &Reading, group: &[Addressee]) -> Result<Content, Ended> {
        let Prepared { attempt, parameters, .. } = prepared;
        let identity = request::Identity::of(&attempt.event, attempt.subscription.id, parameters, reading)?;
        let rendering = request::rendering(&prepared.template, parameters, reading, prepared.zone);
        let rendered = self.accounts.render(&attempt.subscription.tenant, rendering).await.map_err(Ended::NotAttempted)?;
        let attached = prepared.action.attach_event.then(|| ("event.json".to_owned(), attempt.event.body.to_vec()));
        Ok(request::compose(&identity, &prepared.account, group, rendered.map_err(Unsendable::Template)?, attached)?)
    }

    /// Sends a message to `pending`, to as many at a time as the account and its server allow. True: nothing else can be sent.
    async fn send(&self, prepared: &Prepared<'_>, mut pending: Vec<&Addressee>, content: &Content, results: &mut Results) -> bool {
        let account = &*prepared.account;
        while !pending.is_empty() {
            let later = pending.split_off(pending.len().min(account.recipients.max(1)));
            let sent = match request::envelope(account, &pending, content.clone()) {
                Ok(envelope) => self.client.send(account, &envelope).await,
                Err(unsendable) => Err(Cause::Unsendable(unsendable.to_string()).at(Stage::Send)),
            };
            let (found, report) = match sent {
                Ok(sent) => sent,
                Err(failure) => {
                    if results.fail(&pending, failure) {
                        return true;
                    }
                    pending = later;
                    continue;
                }
            };
            self.suppress_unknown(prepared.attempt, &found).await;
            results.report = report;
            // Those whom the server did not accept besides the others are sent a message of their own.
            let some = found.iter().any(|one| one.state == RecipientState::Sent);
            let mut again = Vec::new();
            for (one, found) in pending.iter().zip(found) {
                if some && reply::is_one_too_many(&found) { again.push(*one) } else { results.recipients.push(found) }
            }
            again.extend(later);
            pending = again;
        }
        false
    }
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
