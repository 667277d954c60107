//! SMTP accounts: from where e-mail is sent.

use billwire_schemas::{
    clock::Timestamp,
    ids::{OrderingKey, SmtpAccountId},
};
use serde::{Deserialize, Serialize};

use crate::{
    change::{Change, Entity},
    rejected::{Rejected, Violation},
};

/// How the connection is protected. Never opportunistic: a stripped STARTTLS is a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Security {
    /// In clear.
    None,
    /// STARTTLS, required.
    Starttls,
    /// TLS from the first byte.
    Tls,
}

/// An SMTP account. The password stands sealed beside it, never in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SmtpAccount {
    /// Its id.
    pub id: SmtpAccountId,
    /// Its version, from 1.
    pub version: i64,
    /// Its name, unique in the tenant.
    pub name: String,
    /// The outgoing SMTP server.
    pub server: String,
    /// Its port.
    pub port: u16,
    /// How the connection is protected.
    pub security: Security,
    /// The name in the From field.
    pub from_name: String,
    /// The address in the From field.
    pub from_address: String,
    /// The user name, where the server wants one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub username: Option<String>,
    /// Whether a password is set; it is never answered back.
    pub has_password: bool,
    /// When it was made.
    pub created_at: Timestamp,
}

/// `createSmtpAccount`.
#[derive(Debug, Clone)]
pub struct Create {
    /// The new account's id.
    pub id: SmtpAccountId,
    /// See [`SmtpAccount::name`].
    pub name: String,
    /// See [`SmtpAccount::server`].
    pub server: String,
    /// See [`SmtpAccount::port`].
    pub port: u16,
    /// See [`SmtpAccount::security`].
    pub security: Security,
    /// See [`SmtpAccount::from_name`].
    pub from_name: String,
    /// See [`SmtpAccount::from_address`].
    pub from_address: String,
    /// See [`SmtpAccount::username`].
    pub username: Option<String>,
    /// Whether a password comes with it.
    pub has_password: bool,
}

/// Decides `createSmtpAccount`.
///
/// # Errors
/// `credentials_incomplete`, `credentials_in_clear`.
pub fn create(command: Create, now: Timestamp) -> Result<Change<SmtpAccount>, Rejected> {
    let mut broken = Vec::new();
    if command.username.is_some() != command.has_password {
        let missing = if command.has_password { "/username" } else { "/password" };
        broken.push(Violation::new(missing, "credentials_incomplete", "username and password come together or not at all."));
    }
    if command.security == Security::None && command.has_password {
        broken.push(Violation::new(
            "/security",
            "credentials_in_clear",
            "A password is not sent over an unprotected connection; choose starttls or tls.",
        ));
    }
    if let Some(rejected) = Rejected::from_violations(broken) {
        return Err(rejected);
    }
    Ok(Change::created(SmtpAccount {
        id: command.id,
        version: 1,
        name: command.name,
        server: command.server,
        port: command.port,
        security: command.security,
        from_name: command.from_name,
        from_address: command.from_address,
        username: command.username,
        has_password: command.has_password,
        created_at: now,
    }))
}

impl Entity for SmtpAccount {
    const TYPE: &'static str = "smtpAccount";
    const EVENT_OBJECT: Option<&'static str> = None;

    fn id(&self) -> uuid::Uuid {
        self.id.0
    }
    fn ordering_key(&self) -> OrderingKey {
        OrderingKey::CONFIGURATION
    }
    fn version(&self) -> i64 {
        self.version
    }
    fn created_at(&self) -> Timestamp {
        self.created_at
    }
}
