//! `updateBillCycle`, `deleteBillCycle`, the announcement of billing dates, and the next runs.

use async_trait::async_trait;
use billwire_domain::customers::bill_cycle::{self, BillCycle};
use billwire_schemas::{
    clock::Timestamp,
    ids::{BillCycleId, OrderingKey},
};
use billwire_store::{Tx, commit::Failure};

use crate::{customers::billing_settings::settings, execute::UseCase, execute_on::ObjectUseCase, record::Record, references};

/// Renames a bill cycle, or changes when its billing dates are announced and its runs start.
#[derive(Debug, Clone)]
pub struct UpdateBillCycle(pub bill_cycle::Update);

/// Announces the next billing date of a cycle, if that is due.
#[derive(Debug, Clone)]
pub(crate) struct AnnounceBillRun(pub BillCycleId);

/// Plans the next run of a cycle, once the one that is due has started.
#[derive(Debug, Clone)]
pub(crate) struct PlanNextBillRun(pub BillCycleId);

/// Deletes an unused bill cycle.
#[derive(Debug, Clone)]
pub struct DeleteBillCycle;

#[async_trait]
impl ObjectUseCase for UpdateBillCycle {
    type Object = BillCycle;
    const OPERATION: &'static str = "updateBillCycle";

    async fn run(&self, tx: &mut Tx<'_>, cycle: BillCycle, now: Timestamp) -> Result<Option<Record>, Failure> {
        tx.ensure_external_id_can_change(&cycle, &self.0.external_id).await?;
        let change = bill_cycle::update(cycle, self.0.clone(), &settings(tx).await?, now)?;
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

#[async_trait]
impl UseCase for AnnounceBillRun {
    const OPERATION: &'static str = "announceBillRun";

    fn key(&self) -> OrderingKey {
        self.0.0.into()
    }
    async fn run(&self, tx: &mut Tx<'_>, now: Timestamp) -> Result<Option<Record>, Failure> {
        let Some(cycle) = tx.load::<BillCycle>(self.0.0).await? else { return Ok(None) };
        let Some(change) = bill_cycle::announce(cycle, &settings(tx).await?, now) else { return Ok(None) };
        tx.save(&change)?;
        Record::of(&change).map(Some)
    }
}

#[async_trait]
impl UseCase for PlanNextBillRun {
    const OPERATION: &'static str = "planBillRun";

    fn key(&self) -> OrderingKey {
        self.0.0.into()
    }
    async fn run(&self, tx: &mut Tx<'_>, now: Timestamp) -> Result<Option<Record>, Failure> {
        let Some(cycle) = tx.load::<BillCycle>(self.0.0).await? else { return Ok(None) };
        let Some(change) = bill_cycle::plan_next_run(cycle, &settings(tx).await?, now) else { return Ok(None) };
        tx.save(&change)?;
        Record::of(&change).map(Some)
    }
}
