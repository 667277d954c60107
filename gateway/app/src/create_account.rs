//! `createAccount`.

use async_trait::async_trait;
use billwire_domain::{Rejected, account};
use billwire_schemas::{
    clock::Timestamp,
    ids::{BillCycleId, OrderingKey},
};
use billwire_store::{
    Tx,
    commit::{Failure, Prefetch},
};

use crate::{once::UseCase, record::Record};

/// Makes an account.
#[derive(Debug, Clone)]
pub struct CreateAccount {
    /// What it shall be.
    pub command: account::Create,
    /// The cycle it is billed in.
    pub bill_cycle: BillCycleId,
}

#[async_trait]
impl UseCase for CreateAccount {
    const OPERATION: &'static str = "createAccount";
    const STATUS: u16 = 201;

    fn key(&self) -> OrderingKey {
        self.command.id.into()
    }
    fn prefetch(&self) -> Vec<Prefetch> {
        vec![Prefetch::BillCycle(self.bill_cycle)]
    }
    async fn run(&self, tx: &mut Tx<'_>, now: Timestamp) -> Result<Option<Record>, Failure> {
        let Some(cycle) = tx.bill_cycle(self.bill_cycle).await? else {
            let message = format!("There is no bill cycle '{}'.", self.bill_cycle);
            return Err(Rejected::violation("/billCycle", "bill_cycle_unknown", message).into());
        };
        if let Some(external_id) = &self.command.external_id
            && tx.has_account(external_id).await?
        {
            let message = format!("There is an account with the external id '{external_id}' already.");
            return Err(Rejected::conflict("external_id_taken", message).into());
        }
        let change = account::create(self.command.clone(), &cycle, now)?;
        tx.save_account(&change.after)?;
        Record::of(&change).map(Some)
    }
}
