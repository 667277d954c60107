//! `createContact`, `updateContact`, `deleteContact`.

use async_trait::async_trait;
use billwire_domain::{
    Change, Entity,
    customers::{
        account::Account,
        contact::{self, Contact},
    },
};
use billwire_schemas::{
    clock::Timestamp,
    ids::{AccountId, OrderingKey},
};
use billwire_store::{
    Tx,
    commit::{Failure, Prefetch},
};

use crate::{account_object::AccountObject, execute::UseCase, objects::referenced, record::Record};

/// Makes a contact.
#[derive(Debug, Clone)]
pub struct CreateContact {
    /// Whose it shall be.
    pub account: AccountId,
    /// What it shall be.
    pub command: contact::Create,
}

/// Changes a contact.
#[derive(Debug, Clone)]
pub struct UpdateContact {
    /// Which.
    pub contact: AccountObject,
    /// What shall change.
    pub command: contact::Update,
}

/// Deletes a contact.
#[derive(Debug, Clone)]
pub struct DeleteContact(pub AccountObject);

/// Its events offer the contact itself to e-mails, not the account's billing contact as those of other objects do.
fn save(tx: &mut Tx<'_>, change: &Change<Contact>, account: &Account) -> Result<Option<Record>, Failure> {
    tx.save(change)?;
    Record::default().and(change, &account.parameters()).map(Some)
}

#[async_trait]
impl UseCase for CreateContact {
    const OPERATION: &'static str = "createContact";
    const STATUS: u16 = 201;

    fn key(&self) -> OrderingKey {
        self.account.into()
    }
    fn prefetch(&self) -> Vec<Prefetch> {
        vec![Prefetch::of::<Account>(self.account.0)]
    }
    async fn run(&self, tx: &mut Tx<'_>, now: Timestamp) -> Result<Option<Record>, Failure> {
        let account = referenced::<Account>(tx, "/account", self.account.0).await?;
        tx.ensure_external_id_free::<Contact>(self.command.external_id.as_deref()).await?;
        let change = contact::create(self.command.clone(), &account, now)?;
        save(tx, &change, &account)
    }
}

#[async_trait]
impl UseCase for UpdateContact {
    const OPERATION: &'static str = "updateContact";
    const STATUS: u16 = 200;

    fn key(&self) -> OrderingKey {
        self.contact.key()
    }
    fn prefetch(&self) -> Vec<Prefetch> {
        self.contact.prefetch::<Contact>()
    }
    async fn run(&self, tx: &mut Tx<'_>, now: Timestamp) -> Result<Option<Record>, Failure> {
        let (contact, account) = self.contact.load::<Contact>(tx).await?;
        let change = contact::update(contact, &account, self.command.clone(), now)?;
        save(tx, &change, &account)
    }
}

#[async_trait]
impl UseCase for DeleteContact {
    const OPERATION: &'static str = "deleteContact";
    const STATUS: u16 = 200;

    fn key(&self) -> OrderingKey {
        self.0.key()
    }
    fn prefetch(&self) -> Vec<Prefetch> {
        self.0.prefetch::<Contact>()
    }
    async fn run(&self, tx: &mut Tx<'_>, _: Timestamp) -> Result<Option<Record>, Failure> {
        let (contact, account) = self.0.load::<Contact>(tx).await?;
        save(tx, &contact::delete(contact, &account)?, &account)
    }
}
