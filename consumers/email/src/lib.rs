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
//! **All recipients or none.** One refused recipient ends the try before anything was sent, so that a later try cannot reach
//! the others a second time.

pub mod client;
pub mod reply;
pub mod request;
#[cfg(test)]
mod tests;

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use billwire_delivery::{
    channel::{Channel, Outcome, Report, Task},
    event::Action,
    sent,
};
use billwire_schemas::{
    events::envelope::Parameters,
    ids::{EventId, NotificationTemplateId, SmtpAccountId, TenantId},
    template::Template,
};

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
    async fn template(&self, tenant: &TenantId, id: NotificationTemplateId) -> Result<Option<Arc<Template>>, String>;

    /// The event's parameters for e-mail alone (`contact.*`, and what data sources add over a contact), which stand neither on the
    /// stream nor in any webhook.
    ///
    /// # Errors
    /// Text for the log; the try is not counted.
    async fn private_parameters(&self, tenant: &TenantId, event: EventId) -> Result<Parameters, String>;
}

/// Delivers events as e-mail.
#[derive(Debug)]
pub struct EmailChannel<A> {
    accounts: A,
    client: Arc<Client>,
}

impl<A: Accounts> EmailChannel<A> {
    /// A channel that finds its accounts in `accounts` and sends through `client`.
    pub fn new(accounts: A, client: Arc<Client>) -> Self {
        Self { accounts, client }
    }
}

#[async_trait]
impl<A: Accounts> Channel for EmailChannel<A> {
    async fn attempt(&self, task: &Task) -> Outcome {
        let Action::Email { smtp_account, template, to } = &task.subscription.action else {
            return gone("this subscription does not ask for an e-mail");
        };
        let tenant = &task.subscription.tenant;
        let account = match self.accounts.smtp_account(tenant, *smtp_account).await {
            Ok(Some(account)) => account,
            Ok(None) => return gone("the SMTP account does not exist any more"),
            Err(reason) => return Outcome::NotTried(reason),
        };
        let template = match self.accounts.template(tenant, *template).await {
            Ok(Some(template)) => template,
            Ok(None) => return gone("the notification template does not exist any more"),
            Err(reason) => return Outcome::NotTried(reason),
        };
        let private = match self.accounts.private_parameters(tenant, task.event.id).await {
            Ok(private) => private,
            Err(reason) => return Outcome::NotTried(reason),
        };
        let parameters = match sent::parameters(&task.event, &task.subscription) {
            Ok(parameters) => parameters.into_iter().chain(private).collect(),
            Err(fault) => return gone(&fault),
        };
        match request::message(&task.event, parameters, task.subscription.id, &account, &template, to) {
            Ok(message) => reply::outcome(self.client.send(&account, &message).await),
            Err(unsendable) => gone(&unsendable.to_string()),
        }
    }
}

fn gone(why: &str) -> Outcome {
    Outcome::GiveUp(Report::new(None, why))
}
