//! `updateBillCycle`, `deleteBillCycle`.

use async_trait::async_trait;
use billwire_domain::customers::bill_cycle::{self, BillCycle};
use billwire_schemas::{
    clock::Timestamp,
    ids::{BillCycleId, OrderingKey},
};
use billwire_store::{
    Tx,
    commit::{Failure, Prefetch},
};

use crate::{execute::UseCase, objects::addressed, record::Record, references};

/// Renames a bill cycle.
#[derive(Debug, Clone)]
pub struct UpdateBillCycle {
    /// Which cycle.
    pub bill_cycle: BillCycleId,
    /// Only at this version.
    pub if_match: Option<i64>,
    /// Its new name.
    pub name: Option<String>,
}

/// Deletes a bill cycle that no account is in.
#[derive(Debug, Clone)]
pub struct DeleteBillCycle {
    /// Which cycle.
    pub bill_cycle: BillCycleId,
    /// Only at this version.
    pub if_match: Option<i64>,
}

#[async_trait]
impl UseCase for UpdateBillCycle {
    const OPERATION: &'static str = "updateBillCycle";
    const STATUS: u16 = 200;

    fn key(&self) -> OrderingKey {
        self.bill_cycle.0.into()
    }
    fn prefetch(&self) -> Vec<Prefetch> {
        vec![Prefetch::of::<BillCycle>(self.bill_cycle.0)]
    }
    async fn run(&self, tx: &mut Tx<'_>, now: Timestamp) -> Result<Option<Record>, Failure> {
        let cycle = addressed::<BillCycle>(tx, self.bill_cycle.0, self.if_match).await?;
        let change = bill_cycle::update(cycle, self.name.clone(), now);
        tx.save(&change)?;
        Record::of(&change).map(Some)
    }
}

#[async_trait]
impl UseCase for DeleteBillCycle {
    const OPERATION: &'static str = "deleteBillCycle";
    const STATUS: u16 = 200;

    fn key(&self) -> OrderingKey {
        self.bill_cycle.0.into()
    }
    fn prefetch(&self) -> Vec<Prefetch> {
        vec![Prefetch::of::<BillCycle>(self.bill_cycle.0)]
    }
    async fn run(&self, tx: &mut Tx<'_>, _: Timestamp) -> Result<Option<Record>, Failure> {
        let cycle = addressed::<BillCycle>(tx, self.bill_cycle.0, self.if_match).await?;
        let change = bill_cycle::delete(cycle, references::bill_cycle(tx, self.bill_cycle.0).await?)?;
        tx.save(&change)?;
        Record::of(&change).map(Some)
    }
}
