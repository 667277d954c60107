//! `createContact`, `updateContact`, `deleteContact`.

use async_trait::async_trait;
use billwire_domain::{
    Change, Entity, Rejected,
    customers::{
        account::Account,
        contact::{self, Contact},
    },
};
use billwire_schemas::clock::Timestamp;
use billwire_store::{Tx, commit::Failure};

use crate::{
    execute_on::{ObjectUseCase, owner},
    objects::unknown,
    record::Record,
};

/// Creates a contact.
#[derive(Debug, Clone)]
pub struct CreateContact {
    /// What to create.
    pub command: contact::Create,
}

/// Changes a contact.
#[derive(Debug, Clone)]
pub struct UpdateContact {
    /// The changes.
    pub command: contact::Update,
}

/// Deletes a contact.
#[derive(Debug, Clone)]
pub struct DeleteContact;

/// Saves and records a change. E-mails get the contact's own parameters, unlike events of other objects, which offer the billing contact's.
fn save(tx: &mut Tx<'_>, change: &Change<Contact>, account: &Account) -> Result<Option<Record>, Failure> {
    tx.save(change)?;
    Record::default().and(change, &account.parameters()).map(Some)
}

#[async_trait]
impl ObjectUseCase for CreateContact {
    type Object = Account;
    const OPERATION: &'static str = "createContact";
    const STATUS: u16 = 201;

    fn missing(reference: &str) -> Rejected {
        unknown::<Account>("/account", reference)
    }
    async fn run(&self, tx: &mut Tx<'_>, account: Account, now: Timestamp) -> Result<Option<Record>, Failure> {
        tx.ensure_external_id_free::<Contact>(self.command.external_id.as_deref()).await?;
        let change = contact::create(self.command.clone(), &account, now)?;
        save(tx, &change, &account)
    }
}

#[async_trait]
impl ObjectUseCase for UpdateContact {
    type Object = Contact;
    const OPERATION: &'static str = "updateContact";

    async fn run(&self, tx: &mut Tx<'_>, contact: Contact, now: Timestamp) -> Result<Option<Record>, Failure> {
        let account = owner(tx, &contact).await?;
        tx.ensure_external_id_can_change(&contact, &self.command.external_id).await?;
        let change = contact::update(contact, &account, self.command.clone(), now)?;
        save(tx, &change, &account)
    }
}

#[async_trait]
impl ObjectUseCase for DeleteContact {
    type Object = Contact;
    const OPERATION: &'static str = "deleteContact";

    async fn run(&self, tx: &mut Tx<'_>, contact: Contact, _: Timestamp) -> Result<Option<Record>, Failure> {
        let account = owner(tx, &contact).await?;
        save(tx, &contact::delete(contact, &account)?, &account)
    }
}
