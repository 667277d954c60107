//! `updateAccount`, `deleteAccount`.

use async_trait::async_trait;
use billwire_domain::customers::{
    account::{self, Account},
    contact::Contact,
};
use billwire_schemas::{
    clock::Timestamp,
    events::envelope::Parameters,
    ids::{AccountId, OrderingKey},
};
use billwire_store::{
    Tx,
    commit::{Failure, Prefetch},
};

use crate::{
    events::event_parameters::recorded,
    execute::UseCase,
    objects::{addressed, found},
    record::Record,
    references,
};

/// Changes what is known of an account.
#[derive(Debug, Clone)]
pub struct UpdateAccount {
    /// Which account.
    pub account: AccountId,
    /// Only at this version.
    pub if_match: Option<i64>,
    /// What shall change.
    pub command: account::Update,
    /// Id or external id of the new billing contact.
    pub billing_contact: Option<String>,
}

/// Deletes an account that was never active.
#[derive(Debug, Clone)]
pub struct DeleteAccount {
    /// Which account.
    pub account: AccountId,
    /// Only at this version.
    pub if_match: Option<i64>,
}

#[async_trait]
impl UseCase for UpdateAccount {
    const OPERATION: &'static str = "updateAccount";
    const STATUS: u16 = 200;

    fn key(&self) -> OrderingKey {
        self.account.into()
    }
    fn prefetch(&self) -> Vec<Prefetch> {
        vec![Prefetch::of::<Account>(self.account.0)]
    }
    async fn run(&self, tx: &mut Tx<'_>, now: Timestamp) -> Result<Option<Record>, Failure> {
        let account = addressed::<Account>(tx, self.account.0, self.if_match).await?;
        account::ensure_not_deactivated(&account)?;
        let contact = match &self.billing_contact {
            Some(reference) => Some(found::<Contact>(tx, "/billingContact", reference).await?),
            None => None,
        };
        let change = account::update(account, self.command.clone(), contact.as_ref(), now)?;
        recorded(tx, &change, Parameters::new()).await
    }
}

#[async_trait]
impl UseCase for DeleteAccount {
    const OPERATION: &'static str = "deleteAccount";
    const STATUS: u16 = 200;

    fn key(&self) -> OrderingKey {
        self.account.into()
    }
    fn prefetch(&self) -> Vec<Prefetch> {
        vec![Prefetch::of::<Account>(self.account.0)]
    }
    async fn run(&self, tx: &mut Tx<'_>, _: Timestamp) -> Result<Option<Record>, Failure> {
        let account = addressed::<Account>(tx, self.account.0, self.if_match).await?;
        let in_use = references::account(tx, self.account.0).await?;
        recorded(tx, &account::delete(account, in_use)?, Parameters::new()).await
    }
}
