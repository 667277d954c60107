//! `startBillRun`, and the processing of the run: the cycle's accounts one by one.
//!
//! Accounts are processed in pages, many at once through [`App::execute`], so that they share commits. The transaction that bills an
//! account also records its result, from which a restarted or second worker sees what is done.

use std::collections::HashMap;

use async_trait::async_trait;
use billwire_domain::{
    Rejected,
    access::grant::Grant,
    billing::{
        bill_run::{self, BillRun, Outcome},
        invoice::Kind,
        invoicing,
    },
    customers::{account::Account, bill_cycle::BillCycle},
};
use billwire_monitoring::metrics::{DueAction, METRICS};
use billwire_schemas::{
    clock::Timestamp,
    ids::{AccountId, BillCycleId, BillRunId, InvoiceId, OrderingKey, TenantId, fresh},
    refusal::Code,
};
use billwire_store::{
    BilledAccount, Error, Filter, Tx,
    commit::{Failure, Prefetch},
};
use serde::Serialize;
use tokio::task::JoinSet;

use crate::{
    App, Caller, RequestContext,
    billing::bill_run_turns::BillRunCursors,
    billing::invoicing::{Billing, Wanted, paid_for, parts, with_bill_cycle_history},
    customers::billing_settings::settings,
    events::event_parameters::billing_contact,
    execute::UseCase,
    execute_on::{ObjectUseCase, ensure_locked},
    objects::{addressed, unknown},
    record::{ByAccount, Record},
};

/// Accounts read per page.
const PAGE: u64 = 256;
/// Maximum number of accounts billed concurrently.
const AT_ONCE: usize = 64;
/// Maximum number of running runs that take turns.
const RUNNING_MAX: u64 = 10_000;

/// Starts a bill run.
#[derive(Debug, Clone)]
pub struct StartBillRun {
    /// What to create.
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

/// Starts the bill run of a cycle that is due, unless there is one of that billing date. Unlike a run that is asked for, it may wait for an
/// earlier run of the cycle.
#[derive(Debug, Clone)]
pub(crate) struct StartDueBillRun {
    pub cycle: BillCycleId,
    pub run: BillRunId,
}

#[async_trait]
impl UseCase for StartDueBillRun {
    const OPERATION: &'static str = "startBillRun";

    fn key(&self) -> OrderingKey {
        self.run.0.into()
    }
    fn locks(&self) -> Vec<OrderingKey> {
        vec![self.cycle.0.into()]
    }
    async fn run(&self, tx: &mut Tx<'_>, now: Timestamp) -> Result<Option<Record>, Failure> {
        let Some(cycle) = tx.load::<BillCycle>(self.cycle.0).await? else { return Ok(None) };
        let settings = settings(tx).await?;
        let Some(billing_date) = cycle.due_run(&settings, now) else { return Ok(None) };
        if tx.has_bill_run(cycle.id, billing_date).await? {
            return Ok(None);
        }
        let command = bill_run::Start { id: self.run, external_id: None, billing_date: Some(billing_date), automatic: true };
        let change = bill_run::start(command, &cycle, None, &settings, now)?;
        tx.save(&change)?;
        Record::of(&change).map(Some)
    }
}

/// Bills one account in a run, with those it pays for.
struct BillAccount {
    run: BillRun,
    account: AccountId,
    paid_for: Vec<AccountId>,
    invoice: InvoiceId,
}

#[async_trait]
impl UseCase for BillAccount {
    const OPERATION: &'static str = "startBillRun";

    fn key(&self) -> OrderingKey {
        self.account.into()
    }
    fn locks(&self) -> Vec<OrderingKey> {
        self.paid_for.iter().map(|account| (*account).into()).collect()
    }
    fn prefetch(&self) -> Vec<Prefetch> {
        vec![Prefetch::of::<Account>(self.account.0)]
    }
    async fn run(&self, tx: &mut Tx<'_>, now: Timestamp) -> Result<Option<Record>, Failure> {
        let Some(account) = to_be_billed(tx, &self.run, self.account).await? else { return Ok(None) };
        if self.run.automatic {
            let account = with_bill_cycle_history(tx, account.clone()).await?;
            if !invoicing::has_ended_period(&account, self.run.billing_date) {
                tx.note_billed(&BilledAccount { run: self.run.id, account: account.id, outcome: Outcome::Nothing, invoice: None });
                return Ok(None);
            }
        }
        let paid_for = paid_for(tx, account.id).await?;
        ensure_locked(tx, &paid_for)?;
        let (settings, date) = (settings(tx).await?, self.run.billing_date);
        let parts = parts(tx, account.clone(), paid_for, |account| invoicing::fees_until(account, date)).await?;
        let billing = Billing { cutoff: invoicing::cutoff(&settings, date), account, settings, parts, plans: false, last: false };
        let mut drawn = billing.draw(tx).await?;
        let wanted = Wanted { id: self.invoice, kind: Kind::Cycle, run: Some(self.run.id) };
        let invoice = billing.post(tx, &mut drawn, wanted, now).await?;
        let mut records = ByAccount::default();
        billing.save(tx, drawn, invoice.as_ref(), &mut records, now).await?;
        billing.tell_accounts(tx, invoice.as_ref(), Some(date), &mut records, now).await?;
        let outcome = if invoice.is_some() { Outcome::Invoiced } else { Outcome::Nothing };
        let invoice = invoice.map(|invoice| (invoice.after.id, invoice.after.total));
        tx.note_billed(&BilledAccount { run: self.run.id, account: self.account, outcome, invoice });
        Ok(records.record())
    }
}

/// The account, if the run has not processed it yet.
async fn to_be_billed(tx: &mut Tx<'_>, run: &BillRun, id: AccountId) -> Result<Option<Account>, Failure> {
    if tx.billed_in_run(run.id, id).await? {
        return Ok(None);
    }
    let account = tx.load::<Account>(id.0).await?;
    Ok(account.filter(|account| invoicing::in_bill_runs(account) && account.bill_cycle.bill_cycle_id == run.bill_cycle_id))
}

/// Records that an account could not be billed in a run, and why.
struct FailAccount {
    run: BillRun,
    account: AccountId,
    refusal: Rejected,
    /// Whether to publish `account.billing_failed`.
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

/// Completes a run without remaining accounts.
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

impl App {
    /// Bills a page of accounts of some running runs, those of all tenants in turn, and completes runs without remaining accounts. Returns the
    /// number of runs; if it is not 0, there may be more to do.
    ///
    /// # Errors
    /// A database failure; the next call bills the remaining accounts.
    pub async fn advance_bill_runs(&self, cursors: &mut BillRunCursors) -> Result<usize, Failure> {
        let running = self.store.running_bill_runs(RUNNING_MAX).await?;
        let runs = self.store.bill_runs(&cursors.next(&running)).await?;
        let mut count = runs.len();
        for (tenant, run) in runs {
            let accounts = self.store.accounts_left(&tenant, &run, cursors.position(run.id), PAGE).await?;
            if let Some(last) = accounts.last() {
                cursors.advance(run.id, *last);
                self.bill_accounts(&tenant, &run, accounts).await?;
            } else if !cursors.restart(run.id) {
                match self.execute(by_clock(&tenant), CompleteBillRun { run: run.id }).await {
                    // The run stays running, and must not keep the caller busy.
                    Err(Failure::Rejected(refusal)) => {
                        METRICS.due_failed.get_or_create(&DueAction { action: "bill_run" }).inc();
                        if cursors.fail(run.id) {
                            tracing::error!(%tenant, bill_run.id = %run.id, %refusal, "a bill run could not be completed; it is tried again");
                        }
                        count -= 1;
                    }
                    done => drop(done?),
                }
            }
        }
        Ok(count)
    }

