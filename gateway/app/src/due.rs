//! Performs what becomes due by time, by the same rules as a request.
//!
//! Each object's row has the time at which it is next due. A due object is decided again under the lock of its ordering key, so that a
//! second clock, a restart or a clock jump does nothing twice. What is performed late occurs at the moment it was due, and within an ordering
//! key in the order of these moments, of whatever kind.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    marker::PhantomData,
    sync::{MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use billwire_domain::{
    access::grant::Grant,
    billing::invoice::Invoice,
    customers::{
        account::{Account, DueAction},
        bill_cycle::{self, BillCycle},
        package_subscription::PackageSubscription,
        service::Service,
    },
    usage::{bucket::Bucket, contract::Contract, usage_identifier::UsageIdentifier},
};
use billwire_monitoring::{
    metrics::{self, METRICS},
    parts::{Part, Status},
};
use billwire_schemas::{
    clock::{Clock, SystemClock, Timestamp},
    ids::{AccountId, BillCycleId, BillRunId, BucketId, ContractId, InvoiceId, OrderingKey, TenantId, UsageIdentifierId, fresh},
};
use billwire_store::{Due, commit::Failure, idempotency::Reply};
use chrono::TimeDelta;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::{
    App, Caller, RequestContext,
    billing::{bill_runs::StartDueBillRun, invoices::InvoiceDue},
    customers::{
        account_ending::EndOwnedObjects,
        bill_cycle_change::PerformDueBillCycleChange,
        change_account_status::PerformDueStatusChange,
        planned_status::PerformDueStatus,
        update_bill_cycle::{AnnounceBillRun, PlanNextBillRun},
    },
    execute::NOTHING_TO_DO,
    usage::{buckets::EndBucketPeriod, contracts::EndContractPeriod, usage_identifiers::FindDormant},
};

/// Maximum number of due objects per type in one pass.
const AT_ONCE: u64 = 128;

/// How many actions run at the same time.
const ABREAST: usize = 8;

/// The same while somebody calls: callers wait for groups with few of them, and no more of the machine is theirs.
const ABREAST_OF_CALLS: usize = 2;

/// For how long after a call.
const AFTER_A_CALL: Duration = Duration::from_secs(1);

/// At most this many of a kind are read of a tenant that shares a pass with many others.
const MANY: u64 = AT_ONCE / 16;

/// Delay after a refusal. Without it, a few refused objects would fill each pass and hide all others.
const REFUSED_FOR: TimeDelta = TimeDelta::hours(1);

/// Delay after a failure of one action that the database has otherwise survived: a locked row, say.
const FAILED_FOR: TimeDelta = TimeDelta::minutes(1);

/// An action that has not failed again within this time is no longer reported.
const FAILED_AGAIN_WITHIN: Duration = Duration::from_secs(65 * 60);

/// The action for a due object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum What {
    Account,
    PackageSubscription,
    Service,
    Dormancy,
    ContractPeriod,
    Invoice,
    BillCycle,
    Bucket,
}

impl What {
    const ALL: [Self; 8] = [
        Self::Account,
        Self::PackageSubscription,
        Self::Service,
        Self::Dormancy,
        Self::ContractPeriod,
        Self::Invoice,
        Self::BillCycle,
        Self::Bucket,
    ];

    /// Its name in the log and in metrics.
    fn name(self) -> &'static str {
        match self {
            Self::Account => "account",
            Self::PackageSubscription => "package_subscription",
            Self::Service => "service",
            Self::Dormancy => "dormancy",
            Self::ContractPeriod => "contract_period",
            Self::Invoice => "invoice",
            Self::BillCycle => "bill_cycle",
            Self::Bucket => "bucket",
        }
    }
}

/// Where the next look for what is due begins, and what could not be performed.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    /// The tenant that each kind of action ended with.
    after: BTreeMap<What, TenantId>,
    failed: HashMap<Uuid, (Instant, String)>,
}

