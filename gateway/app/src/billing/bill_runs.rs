//! `startBillRun`, and the work that follows: each account of the cycle by itself, until none is left.
//!
//! A run is worked on in pages of accounts, many at once through [`App::execute`], so that they share commits. What became of an account
//! is noted in the transaction that bills it: a worker that is killed, or a second one, finds out there what is done.

use std::collections::HashMap;

use async_trait::async_trait;
use billwire_domain::{
    Rejected,
    billing::{
        bill_run::{self, BillRun, Outcome},
        invoice::Kind,
        invoicing,
    },
    customers::{account::Account, bill_cycle::BillCycle},
};
use billwire_schemas::{
    clock::Timestamp,
    ids::{AccountId, BillRunId, InvoiceId, OrderingKey, TenantId, fresh},
    refusal::Code,
};
use billwire_store::{
    BilledAccount, Error, Filter, Tx,
    commit::{Failure, Prefetch},
    idempotency::Reply,
};
use serde::Serialize;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::{
    App, Caller, RequestContext,
    billing::invoicing::{Billing, Wanted, schedule},
    customers::billing_settings::settings,
    events::event_parameters::billing_contact,
    execute::UseCase,
    execute_on::ObjectUseCase,
    objects::{addressed, unknown},
    record::Record,
};

/// Accounts read in one step.
const PAGE: u64 = 256;
/// Accounts billed at once.
const AT_ONCE: usize = 64;
/// Runs looked after at once.
const RUNS: u64 = 16;

/// Starts a bill run.
#[derive(Debug, Clone)]
pub struct StartBillRun {
    /// What it shall be.
    pub command: bill_run::Start,
}

#[async_trait]
impl ObjectUseCase for StartBillRun {
    type Object = BillCycle;
    const OPERATION: &'static str = "startBillRun";
    const STATUS: u16 = 202;

    fn missing(reference: &str) -> Rejected {
        unknown::<BillCycle>("/billCycle", reference)
    }
    fn key(&self) -> Option<OrderingKey> {
        Some(self.command.id.0.into())
    }
    async fn run(&self, tx: &mut Tx<'_>, cycle: BillCycle, now: Timestamp) -> Result<Option<Record>, Failure> {
        tx.ensure_external_id_free::<BillRun>(self.command.external_id.as_deref()).await?;
        let running = Filter::new().is_id("bill_cycle_id", Some(cycle.id.0)).is("status", Some(bill_run::Status::Running.name()));
        let running = tx.select::<BillRun>(running, 1).await?;
        let change = bill_run::start(self.command.clone(), &cycle, running.first(), &settings(tx).await?, now)?;
        tx.save(&change)?;
        Record::of(&change).map(Some)
    }
}

/// Bills one account in a run.
struct BillAccount {
    run: BillRun,
    account: AccountId,
    invoice: InvoiceId,
}

#[async_trait]
impl UseCase for BillAccount {
    const OPERATION: &'static str = "startBillRun";

    fn key(&self) -> OrderingKey {
        self.account.into()
    }
    fn prefetch(&self) -> Vec<Prefetch> {
        vec![Prefetch::of::<Account>(self.account.0), Prefetch::of::<BillCycle>(self.run.bill_cycle_id.0)]
    }
    async fn run(&self, tx: &mut Tx<'_>, now: Timestamp) -> Result<Option<Record>, Failure> {
        let Some(account) = to_be_billed(tx, &self.run, self.account).await? else { return Ok(None) };
        let (settings, schedule) = (settings(tx).await?, schedule(tx, &account).await?);
        let date = self.run.billing_date;
        let billing = Billing {
            cutoff: invoicing::cutoff(&settings, date),
            fees_until: invoicing::fees_until(&account, &schedule, date),
            settings,
            schedule,
            account,
        };
        let drawn = billing.draw(tx).await?;
        let wanted = Wanted { id: self.invoice, kind: Kind::Cycle, run: Some(self.run.id) };
        let invoice = billing.post(tx, &drawn, wanted, now).await?;
        let moved = invoicing::move_on(&billing.account, &billing.schedule, date, now);
        let record = billing.save(tx, drawn, invoice.as_ref(), moved, now).await?;
        let outcome = if invoice.is_some() { Outcome::Invoiced } else { Outcome::Nothing };
        let invoice = invoice.map(|invoice| (invoice.after.id, invoice.after.total));
        tx.note_billed(&BilledAccount { run: self.run.id, account: self.account, outcome, invoice });
        Ok(record)
    }
}