    async fn bill_accounts(&self, tenant: &TenantId, run: &BillRun, accounts: Vec<AccountId>) -> Result<(), Failure> {
        let mut paid_for: HashMap<AccountId, Vec<AccountId>> = HashMap::new();
        for account in self.store.paid_for(tenant, &accounts).await? {
            paid_for.entry(account.debtor()).or_default().push(account.id);
        }
        let mut running = JoinSet::new();
        for account in accounts {
            let paid_for = paid_for.remove(&account).unwrap_or_default();
            if running.len() >= AT_ONCE
                && let Some(done) = running.join_next().await
            {
                finished(done)?;
            }
            let (app, tenant, run) = (self.clone(), tenant.clone(), run.clone());
            running.spawn(async move { app.bill_account(&tenant, run, account, paid_for).await });
        }
        while let Some(done) = running.join_next().await {
            finished(done)?;
        }
        Ok(())
    }

    /// Bills one account. A refusal is recorded and published, and does not stop the run.
    async fn bill_account(&self, tenant: &TenantId, run: BillRun, account: AccountId, paid_for: Vec<AccountId>) -> Result<(), Failure> {
        let unit = BillAccount { run: run.clone(), account, paid_for, invoice: InvoiceId(fresh()) };
        let refusal = match self.execute(by_clock(tenant), unit).await {
            // It pays for another account since; the run comes to it again.
            Ok(_) | Err(Failure::Outdated) => return Ok(()),
            Err(Failure::Rejected(refusal)) => refusal,
            Err(Failure::Store(error)) if matches!(*error, Error::Corrupt { .. }) => {
                Rejected::conflict(Code::BillingDataUnreadable, "The account's billing data is unreadable.")
            }
            Err(failure) => return Err(failure),
        };
        tracing::warn!(account.id = %account, bill_run.id = %run.id, %refusal, "an account could not be billed");
        let failed = |told| FailAccount { run: run.clone(), account, refusal: refusal.clone(), told };
        match self.execute(by_clock(tenant), failed(true)).await {
            Err(Failure::Rejected(untold)) => {
                tracing::error!(account.id = %account, bill_run.id = %run.id, refusal = %untold, "a billing failure could not be published");
                self.execute(by_clock(tenant), failed(false)).await.map(drop)
            }
            done => done.map(drop),
        }
    }

    /// A run with its current progress.
    ///
    /// # Errors
    /// A database failure.
    pub async fn bill_run_now(&self, tenant: &TenantId, mut run: BillRun) -> Result<BillRunNow, Failure> {
        if run.status == bill_run::Status::Completed {
            return Ok(BillRunNow { run, accounts_left: None });
        }
        let (tally, left) = self.store.bill_run_progress(tenant, &run).await?;
        run.tally = tally;
        Ok(BillRunNow { run, accounts_left: Some(left) })
    }
}

/// A run with its current progress.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BillRunNow {
    /// The run; while it is in progress, with live counts.
    #[serde(flatten)]
    pub run: BillRun,
    /// Number of accounts still to process, while the run is in progress.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accounts_left: Option<i64>,
}

fn by_clock(tenant: &TenantId) -> RequestContext {
    RequestContext::of(Caller::part(tenant.clone(), "clock", Grant::default()))
}

fn finished(done: Result<Result<(), Failure>, tokio::task::JoinError>) -> Result<(), Failure> {
    match done {
        Ok(billed) => billed,
        Err(panic) => {
            tracing::error!(error = %panic, "billing an account panicked");
            Ok(())
        }
    }
}
