//! SMTP accounts: the servers and senders of outgoing e-mail.

use billwire_schemas::{clock::Timestamp, ids::SmtpAccountId, refusal::Code};
use serde::{Deserialize, Serialize};

use crate::{
    change::{Change, Entity, entity_members},
    rejected::{Rejected, Violation},
};

/// Connection security. Never opportunistic: if the server does not offer STARTTLS, sending fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Security {
    /// Unencrypted.
    None,
    /// STARTTLS, required.
    Starttls,
    /// TLS from the first byte.
    Tls,
}

/// An SMTP account. The password is sealed and stored separately.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SmtpAccount {
    /// Object id.
    pub id: SmtpAccountId,
    /// Object version, starting at 1.
    pub version: i64,
    /// Name, unique within the tenant.
    pub name: String,
    /// Host name or IP address of the server.
    pub server: String,
    /// TCP port of the server.
    pub port: u16,
    /// Connection security.
    pub security: Security,
    /// The name in the From field.
    pub from_name: String,
    /// The address in the From field.
    pub from_address: String,
    /// User name, if the server requires authentication.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub username: Option<String>,
    /// Whether a password is set. The password itself is never returned.
    pub has_password: bool,
    /// Maximum messages per second; absent: no limit.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub max_per_second: Option<u32>,
    /// Maximum concurrent connections.
    pub connections: u32,
    /// Maximum recipients per message; a message to more recipients is sent in several parts.
    pub max_recipients: u32,
    /// Whether this account sends e-mail that names no account. One account per tenant is the default.
    pub is_default: bool,
    /// Creation time.
    pub created_at: Timestamp,
}

/// Default number of concurrent connections.
pub const CONNECTIONS_DEFAULT: u32 = 4;
/// Default number of recipients per message: the minimum every server must accept, RFC 5321 section 4.5.3.1.8.
pub const RECIPIENTS_DEFAULT: u32 = 100;
/// Default port.
pub const PORT_DEFAULT: u16 = 25;

/// The settable members of an SMTP account; absent members stay unchanged.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// See [`SmtpAccount::name`].
    pub name: Option<String>,
    /// See [`SmtpAccount::server`].
    pub server: Option<String>,
    /// See [`SmtpAccount::port`].
    pub port: Option<u16>,
    /// See [`SmtpAccount::security`].
    pub security: Option<Security>,
    /// See [`SmtpAccount::from_name`].
    pub from_name: Option<String>,
    /// See [`SmtpAccount::from_address`].
    pub from_address: Option<String>,
    /// See [`SmtpAccount::username`]; an empty string removes user name and password.
    pub username: Option<String>,
    /// Whether the request contains a password.
    pub with_password: bool,
    /// Whether that is another password than the account's.
    pub changes_password: bool,
    /// See [`SmtpAccount::max_per_second`]; 0 removes the limit.
    pub max_per_second: Option<u32>,
    /// See [`SmtpAccount::connections`].
    pub connections: Option<u32>,
    /// See [`SmtpAccount::max_recipients`].
    pub max_recipients: Option<u32>,
    /// See [`SmtpAccount::is_default`].
    pub is_default: Option<bool>,
}

impl Settings {
    fn apply(self, account: &mut SmtpAccount) -> Result<(), Rejected> {
        account.name = self.name.unwrap_or_else(|| account.name.clone());
        account.server = self.server.unwrap_or_else(|| account.server.clone());
        account.port = self.port.unwrap_or(account.port);
        account.security = self.security.unwrap_or(account.security);
        account.from_name = self.from_name.unwrap_or_else(|| account.from_name.clone());
        account.from_address = self.from_address.unwrap_or_else(|| account.from_address.clone());
        match self.username {
            Some(none) if none.is_empty() => (account.username, account.has_password) = (None, false),
            Some(username) => account.username = Some(username),
            None => {}
        }
        account.has_password |= self.with_password;
        if let Some(max) = self.max_per_second {
            account.max_per_second = (max > 0).then_some(max);
        }
        account.connections = self.connections.unwrap_or(account.connections);
        account.max_recipients = self.max_recipients.unwrap_or(account.max_recipients);
        account.is_default = self.is_default.unwrap_or(account.is_default);
        let mut broken = Vec::new();
        if account.username.is_some() != account.has_password {
            let missing = if account.has_password { "/username" } else { "/password" };
            broken.push(Violation::new(missing, Code::CredentialsIncomplete, "Set both username and password, or neither."));
        }
        if account.security == Security::None && account.has_password {
            broken.push(Violation::new(
                "/security",
                Code::CredentialsInClear,
                "A password requires an encrypted connection; choose starttls or tls.",
            ));
        }
        Rejected::from_violations(broken).map_or(Ok(()), Err)
    }
}

