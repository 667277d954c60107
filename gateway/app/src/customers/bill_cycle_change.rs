//! `updateAccountBillCycle`, `cancelAccountBillCycleChange`, `performAccountBillCycleChange`, and the clock's own perform.

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
    ids::{AccountId, BillCycleId, OrderingKey},
};
use billwire_store::{
    Tx,
    commit::{Failure, Prefetch},
};

use crate::{
    events::event_parameters::recorded,
    execute::UseCase,
    objects::{addressed, referenced},
    record::Record,
};

/// Puts an account on another bill cycle, now or later.
#[derive(Debug, Clone)]
pub struct UpdateAccountBillCycle {
    /// Which account.
    pub account: AccountId,
    /// Only at this version.
    pub if_match: Option<i64>,
    /// The cycle it goes to.
    pub bill_cycle: BillCycleId,
    /// The account's own billing day, on an individual cycle.
    pub billing_day: Option<u32>,
    /// When; absent: now.
    pub valid_from: Option<Timestamp>,
}

/// Drops a planned change.
#[derive(Debug, Clone)]
pub struct CancelAccountBillCycleChange {
    /// Which account.
    pub account: AccountId,
    /// Only at this version.
    pub if_match: Option<i64>,
}

/// Lets a planned change take effect now.
#[derive(Debug, Clone)]
pub struct PerformAccountBillCycleChange {
    /// Which account.
    pub account: AccountId,
    /// Only at this version.
    pub if_match: Option<i64>,
}

/// What the clock does when a planned change is due.
#[derive(Debug, Clone)]
pub(crate) struct PerformDueBillCycleChange {
    pub account: AccountId,
}

/// The account at the version asked for.
async fn load(tx: &mut Tx<'_>, id: AccountId, if_match: Option<i64>) -> Result<Account, Failure> {
    addressed(tx, id.0, if_match).await
}

async fn save(tx: &mut Tx<'_>, change: &Change<Account>) -> Result<Option<Record>, Failure> {
    recorded(tx, change, Parameters::new()).await
}

/// The cycle a planned change leads to. One that is planned for is never deleted, so a missing one means a broken database.
async fn planned_cycle(tx: &mut Tx<'_>, account: &Account) -> Result<Option<BillCycle>, Failure> {
    let Some(planned) = &account.planned_bill_cycle_change else { return Ok(None) };
    let found = tx.load::<BillCycle>(planned.bill_cycle_id.0).await?;
    found.map(Some).ok_or_else(|| {
        billwire_store::Error::Corrupt { table: "bill_cycle", detail: format!("account {} plans a missing cycle", account.id) }.into()
    })
}

#[async_trait]
impl UseCase for UpdateAccountBillCycle {
    const OPERATION: &'static str = "updateAccountBillCycle";
    const STATUS: u16 = 200;

    fn key(&self) -> OrderingKey {
        self.account.into()
    }
    fn prefetch(&self) -> Vec<Prefetch> {
        vec![Prefetch::of::<Account>(self.account.0), Prefetch::of::<BillCycle>(self.bill_cycle.0)]
    }
    async fn run(&self, tx: &mut Tx<'_>, now: Timestamp) -> Result<Option<Record>, Failure> {
        let account = load(tx, self.account, self.if_match).await?;
        let cycle = referenced::<BillCycle>(tx, "/billCycle", self.bill_cycle.0).await?;
        let change = account::update_bill_cycle(account, &cycle, self.billing_day, self.valid_from, now)?;
        save(tx, &change).await
    }
}

#[async_trait]
impl UseCase for CancelAccountBillCycleChange {
    const OPERATION: &'static str = "cancelAccountBillCycleChange";
    const STATUS: u16 = 200;

    fn key(&self) -> OrderingKey {
        self.account.into()
    }
    fn prefetch(&self) -> Vec<Prefetch> {
        vec![Prefetch::of::<Account>(self.account.0)]
    }
    async fn run(&self, tx: &mut Tx<'_>, now: Timestamp) -> Result<Option<Record>, Failure> {
        let account = load(tx, self.account, self.if_match).await?;
        save(tx, &account::cancel_bill_cycle_change(account, now)?).await
    }
}

#[async_trait]
impl UseCase for PerformAccountBillCycleChange {
    const OPERATION: &'static str = "performAccountBillCycleChange";
    const STATUS: u16 = 200;

    fn key(&self) -> OrderingKey {
        self.account.into()
    }
    fn prefetch(&self) -> Vec<Prefetch> {
        vec![Prefetch::of::<Account>(self.account.0)]
    }
    async fn run(&self, tx: &mut Tx<'_>, now: Timestamp) -> Result<Option<Record>, Failure> {
        let account = load(tx, self.account, self.if_match).await?;
        let change = match planned_cycle(tx, &account).await? {
            Some(cycle) => account::perform_bill_cycle_change(account, &cycle, now)?,
            // Without a planned change there is no cycle to load; the refusal is the same as cancel's.
            None => account::cancel_bill_cycle_change(account, now)?,
        };
        save(tx, &change).await
    }
}

#[async_trait]
impl UseCase for PerformDueBillCycleChange {
    const OPERATION: &'static str = "performAccountBillCycleChange";
    const STATUS: u16 = 200;

    fn key(&self) -> OrderingKey {
        self.account.into()
    }
    fn prefetch(&self) -> Vec<Prefetch> {
        vec![Prefetch::of::<Account>(self.account.0)]
    }
    async fn run(&self, tx: &mut Tx<'_>, now: Timestamp) -> Result<Option<Record>, Failure> {
        let account = load(tx, self.account, None).await?;
        let Some(cycle) = planned_cycle(tx, &account).await? else { return Ok(None) };
        match account::perform_due_bill_cycle_change(account, &cycle, now)? {
            Some(change) => save(tx, &change).await,
            None => Ok(None),
        }
    }
}