impl Turns {
    /// Forgets what has not failed again: it was changed since.
    fn forget_old(&mut self) {
        self.failed.retain(|_, (at, _)| at.elapsed() < FAILED_AGAIN_WITHIN);
    }

    /// What could not be performed, for people.
    fn failures(&self) -> Option<String> {
        let (_, last) = self.failed.values().max_by_key(|(at, _)| *at)?;
        Some(format!("{} due actions could not be performed and are tried again later; the last: {last}", self.failed.len()))
    }
}

/// Up to when actions of a tenant may be performed in order: of a kind with many, more than were read may be due, all later than the last one.
fn horizons(found: &[(Due, What)]) -> HashMap<TenantId, Timestamp> {
    let mut kinds: HashMap<(&TenantId, What), (usize, Timestamp)> = HashMap::new();
    for (due, what) in found {
        let (count, last) = kinds.entry((&due.tenant, *what)).or_insert((0, due.at));
        (*count, *last) = (*count + 1, due.at.max(*last));
    }
    let mut horizons = HashMap::new();
    for ((tenant, _), (count, last)) in kinds {
        if count as u64 >= MANY {
            let horizon = horizons.entry(tenant.clone()).or_insert(last);
            *horizon = last.min(*horizon);
        }
    }
    horizons
}

/// Whether an action has changed anything.
fn has_changed(reply: Reply) -> bool {
    reply.status != NOTHING_TO_DO
}

fn due_status<T>(due: &Due) -> PerformDueStatus<T> {
    PerformDueStatus { key: due.key.clone(), id: due.id, of: PhantomData }
}

impl App {
    fn due_turns(&self) -> MutexGuard<'_, Turns> {
        self.due_turns.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many due actions may run now.
    fn abreast(&self) -> usize {
        let called = *self.last_call.lock().unwrap_or_else(PoisonError::into_inner);
        if called.is_some_and(|at| at.elapsed() < AFTER_A_CALL) { ABREAST_OF_CALLS } else { ABREAST }
    }

    /// Performs what is due, longest overdue first, up to a batch per type, or for some tenants in turn if more is due. Returns the number of
    /// objects found; if it is not 0, more may be due.
    ///
    /// # Errors
    /// A database failure. Actions that are refused or fail alone are logged, reported and postponed.
    pub async fn perform_due(&self) -> Result<u64, Failure> {
        let mut found = self.due().await?;
        found.sort_by_key(|(due, _)| due.at);
        let count = found.len() as u64;
        // Actions of one ordering key run one after another, in the order of their due times.
        let mut lanes: BTreeMap<(TenantId, OrderingKey), VecDeque<(Due, What)>> = BTreeMap::new();
        let horizons = horizons(&found);
        for (due, what) in found.into_iter().filter(|(due, _)| horizons.get(&due.tenant).is_none_or(|horizon| due.at <= *horizon)) {
            lanes.entry((due.tenant.clone(), due.key.clone())).or_default().push_back((due, what));
        }
        let mut lanes: Vec<_> = lanes.into_values().collect();
        lanes.sort_by_key(|lane| lane.front().map(|(due, _)| due.at));
        let (mut running, mut waiting) = (JoinSet::new(), lanes.into_iter());
        // Every lane to its end: one that fails must not keep the others from ending.
        let mut result = Ok(count);
        loop {
            while running.len() < self.abreast()
                && let Some(lane) = waiting.next()
            {
                let app = self.clone();
                running.spawn(async move { app.perform_lane(lane).await });
            }
            let Some(done) = running.join_next().await else { break };
            match done {
                Ok(Ok(())) => {}
                Ok(Err(failure)) => result = Err(failure),
                Err(panic) => tracing::error!(error = %panic, "a due action panicked"),
            }
        }
        self.due_turns().forget_old();
        let failures = self.due_turns().failures();
        match failures {
            Some(detail) => self.parts.report(Part::Due, Status::Degraded, detail, SystemClock.now()),
            None => self.parts.ok(Part::Due, SystemClock.now()),
        }
        result
    }