/// The account, if the run has still to deal with it.
async fn to_be_billed(tx: &mut Tx<'_>, run: &BillRun, id: AccountId) -> Result<Option<Account>, Failure> {
    if tx.billed_in_run(run.id, id).await? {
        return Ok(None);
    }
    let account = tx.load::<Account>(id.0).await?;
    Ok(account.filter(|account| invoicing::in_bill_runs(account) && account.bill_cycle.bill_cycle_id == run.bill_cycle_id))
}

/// Notes that an account could not be billed in a run, and tells why.
struct FailAccount {
    run: BillRun,
    account: AccountId,
    refusal: Rejected,
    /// Whether an event tells of it.
    told: bool,
}

#[async_trait]
impl UseCase for FailAccount {
    const OPERATION: &'static str = "startBillRun";

    fn key(&self) -> OrderingKey {
        self.account.into()
    }
    fn prefetch(&self) -> Vec<Prefetch> {
        vec![Prefetch::of::<Account>(self.account.0)]
    }
    async fn run(&self, tx: &mut Tx<'_>, now: Timestamp) -> Result<Option<Record>, Failure> {
        let Some(account) = to_be_billed(tx, &self.run, self.account).await? else { return Ok(None) };
        tx.note_billed(&BilledAccount { run: self.run.id, account: self.account, outcome: Outcome::Failed, invoice: None });
        if !self.told {
            return Ok(None);
        }
        let contact = billing_contact(tx, &account).await?;
        let change = bill_run::billing_failed(account, self.run.id, &self.refusal, now);
        tx.save(&change)?;
        Record::default().and(&change, &contact).map(Some)
    }
}

/// Completes a run that has no account left.
struct CompleteBillRun {
    run: BillRunId,
}

#[async_trait]
impl UseCase for CompleteBillRun {
    const OPERATION: &'static str = "startBillRun";

    fn key(&self) -> OrderingKey {
        self.run.0.into()
    }
    async fn run(&self, tx: &mut Tx<'_>, now: Timestamp) -> Result<Option<Record>, Failure> {
        let run = addressed::<BillRun>(tx, self.run.0, None).await?;
        if tx.has_accounts_left(&run).await? {
            return Ok(None);
        }
        let tally = tx.bill_run_tally(run.id).await?;
        let Some(change) = bill_run::complete(run, tally, now) else { return Ok(None) };
        tx.save(&change)?;
        Record::of(&change).map(Some)
    }
}

/// How far each run has got in its list of accounts. Only saves looking at those that are done once more: it may be lost at any time.
#[derive(Debug, Default)]
pub struct BillRunCursors(HashMap<Uuid, Uuid>);

