//! `createSmtpAccount`, `updateSmtpAccount`, `verifySmtpAccount`, `sendTestEmail`.

use std::time::Duration;

use async_trait::async_trait;
use billwire_domain::{
    delivery::subscription::{Action, Subscription},
    email::smtp_account::{self, Settings, SmtpAccount},
};
use billwire_schemas::{
    clock::Timestamp,
    ids::{SmtpAccountId, TenantId},
    refusal::Code,
};
use billwire_store::{ConfigurationKind as Kind, Error, Tx, commit::Failure};

use crate::{
    App,
    configuration::{ConfigurationObject, ConfigurationUseCase, changed, created},
    ensure_name_free,
    execute::UseCase,
    record::Record,
};

impl ConfigurationObject for SmtpAccount {
    const KIND: Kind = Kind::SmtpAccount;
    const NAME: &'static str = "SMTP account";
    const NOT_FOUND: Code = Code::SmtpAccountNotFound;
    const DELETE: &'static str = "deleteSmtpAccount";
    fn name(&self) -> &str {
        &self.name
    }
    fn carries(&self, subscription: &Subscription) -> bool {
        let named = |id: Option<SmtpAccountId>| id.map_or(self.is_default, |id| id == self.id);
        matches!(&subscription.action, Action::Email { smtp_account_id, .. } if named(*smtp_account_id))
    }
}

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
    /// The changes.
    pub settings: Settings,
    /// The new password.
    pub password: Option<String>,
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
        changed(tx, &change)?;
        record = record.and(&change, &Default::default())?;
    }
    Ok(record)
}

#[async_trait]
impl UseCase for CreateSmtpAccount {
    const OPERATION: &'static str = "createSmtpAccount";
    const STATUS: u16 = 201;

    async fn run(&self, tx: &mut Tx<'_>, now: Timestamp) -> Result<Option<Record>, Failure> {
        ensure_name_free(tx, Kind::SmtpAccount, self.settings.name.as_deref().unwrap_or_default()).await?;
        let others: Vec<SmtpAccount> = tx.configurations(Kind::SmtpAccount).await?;
        let change = smtp_account::create(self.id, self.settings.clone(), others.is_empty(), now)?;
        let record = created(tx, &change, self.password.clone()).await?;
        superseded(tx, &change.after, record).await.map(Some)
    }
}

#[async_trait]
impl ConfigurationUseCase for UpdateSmtpAccount {
    type Object = SmtpAccount;
    const OPERATION: &'static str = "updateSmtpAccount";

    fn name(&self) -> Option<&str> {
        self.settings.name.as_deref()
    }
    async fn run(&self, tx: &mut Tx<'_>, account: SmtpAccount, _: Timestamp) -> Result<Record, Failure> {
        let known = tx.secrets(Kind::SmtpAccount, account.id.0).await?;
        let changes_password = self.password.is_some() && self.password != known;
        let change = smtp_account::update(account, Settings { changes_password, ..self.settings.clone() })?;
        let record = changed(tx, &change)?;
        // Removing the user name also removes the password.
        let gone = (!change.after.has_password).then_some("");
        if let Some(password) = self.password.as_deref().filter(|_| change.after.has_password).or(gone) {
            tx.change_secrets(Kind::SmtpAccount, change.after.id.0, password)?;
        }
        superseded(tx, &change.after, record).await
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
