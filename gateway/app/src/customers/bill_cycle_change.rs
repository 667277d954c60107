//! `updateAccountBillCycle`, `cancelAccountBillCycleChange`, `performAccountBillCycleChange`, and performing due changes.

use async_trait::async_trait;
use billwire_domain::{
    Change,
    customers::{
        account::{self, Account},
        bill_cycle::BillCycle,
    },
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
    billing::invoicing::with_bill_cycle_history,
    customers::billing_settings::settings,
    events::event_parameters::recorded,
    execute::UseCase,
    execute_on::ObjectUseCase,
    objects::{addressed, found, prefetch_named},
    record::Record,
};

/// Changes an account's bill cycle, now or later.
#[derive(Debug, Clone)]
pub struct UpdateAccountBillCycle {
    /// Id or external id of the new cycle.
    pub bill_cycle: String,
    /// The account's own billing day, for an individual cycle.
    pub billing_day: Option<u32>,
    /// Time at which the change takes effect; absent: now.
    pub valid_from: Option<Timestamp>,
}

/// Cancels a planned change.
#[derive(Debug, Clone)]
pub struct CancelAccountBillCycleChange;

/// Performs a planned change now.
#[derive(Debug, Clone)]
pub struct PerformAccountBillCycleChange;

/// Performs a planned change that is due.
#[derive(Debug, Clone)]
pub(crate) struct PerformDueBillCycleChange {
    pub account: AccountId,
}

async fn save(tx: &mut Tx<'_>, change: &Change<Account>) -> Result<Option<Record>, Failure> {
    recorded(tx, change, Parameters::new()).await
}

/// The cycle of the planned change. Such a cycle cannot be deleted, so a missing one means corrupt data.
async fn planned_cycle(tx: &mut Tx<'_>, account: &Account) -> Result<Option<BillCycle>, Failure> {
    let Some(planned) = &account.planned_bill_cycle_change else { return Ok(None) };
    let found = tx.load::<BillCycle>(planned.bill_cycle_id.0).await?;
    found.map(Some).ok_or_else(|| {
        billwire_store::Error::Corrupt { table: "bill_cycle", detail: format!("account {} plans a missing cycle", account.id) }.into()
    })
}

#[async_trait]
impl ObjectUseCase for UpdateAccountBillCycle {
    type Object = Account;
    const OPERATION: &'static str = "updateAccountBillCycle";

    fn prefetch(&self) -> Vec<Prefetch> {
        prefetch_named::<BillCycle>(&self.bill_cycle)
    }
    async fn run(&self, tx: &mut Tx<'_>, account: Account, now: Timestamp) -> Result<Option<Record>, Failure> {
        account::ensure_not_deactivated(&account)?;
        let cycle = found::<BillCycle>(tx, "/billCycle", &self.bill_cycle).await?;
        let account = with_bill_cycle_history(tx, account).await?;
        let change = account::update_bill_cycle(account, &cycle, self.billing_day, self.valid_from, &settings(tx).await?, now)?;
        save(tx, &change).await
    }
}

#[async_trait]
impl ObjectUseCase for CancelAccountBillCycleChange {
    type Object = Account;
    const OPERATION: &'static str = "cancelAccountBillCycleChange";

    async fn run(&self, tx: &mut Tx<'_>, account: Account, now: Timestamp) -> Result<Option<Record>, Failure> {
        save(tx, &account::cancel_bill_cycle_change(account, now)?).await
    }
}

#[async_trait]
impl ObjectUseCase for PerformAccountBillCycleChange {
    type Object = Account;
    const OPERATION: &'static str = "performAccountBillCycleChange";

    async fn run(&self, tx: &mut Tx<'_>, account: Account, now: Timestamp) -> Result<Option<Record>, Failure> {
        let change = match planned_cycle(tx, &account).await? {
            Some(cycle) => {
                let account = with_bill_cycle_history(tx, account).await?;
                account::perform_bill_cycle_change(account, &cycle, &settings(tx).await?, now)?
            }
            // Without a planned change there is no cycle to load; the refusal is that of the cancellation.
            None => account::cancel_bill_cycle_change(account, now)?,
        };
        save(tx, &change).await
    }
}

#[async_trait]
impl UseCase for PerformDueBillCycleChange {
    const OPERATION: &'static str = "performAccountBillCycleChange";

    fn key(&self) -> OrderingKey {
        self.account.into()
    }
    fn prefetch(&self) -> Vec<Prefetch> {
        vec![Prefetch::of::<Account>(self.account.0)]
    }
    async fn run(&self, tx: &mut Tx<'_>, now: Timestamp) -> Result<Option<Record>, Failure> {
        let account = addressed::<Account>(tx, self.account.0, None).await?;
        let Some(cycle) = planned_cycle(tx, &account).await? else { return Ok(None) };
        let account = with_bill_cycle_history(tx, account).await?;
        match account::perform_due_bill_cycle_change(account, &cycle, &settings(tx).await?, now)? {
            Some(change) => save(tx, &change).await,
            None => Ok(None),
        }
    }
}
