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

/// How far an SMTP server could be used.
#[derive(Debug, Clone)]
pub struct SmtpCheck {
    /// Whether all went well.
    pub works: bool,
    /// What was done last: `name`, `connect`, `tls`, `greeting`, `login`, `sender` or `send`.
    pub stage: &'static str,
    /// The server's code, where it gave one.
    pub status: Option<u16>,
    /// The server's words, or what went wrong.
    pub detail: String,
    /// How long it took.
    pub latency: Duration,
}

/// The way to SMTP servers; `server` has it over the e-mail channel.
#[async_trait]
pub trait SmtpClient: Send + Sync + 'static {
    /// Connects, logs in and names the sender, and sends nothing.
    ///
    /// # Errors
    /// Text for people: it could not be tried.
    async fn verify(&self, tenant: &TenantId, account: SmtpAccountId) -> Result<SmtpCheck, String>;

    /// Sends a message that says it is a test.
    ///
    /// # Errors
    /// Text for people: it could not be tried.
    async fn send_test(&self, tenant: &TenantId, account: SmtpAccountId, to: &str) -> Result<SmtpCheck, String>;
}

/// Makes an SMTP account.
#[derive(Clone)]
pub struct CreateSmtpAccount {
    /// The new account's id.
    pub id: SmtpAccountId,
    /// What it shall be.
    pub settings: Settings,
    /// Its password; rests sealed, is never answered back.
    pub password: Option<String>,
}

/// Changes an SMTP account.
#[derive(Clone)]
pub struct UpdateSmtpAccount {
    /// Its id, as the client wrote it.
    pub id: String,
    /// What changes.
    pub settings: Settings,
    /// Its new password.
    pub password: Option<String>,
    /// Only at this version.
    pub if_match: Option<i64>,
}

/// Another account of the tenant may have been the default until now.
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
        // One that logs in no more keeps no password.
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
    /// `smtp_account_not_found`; this process cannot reach SMTP servers; or the database's failure.
    pub async fn verify_smtp_account(&self, tenant: &TenantId, id: &str) -> Result<SmtpCheck, Failure> {
        let account: SmtpAccount = self.configuration(tenant, id).await?;
        self.smtp_client()?.verify(tenant, account.id).await.map_err(|why| Error::Unavailable(why).into())
    }

    /// `sendTestEmail`.
    ///
    /// # Errors
    /// As [`App::verify_smtp_account`].
    pub async fn send_test_email(&self, tenant: &TenantId, id: &str, to: &str) -> Result<SmtpCheck, Failure> {
        let account: SmtpAccount = self.configuration(tenant, id).await?;
        self.smtp_client()?.send_test(tenant, account.id, to).await.map_err(|why| Error::Unavailable(why).into())
    }

    fn smtp_client(&self) -> Result<&dyn SmtpClient, Failure> {
        self.smtp_client.as_deref().ok_or_else(|| Error::Unavailable("SMTP servers cannot be reached from here".into()).into())
    }
}
