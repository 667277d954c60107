//! `createAccount`.

use async_trait::async_trait;
use billwire_domain::customers::{
    account::{self, Account},
    bill_cycle::BillCycle,
};
use billwire_schemas::{clock::Timestamp, ids::OrderingKey};
use billwire_store::{
    Tx,
    commit::{Failure, Prefetch},
};

use crate::{
    customers::billing_settings::settings,
    execute::UseCase,
    objects::{found, prefetch_named},
    record::Record,
};

/// Creates an account.
#[derive(Debug, Clone)]
pub struct CreateAccount {
    /// What to create.
    pub command: account::Create,
    /// Id or external id of the bill cycle.
    pub bill_cycle: String,
}

#[async_trait]
impl UseCase for CreateAccount {
    const OPERATION: &'static str = "createAccount";
    const STATUS: u16 = 201;

    fn key(&self) -> OrderingKey {
        self.command.id.into()
    }
    fn prefetch(&self) -> Vec<Prefetch> {
        prefetch_named::<BillCycle>(&self.bill_cycle)
    }
    async fn run(&self, tx: &mut Tx<'_>, now: Timestamp) -> Result<Option<Record>, Failure> {
        let cycle = found::<BillCycle>(tx, "/billCycle", &self.bill_cycle).await?;
        tx.ensure_external_id_free::<Account>(self.command.external_id.as_deref()).await?;
        let change = account::create(self.command.clone(), &cycle, &settings(tx).await?, now)?;
        tx.save(&change)?;
        Record::of(&change).map(Some)
    }
}