/// Decides `createSmtpAccount`. A tenant's `first` account becomes the default.
///
/// # Errors
/// `credentials_incomplete`, `credentials_in_clear`.
pub fn create(id: SmtpAccountId, settings: Settings, first: bool, now: Timestamp) -> Result<Change<SmtpAccount>, Rejected> {
    let mut account = SmtpAccount {
        id,
        version: 1,
        name: String::new(),
        server: String::new(),
        port: PORT_DEFAULT,
        security: Security::Starttls,
        from_name: String::new(),
        from_address: String::new(),
        username: None,
        has_password: false,
        max_per_second: None,
        connections: CONNECTIONS_DEFAULT,
        max_recipients: RECIPIENTS_DEFAULT,
        is_default: false,
        created_at: now,
    };
    settings.apply(&mut account)?;
    account.is_default |= first;
    Ok(Change::created(account))
}

/// Decides `updateSmtpAccount`.
///
/// # Errors
/// See [`create`].
pub fn update(account: SmtpAccount, settings: Settings) -> Result<Change<SmtpAccount>, Rejected> {
    let mut after = SmtpAccount { version: account.version + 1, ..account.clone() };
    let changes_password = settings.changes_password;
    settings.apply(&mut after)?;
    if changes_password {
        return Ok(Change::updated_in_secret(account, after));
    }
    Ok(Change::updated(account, after, Vec::<&'static str>::new()))
}

/// Clears the default flag when another account becomes the default.
pub fn supersede(account: SmtpAccount) -> Change<SmtpAccount> {
    let after = SmtpAccount { version: account.version + 1, is_default: false, ..account.clone() };
    Change::updated(account, after, Vec::<&'static str>::new())
}

impl Entity for SmtpAccount {
    const TYPE: &'static str = "smtpAccount";
    const EVENT_OBJECT: Option<&'static str> = None;

    entity_members!(only_version, configuration);
}

#[cfg(test)]
mod tests {
    use billwire_schemas::ids::fresh;

    use super::*;

    fn given() -> Settings {
        let text = |text: &str| Some(text.to_owned());
        Settings { name: text("mail"), server: text("smtp.example.com"), from_address: text("b@example.com"), ..Settings::default() }
    }

    fn codes(refused: Result<Change<SmtpAccount>, Rejected>) -> Vec<&'static str> {
        refused.unwrap_err().violations.iter().map(|broken| broken.code.as_str()).collect()
    }

    #[test]
    fn a_user_name_and_a_password_come_together_and_never_in_clear() {
        let make = |settings| create(SmtpAccountId(fresh()), settings, false, Timestamp::UNIX_EPOCH);
        assert_eq!(codes(make(Settings { with_password: true, ..given() })), ["credentials_incomplete"]);
        let both = Settings { username: Some("u".into()), with_password: true, ..given() };
        assert_eq!(codes(make(Settings { security: Some(Security::None), ..both.clone() })), ["credentials_in_clear"]);
        let made = make(both).expect("made").after;
        assert_eq!((made.port, made.security, made.connections), (25, Security::Starttls, 4));
        let clear = Settings { security: Some(Security::None), ..Settings::default() };
        assert_eq!(codes(update(made.clone(), clear)), ["credentials_in_clear"]);
        let anonymous = Settings { security: Some(Security::None), username: Some(String::new()), ..Settings::default() };
        let after = update(made, anonymous).expect("updated").after;
        assert_eq!((after.version, after.username, after.has_password), (2, None, false));
    }

    #[test]
    fn the_first_account_is_the_default_and_gives_way_to_the_next() {
        let first = create(SmtpAccountId(fresh()), given(), true, Timestamp::UNIX_EPOCH).expect("made").after;
        assert!(first.is_default);
        assert!(!supersede(first).after.is_default);
    }
}