    /// Performs due actions of one ordering key.
    async fn perform_lane(&self, mut lane: VecDeque<(Due, What)>) -> Result<(), Failure> {
        while let Some((due, what)) = lane.pop_front() {
            let (failure, again) = match self.perform(&due, what).await {
                Ok(changed) => {
                    self.due_turns().failed.remove(&due.id);
                    // It may be due again before what comes next: a contract's next period, say. At the same moment only if something has
                    // changed, or it would be tried without end.
                    if let Some((last, _)) = lane.back()
                        && let Some(at) = self.due_again(due.id, what).await?
                        && (due.at < at || changed && due.at == at)
                        && at < last.at
                    {
                        let place = lane.partition_point(|(other, _)| other.at <= at);
                        lane.insert(place, (Due { at, ..due }, what));
                    }
                    continue;
                }
                Err(failure @ Failure::Rejected(_)) => (failure, REFUSED_FOR),
                Err(failure) => {
                    if matches!(failure, Failure::Overloaded) || self.storage_full() || self.backlog_full() || self.restored() {
                        return Err(failure);
                    }
                    // If the database answers, the failure is that of this action alone.
                    self.store.ping().await?;
                    (failure, FAILED_FOR)
                }
            };
            METRICS.due_failed.get_or_create(&metrics::DueAction { action: what.name() }).inc();
            tracing::error!(tenant = %due.tenant, object.id = %due.id, action = what.name(), error = %failure, "a due action failed and was postponed");
            let detail = format!("{} of {}: {failure}", what.name(), due.id);
            self.due_turns().failed.insert(due.id, (Instant::now(), detail));
            self.put_off(&due, what, again).await?;
        }
        Ok(())
    }

    async fn due_again(&self, id: Uuid, what: What) -> Result<Option<Timestamp>, Failure> {
        Ok(match what {
            What::Account => self.store.due_at::<Account>(id).await?,
            What::PackageSubscription => self.store.due_at::<PackageSubscription>(id).await?,
            What::Service => self.store.due_at::<Service>(id).await?,
            What::Dormancy => self.store.due_at::<UsageIdentifier>(id).await?,
            What::Invoice => self.store.due_at::<Invoice>(id).await?,
            What::ContractPeriod => self.store.due_at::<Contract>(id).await?,
            What::BillCycle => self.store.due_at::<BillCycle>(id).await?,
            What::Bucket => self.store.due_at::<Bucket>(id).await?,
        })
    }

    /// Postpones an object, unless it changes earlier.
    async fn put_off(&self, due: &Due, what: What, by: TimeDelta) -> Result<(), Failure> {
        let (now, id) = (self.now(), due.id);
        let until = now + by;
        match what {
            What::Account => self.store.postpone::<Account>(id, now, until).await?,
            What::PackageSubscription => self.store.postpone::<PackageSubscription>(id, now, until).await?,
            What::Service => self.store.postpone::<Service>(id, now, until).await?,
            What::Dormancy => self.store.postpone::<UsageIdentifier>(id, now, until).await?,
            What::Invoice => self.store.postpone::<Invoice>(id, now, until).await?,
            What::ContractPeriod => self.store.postpone::<Contract>(id, now, until).await?,
            What::BillCycle => self.store.postpone::<BillCycle>(id, now, until).await?,
            What::Bucket => self.store.postpone::<Bucket>(id, now, until).await?,
        }
        Ok(())
    }

