//! Performs what becomes due by time, by the same rules as a request.
//!
//! Each object's row has the time at which it is next due. A due object is decided again under the lock of its ordering key, so that a
//! second clock, a restart or a clock jump does nothing twice.

use std::collections::BTreeMap;

use billwire_domain::{
    billing::invoice::Invoice,
    customers::account::Account,
    usage::{contract::Contract, usage_identifier::UsageIdentifier},
};
use billwire_schemas::ids::{AccountId, ContractId, InvoiceId, OrderingKey, TenantId, UsageIdentifierId};
use billwire_store::{Due, commit::Failure, idempotency::Reply};
use chrono::TimeDelta;
use tokio::task::JoinSet;

use crate::{
    App, Caller, RequestContext,
    billing::invoices::InvoiceDue,
    customers::bill_cycle_change::PerformDueBillCycleChange,
    usage::{contracts::EndContractPeriod, usage_identifiers::FindDormant},
};

/// Maximum number of due objects per type in one pass; they share commits.
const AT_ONCE: u64 = 128;

/// Delay after a refusal. Without it, a few refused objects would fill each pass and hide all others.
const REFUSED_FOR: TimeDelta = TimeDelta::hours(1);

/// The action for a due object.
#[derive(Debug, Clone, Copy)]
enum What {
    BillCycleChange,
    Dormancy,
    ContractPeriod,
    Invoice,
}

impl App {
    /// Performs what is due, longest overdue first, up to a batch per type. Returns the number of objects found; if it is not 0, more
    /// may be due.
    ///
    /// # Errors
    /// A database failure. Refused actions are logged and postponed.
    pub async fn perform_due(&self) -> Result<u64, Failure> {
        let mut found = self.due().await?;
        found.sort_by_key(|(due, _)| due.at);
        let count = found.len() as u64;
        // Actions of one ordering key run one after another, in the order of their due times.
        let mut lanes: BTreeMap<(TenantId, OrderingKey), Vec<(Due, What)>> = BTreeMap::new();
        for (due, what) in found {
            lanes.entry((due.tenant.clone(), due.key.clone())).or_default().push((due, what));
        }
        let mut running = JoinSet::new();
        for lane in lanes.into_values() {
            let app = self.clone();
            running.spawn(async move {
                for (due, what) in lane {
                    match app.perform(&due, what).await {
                        Ok(_) => {}
                        Err(Failure::Rejected(refusal)) => {
                            tracing::error!(tenant = %due.tenant, object.id = %due.id, ?what, %refusal, "a due action was refused");
                            app.put_off(&due, what).await?;
                        }
                        Err(error) => return Err(error),
                    }
                }
                Ok(())
            });
        }
        while let Some(done) = running.join_next().await {
            match done {
                Ok(lane) => lane?,
                Err(panic) => tracing::error!(error = %panic, "a due action panicked"),
            }
        }
        Ok(count)
    }

    /// Postpones a refused object by [`REFUSED_FOR`], unless it changes earlier.
    async fn put_off(&self, due: &Due, what: What) -> Result<(), Failure> {
        let (now, id) = (self.now(), due.id);
        let until = now + REFUSED_FOR;
        match what {
            What::BillCycleChange => self.store.postpone::<Account>(id, now, until).await?,
            What::Dormancy => self.store.postpone::<UsageIdentifier>(id, now, until).await?,
            What::Invoice => self.store.postpone::<Invoice>(id, now, until).await?,
            What::ContractPeriod => self.store.postpone::<Contract>(id, now, until).await?,
        }
        Ok(())
    }

    async fn due(&self) -> Result<Vec<(Due, What)>, Failure> {
        let now = self.now();
        let mut found = Vec::new();
        found.extend(self.store.due::<Account>(now, AT_ONCE).await?.into_iter().map(|due| (due, What::BillCycleChange)));
        found.extend(self.store.due::<UsageIdentifier>(now, AT_ONCE).await?.into_iter().map(|due| (due, What::Dormancy)));
        found.extend(self.store.due::<Contract>(now, AT_ONCE).await?.into_iter().map(|due| (due, What::ContractPeriod)));
        found.extend(self.store.due::<Invoice>(now, AT_ONCE).await?.into_iter().map(|due| (due, What::Invoice)));
        Ok(found)
    }

    async fn perform(&self, due: &Due, what: What) -> Result<Reply, Failure> {
        let context =
            RequestContext { caller: Caller { tenant: due.tenant.clone(), actor: "clock".to_owned(), scopes: Vec::new() }, claim: None };
        match what {
            What::BillCycleChange => self.execute(context, PerformDueBillCycleChange { account: AccountId(due.id) }).await,
            What::Dormancy => self.execute(context, FindDormant { key: due.key.clone(), id: UsageIdentifierId(due.id) }).await,
            What::Invoice => self.execute(context, InvoiceDue { key: due.key.clone(), id: InvoiceId(due.id) }).await,
            What::ContractPeriod => self.execute(context, EndContractPeriod { key: due.key.clone(), id: ContractId(due.id) }).await,
        }
    }
}
