//! `updateBillCycle`, `deleteBillCycle`.

use async_trait::async_trait;
use billwire_domain::customers::bill_cycle::{self, BillCycle};
use billwire_schemas::clock::Timestamp;
use billwire_store::{Tx, commit::Failure};

use crate::{execute_on::ObjectUseCase, record::Record, references};

/// Renames a bill cycle.
#[derive(Debug, Clone)]
pub struct UpdateBillCycle {
    /// The new name.
    pub name: Option<String>,
}

/// Deletes an unused bill cycle.
#[derive(Debug, Clone)]
pub struct DeleteBillCycle;

#[async_trait]
impl ObjectUseCase for UpdateBillCycle {
    type Object = BillCycle;
    const OPERATION: &'static str = "updateBillCycle";

    async fn run(&self, tx: &mut Tx<'_>, cycle: BillCycle, now: Timestamp) -> Result<Option<Record>, Failure> {
        let change = bill_cycle::update(cycle, self.name.clone(), now);
        tx.save(&change)?;
        Record::of(&change).map(Some)
    }
}

#[async_trait]
impl ObjectUseCase for DeleteBillCycle {
    type Object = BillCycle;
    const OPERATION: &'static str = "deleteBillCycle";

    async fn run(&self, tx: &mut Tx<'_>, cycle: BillCycle, _: Timestamp) -> Result<Option<Record>, Failure> {
        let in_use = references::bill_cycle(tx, cycle.id.0).await?;
        let change = bill_cycle::delete(cycle, in_use)?;
        tx.save(&change)?;
        Record::of(&change).map(Some)
    }
}
