//! `createSmtpAccount`.

use async_trait::async_trait;
use billwire_domain::smtp_account;
use billwire_schemas::{
    clock::{Clock, SystemClock, Timestamp},
    ids::OrderingKey,
};
use billwire_store::{Configuration, ConfigurationKind as Kind, Store, Tx, commit::Failure};

use crate::{once::UseCase, record::Record, unless_named};

/// Makes an SMTP account.
#[derive(Clone)]
pub struct CreateSmtpAccount {
    /// What it shall be.
    pub command: smtp_account::Create,
    /// Its password; rests sealed, is never answered back.
    pub password: Option<String>,
}

#[async_trait]
impl UseCase for CreateSmtpAccount {
    const OPERATION: &'static str = "createSmtpAccount";
    const STATUS: u16 = 201;

    fn key(&self) -> OrderingKey {
        Store::configuration_key()
    }
    async fn run(&self, tx: &mut Tx<'_>, now: Timestamp) -> Result<Option<Record>, Failure> {
        unless_named(tx, Kind::SmtpAccount, &self.command.name).await?;
        let change = smtp_account::create(self.command.clone(), now)?;
        let (id, name, body) = (change.after.id.0, change.after.name.clone(), change.after.clone());
        let secrets = self.password.clone();
        tx.save_configuration(Configuration { id, kind: Kind::SmtpAccount, name, body, secrets, created_at: SystemClock.now() }).await?;
        Record::of(&change).map(Some)
    }
}
