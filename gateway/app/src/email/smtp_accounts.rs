//! `createSmtpAccount`, `updateSmtpAccount`, `verifySmtpAccount`, `sendTestEmail`.

use std::time::Duration;

use async_trait::async_trait;
use billwire_domain::{
    Change,
    email::smtp_account::{self, Settings, SmtpAccount},
};
use billwire_schemas::{
    clock::{Clock, SystemClock, Timestamp},
    ids::{OrderingKey, SmtpAccountId, TenantId},
};
use billwire_store::{Configuration, ConfigurationKind as Kind, Error, Store, Tx, commit::Failure};

use crate::{App, configuration::addressed, ensure_name_free, execute::UseCase, record::Record};

/// The result of testing an SMTP account.
#[derive(Debug, Clone)]
pub struct SmtpCheck {
    /// Whether every stage succeeded.
    pub works: bool,
    /// The last stage reached: `name`, `connect`, `tls`, `greeting`, `login`, `sender` or `send`.
    pub stage: &'static str,
    /// SMTP status code, if any.
    pub status: Option<u16>,
    /// Response text of the server, or the error.
    pub detail: String,
    /// Duration of the test.
    pub latency: Duration,
}

/// A client for SMTP servers; `server` implements it over the e-mail channel.
#[async_trait]
pub trait SmtpClient: Send + Sync + 'static {
    /// Connects, logs in and names the sender, without sending an e-mail.
    ///
    /// # Errors
    /// A message if the test could not be attempted.
    async fn verify(&self, tenant: &TenantId, account: SmtpAccountId) -> Result<SmtpCheck, String>;

    /// Sends a test e-mail.
    ///
    /// # Errors
    /// A message if the test could not be attempted.
    async fn send_test(&self, tenant: &TenantId, account: SmtpAccountId, to: &str) -> Result<SmtpCheck, String>;
}

/// Creates an SMTP account.
#[derive(Clone)]
pub struct CreateSmtpAccount {
    /// The new account's id.
    pub id: SmtpAccountId,
    /// What to create.
    pub settings: Settings,
    /// The password; stored encrypted and never returned.
    pub password: Option<String>,
}

/// Changes an SMTP account.
#[derive(Clone)]
pub struct UpdateSmtpAccount {
    /// The id, as the client sent it.
    pub id: String,
    /// The changes.
    pub settings: Settings,
    /// The new password.
    pub password: Option<String>,
    /// The required version, if any.
    pub if_match: Option<i64>,
}

/// Unsets the tenant's previous default account, if `by` is the new default.
async fn superseded(tx: &mut Tx<'_>, by: &SmtpAccount, record: Record) -> Result<Record, Failure> {
    if !by.is_default {
        return Ok(record);
    }
    let others: Vec<SmtpAccount> = tx.configurations(Kind::SmtpAccount).await?;
    let mut record = record;
    for other in others.into_iter().filter(|one| one.is_default && one.id != by.id) {
        let change = smtp_account::supersede(other);
        save(tx, &change)?;
        record = record.and(&change, &Default::default())?;
    }
    Ok(record)
}

fn save(tx: &mut Tx<'_>, change: &Change<SmtpAccount>) -> Result<(), Failure> {
    let after = &change.after;
    tx.change_configuration(after.id.0, after.version, after.name.clone(), after)
}

#[async_trait]
impl UseCase for CreateSmtpAccount {
    const OPERATION: &'static str = "createSmtpAccount";
    const STATUS: u16 = 201;

    fn key(&self) -> OrderingKey {
        Store::configuration_key()
    }
    async fn run(&self, tx: &mut Tx<'_>, now: Timestamp) -> Result<Option<Record>, Failure> {
        ensure_name_free(tx, Kind::SmtpAccount, self.settings.name.as_deref().unwrap_or_default()).await?;
        let others: Vec<SmtpAccount> = tx.configurations(Kind::SmtpAccount).await?;
        let change = smtp_account::create(self.id, self.settings.clone(), others.is_empty(), now)?;
        let (id, name, body) = (change.after.id.0, change.after.name.clone(), change.after.clone());
        let secrets = self.password.clone();
        tx.save_configuration(Configuration { id, kind: Kind::SmtpAccount, name, body, secrets, created_at: SystemClock.now() }).await?;
        superseded(tx, &change.after, Record::of(&change)?).await.map(Some)
    }
}

#[async_trait]
impl UseCase for UpdateSmtpAccount {
    const OPERATION: &'static str = "updateSmtpAccount";

    fn key(&self) -> OrderingKey {
        Store::configuration_key()
    }
    async fn run(&self, tx: &mut Tx<'_>, _: Timestamp) -> Result<Option<Record>, Failure> {
        let last: SmtpAccount = addressed(tx, &self.id, self.if_match).await?;
        if let Some(name) = self.settings.name.as_ref().filter(|name| **name != last.name) {
            ensure_name_free(tx, Kind::SmtpAccount, name).await?;
        }
        let change = smtp_account::update(last, self.settings.clone())?;
        save(tx, &change)?;
        // Removing the user name also removes the password.
        let gone = (!change.after.has_password).then_some("");
        if let Some(password) = self.password.as_deref().filter(|_| change.after.has_password).or(gone) {
            tx.change_secrets(Kind::SmtpAccount, change.after.id.0, password)?;
        }
        superseded(tx, &change.after, Record::of(&change)?).await.map(Some)
    }
}

impl App {
    /// `verifySmtpAccount`.
    ///
    /// # Errors
    /// `smtp_account_not_found`, no SMTP client in this process, or a database failure.
    pub async fn verify_smtp_account(&self, tenant: &TenantId, id: &str) -> Result<SmtpCheck, Failure> {
        let account: SmtpAccount = self.configuration(tenant, id).await?;
        self.smtp_client()?.verify(tenant, account.id).await.map_err(|why| Error::Unavailable(why).into())
    }

    /// `sendTestEmail`.
    ///
    /// # Errors
    /// See [`App::verify_smtp_account`].
    pub async fn send_test_email(&self, tenant: &TenantId, id: &str, to: &str) -> Result<SmtpCheck, Failure> {
        let account: SmtpAccount = self.configuration(tenant, id).await?;
        self.smtp_client()?.send_test(tenant, account.id, to).await.map_err(|why| Error::Unavailable(why).into())
    }

    fn smtp_client(&self) -> Result<&dyn SmtpClient, Failure> {
        self.smtp_client.as_deref().ok_or_else(|| Error::Unavailable("this process has no SMTP client".into()).into())
    }
}
