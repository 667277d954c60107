//! `createBillCycle`.

use async_trait::async_trait;
use billwire_domain::{Rejected, bill_cycle};
use billwire_schemas::{clock::Timestamp, ids::OrderingKey};
use billwire_store::{Tx, commit::Failure};

use crate::{once::UseCase, record::Record};

/// Makes a bill cycle.
#[derive(Debug, Clone)]
pub struct CreateBillCycle(pub bill_cycle::Create);

#[async_trait]
impl UseCase for CreateBillCycle {
    const OPERATION: &'static str = "createBillCycle";
    const STATUS: u16 = 201;

    fn key(&self) -> OrderingKey {
        self.0.id.0.into()
    }
    async fn run(&self, tx: &mut Tx<'_>, now: Timestamp) -> Result<Option<Record>, Failure> {
        if let Some(external_id) = &self.0.external_id
            && tx.has_bill_cycle(external_id).await?
        {
            let message = format!("There is a bill cycle with the external id '{external_id}' already.");
            return Err(Rejected::conflict("external_id_taken", message).into());
        }
        let change = bill_cycle::create(self.0.clone(), now)?;
        tx.save_bill_cycle(&change.after)?;
        Record::of(&change).map(Some)
    }
}