impl App {
    /// Bills a page of accounts of each run that is not completed, and completes those that have none left. Gives how many runs there
    /// were: when it is not 0, there may be more to do.
    ///
    /// # Errors
    /// The database's failure; what was not billed then will be by the next call.
    pub async fn advance_bill_runs(&self, cursors: &mut BillRunCursors) -> Result<usize, Failure> {
        let runs = self.store.running_bill_runs(RUNS).await?;
        cursors.0.retain(|id, _| runs.iter().any(|(_, run)| run.id.0 == *id));
        let mut count = runs.len();
        for (tenant, run) in runs {
            let after = cursors.0.get(&run.id.0).copied();
            let accounts = self.store.accounts_left(&tenant, &run, after, PAGE).await?;
            if let Some(last) = accounts.last() {
                cursors.0.insert(run.id.0, last.0);
                self.bill_accounts(&tenant, &run, accounts).await?;
            } else if cursors.0.remove(&run.id.0).is_none() {
                match self.execute(by_clock(&tenant), CompleteBillRun { run: run.id }).await {
                    // It stays as it is, and is no reason to keep others waiting.
                    Err(Failure::Rejected(refusal)) => {
                        tracing::error!(%tenant, bill_run.id = %run.id, %refusal, "a bill run could not be completed");
                        count -= 1;
                    }
                    done => drop(done?),
                }
            }
        }
        Ok(count)
    }

    async fn bill_accounts(&self, tenant: &TenantId, run: &BillRun, accounts: Vec<AccountId>) -> Result<(), Failure> {
        let mut running = JoinSet::new();
        for account in accounts {
            if running.len() >= AT_ONCE
                && let Some(done) = running.join_next().await
            {
                finished(done)?;
            }
            let (app, tenant, run) = (self.clone(), tenant.clone(), run.clone());
            running.spawn(async move { app.bill_account(&tenant, run, account).await });
        }
        while let Some(done) = running.join_next().await {
            finished(done)?;
        }
        Ok(())
    }

    /// Bills one account; what stands against it is told, and does not stop the run.
    async fn bill_account(&self, tenant: &TenantId, run: BillRun, account: AccountId) -> Result<Reply, Failure> {
        let unit = BillAccount { run: run.clone(), account, invoice: InvoiceId(fresh()) };
        let refusal = match self.execute(by_clock(tenant), unit).await {
            Ok(reply) => return Ok(reply),
            Err(Failure::Rejected(refusal)) => refusal,
            Err(Failure::Store(error)) if matches!(*error, Error::Corrupt { .. }) => {
                Rejected::conflict(Code::BillingDataUnreadable, "Something of the account's cannot be read.")
            }
            Err(failure) => return Err(failure),
        };
        tracing::warn!(account.id = %account, bill_run.id = %run.id, %refusal, "an account could not be billed");
        let failed = |told| FailAccount { run: run.clone(), account, refusal: refusal.clone(), told };
        match self.execute(by_clock(tenant), failed(true)).await {
            Err(Failure::Rejected(untold)) => {
                tracing::error!(account.id = %account, bill_run.id = %run.id, refusal = %untold, "the failure to bill an account could not be told");
                self.execute(by_clock(tenant), failed(false)).await
            }
            done => done,
        }
    }

    /// A run with what it has done by now.
    ///
    /// # Errors
    /// The database's failure.
    pub async fn bill_run_now(&self, tenant: &TenantId, mut run: BillRun) -> Result<BillRunNow, Failure> {
        if run.status == bill_run::Status::Completed {
            return Ok(BillRunNow { run, accounts_left: None });
        }
        let (tally, left) = self.store.bill_run_progress(tenant, &run).await?;
        run.tally = tally;
        Ok(BillRunNow { run, accounts_left: Some(left) })
    }
}

/// A run with what it has done by now.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BillRunNow {
    /// The run; while it is running, with the counts of this moment.
    #[serde(flatten)]
    pub run: BillRun,
    /// How many accounts it has still to deal with, while it is running.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accounts_left: Option<i64>,
}

fn by_clock(tenant: &TenantId) -> RequestContext {
    RequestContext { caller: Caller { tenant: tenant.clone(), actor: "clock".to_owned(), scopes: Vec::new() }, claim: None }
}

fn finished(done: Result<Result<Reply, Failure>, tokio::task::JoinError>) -> Result<(), Failure> {
    match done {
        Ok(reply) => reply.map(|_| ()),
        Err(panic) => {
            tracing::error!(error = %panic, "billing an account panicked");
            Ok(())
        }
    }
}
