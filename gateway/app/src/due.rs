//! What falls due by time, through the same rules as a call.

use std::sync::Arc;

use billwire_store::commit::Failure;
use tokio::task::JoinSet;

use crate::{App, Caller, Demand, bill_cycle_change::PerformDueBillCycleChange};

/// Due accounts worked off at once; they share commits.
const AT_ONCE: u64 = 128;

impl App {
    /// Performs the planned bill cycle changes that are due, longest overdue first, up to one handful. Gives how many were
    /// found: more may be due when it is the full handful.
    ///
    /// # Errors
    /// The database's failure. A change that is refused is logged and stays planned.
    pub async fn perform_due_bill_cycle_changes(&self) -> Result<u64, Failure> {
        let due = self.store.accounts_due(self.now(), AT_ONCE).await?;
        let found = due.len() as u64;
        let mut running = JoinSet::new();
        let app = Arc::new(self.clone());
        for (tenant, account) in due {
            let app = app.clone();
            let demand = Demand { caller: Caller { tenant, actor: "clock".to_owned(), scopes: Vec::new() }, claim: None };
            running.spawn(async move { (account, app.once(demand, PerformDueBillCycleChange { account }).await) });
        }
        while let Some(done) = running.join_next().await {
            match done {
                Ok((_, Ok(_))) => {}
                Ok((account, Err(Failure::Rejected(refusal)))) => {
                    tracing::error!(account.id = %account, %refusal, "a due bill cycle change was refused");
                }
                Ok((_, Err(error))) => return Err(error),
                Err(panic) => tracing::error!(error = %panic, "a due bill cycle change panicked"),
            }
        }
        Ok(found)
    }
}
