//! `updateAccount`, `deleteAccount`.

use async_trait::async_trait;
use billwire_domain::{
    customers::{
        account::{self, Account},
        contact::Contact,
    },
    patch::Patch,
};
use billwire_schemas::{clock::Timestamp, events::envelope::Parameters};
use billwire_store::{Tx, commit::Failure};

use crate::{events::event_parameters::recorded, execute_on::ObjectUseCase, objects::found, record::Record, references};

/// Changes an account's details.
#[derive(Debug, Clone)]
pub struct UpdateAccount {
    /// The changes.
    pub command: account::Update,
    /// The change of the billing contact, by id or external id.
    pub billing_contact: Patch<String>,
}

/// Deletes an account that was never active.
#[derive(Debug, Clone)]
pub struct DeleteAccount;

#[async_trait]
impl ObjectUseCase for UpdateAccount {
    type Object = Account;
    const OPERATION: &'static str = "updateAccount";

    async fn run(&self, tx: &mut Tx<'_>, account: Account, now: Timestamp) -> Result<Option<Record>, Failure> {
        account::ensure_not_deactivated(&account)?;
        tx.ensure_external_id_can_change(&account, &self.command.external_id).await?;
        let contact = match &self.billing_contact {
            Patch::Set(reference) => Patch::Set(found::<Contact>(tx, "/billingContact", reference).await?),
            Patch::Unset => Patch::Unset,
            Patch::Keep => Patch::Keep,
        };
        let change = account::update(account, self.command.clone(), contact.as_ref(), now)?;
        recorded(tx, &change, Parameters::new()).await
    }
}

#[async_trait]
impl ObjectUseCase for DeleteAccount {
    type Object = Account;
    const OPERATION: &'static str = "deleteAccount";

    async fn run(&self, tx: &mut Tx<'_>, account: Account, _: Timestamp) -> Result<Option<Record>, Failure> {
        let in_use = references::account(tx, account.id.0).await?;
        recorded(tx, &account::delete(account, in_use)?, Parameters::new()).await
    }
}