    async fn due(&self) -> Result<Vec<(Due, What)>, Failure> {
        let (now, mut found) = (self.now(), Vec::new());
        for what in What::ALL {
            let after = self.due_turns().after.get(&what).cloned();
            let due = match what {
                What::Account => self.store.due::<Account>(now, AT_ONCE, after.as_ref()).await?,
                What::PackageSubscription => self.store.due::<PackageSubscription>(now, AT_ONCE, after.as_ref()).await?,
                What::Service => self.store.due::<Service>(now, AT_ONCE, after.as_ref()).await?,
                What::Dormancy => self.store.due::<UsageIdentifier>(now, AT_ONCE, after.as_ref()).await?,
                What::ContractPeriod => self.store.due::<Contract>(now, AT_ONCE, after.as_ref()).await?,
                What::Invoice => self.store.due::<Invoice>(now, AT_ONCE, after.as_ref()).await?,
                What::BillCycle => self.store.due::<BillCycle>(now, AT_ONCE, after.as_ref()).await?,
                What::Bucket => self.store.due::<Bucket>(now, AT_ONCE, after.as_ref()).await?,
            };
            if let Some(last) = due.last() {
                self.due_turns().after.insert(what, last.tenant.clone());
            }
            found.extend(due.into_iter().map(|due| (due, what)));
        }
        Ok(found)
    }

    /// Performs a due action. Returns whether it has changed anything.
    async fn perform(&self, due: &Due, what: What) -> Result<bool, Failure> {
        let context = RequestContext::of(Caller::part(due.tenant.clone(), "clock", Grant::default()));
        let reply = match what {
            What::Account => return self.perform_on_account(context, due).await,
            What::BillCycle => return self.perform_on_bill_cycle(context, due).await,
            What::PackageSubscription => self.execute_due(context, due_status::<PackageSubscription>(due), due.at).await,
            What::Service => self.execute_due(context, due_status::<Service>(due), due.at).await,
            What::Dormancy => self.execute_due(context, FindDormant { key: due.key.clone(), id: UsageIdentifierId(due.id) }, due.at).await,
            What::Invoice => self.execute_due(context, InvoiceDue { key: due.key.clone(), id: InvoiceId(due.id) }, due.at).await,
            What::Bucket => self.execute_due(context, EndBucketPeriod { key: due.key.clone(), id: BucketId(due.id) }, due.at).await,
            What::ContractPeriod => {
                self.execute_due(context, EndContractPeriod { key: due.key.clone(), id: ContractId(due.id) }, due.at).await
            }
        };
        reply.map(has_changed)
    }

    /// Performs the first of the actions that are due for an account.
    async fn perform_on_account(&self, context: RequestContext, due: &Due) -> Result<bool, Failure> {
        let (account, found) = (AccountId(due.id), self.store.find::<Account>(&due.tenant, &due.id.to_string()).await?);
        let Some((at, action)) = found.and_then(|account| account.next_due()) else { return Ok(false) };
        let reply = match action {
            DueAction::BillCycleChange => self.execute_due(context, PerformDueBillCycleChange { account }, at).await,
            DueAction::StatusChange => self.execute_due(context, PerformDueStatusChange { account }, at).await,
            DueAction::Ending => self.execute_due(context, EndOwnedObjects { account }, at).await,
        };
        reply.map(has_changed)
    }

    /// Performs the first of the actions that are due for a bill cycle. A run and the cycle have ordering keys of their own, so a run starts
    /// before the next one is planned; what comes between is done again, and finds the run.
    async fn perform_on_bill_cycle(&self, context: RequestContext, due: &Due) -> Result<bool, Failure> {
        let (cycle, found) = (BillCycleId(due.id), self.store.find::<BillCycle>(&due.tenant, &due.id.to_string()).await?);
        let Some((at, action)) = found.and_then(|cycle| cycle.next_due()) else { return Ok(false) };
        let reply = match action {
            bill_cycle::DueAction::Announcement => self.execute_due(context, AnnounceBillRun(cycle), at).await,
            bill_cycle::DueAction::Run => {
                let start = StartDueBillRun { cycle, run: BillRunId(fresh()) };
                self.execute_due(context.clone(), start, at).await?;
                self.execute_due(context, PlanNextBillRun(cycle), at).await
            }
        };
        reply.map(has_changed)
    }
}
