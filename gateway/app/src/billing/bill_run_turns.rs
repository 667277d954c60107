//! Which bill runs are processed next, and where each of them is.

use std::{
    collections::{HashMap, HashSet},
    time::{Duration, Instant},
};

use billwire_schemas::ids::{AccountId, BillRunId, TenantId};
use uuid::Uuid;

/// Runs processed in one pass.
const RUNS: usize = 16;
/// How often it is reported that a run cannot be completed.
const REPORT_EVERY: Duration = Duration::from_secs(60);

/// A running run, as a worker sees it.
#[derive(Debug, Default)]
struct Cursor {
    /// The last account that was billed of its list.
    account: Option<Uuid>,
    /// The pass that processed it last.
    pass: u64,
    /// When it was reported last that it cannot be completed.
    reported: Option<Instant>,
}

/// The position of each run in its list of accounts, and whose turn it is. It only saves work, and may be lost at any time.
#[derive(Debug, Default)]
pub struct BillRunCursors {
    runs: HashMap<BillRunId, Cursor>,
    pass: u64,
}

impl BillRunCursors {
    /// The runs to process now, of all that are running, oldest first: those that were not processed for the longest time; of several tenants, one
    /// run of each.
    pub(crate) fn next(&mut self, running: &[(TenantId, BillRunId)]) -> Vec<BillRunId> {
        self.pass += 1;
        let all: HashSet<BillRunId> = running.iter().map(|(_, run)| *run).collect();
        self.runs.retain(|run, _| all.contains(run));
        let mut ready: Vec<&(TenantId, BillRunId)> = running.iter().collect();
        ready.sort_by_key(|(_, run)| self.runs.get(run).map_or(0, |one| one.pass));
        let tenants: HashSet<&TenantId> = ready.iter().map(|(tenant, _)| tenant).collect();
        if tenants.len() > 1 {
            let mut seen = HashSet::new();
            ready.retain(|(tenant, _)| seen.insert(tenant));
        }
        let next: Vec<BillRunId> = ready.into_iter().take(RUNS).map(|(_, run)| *run).collect();
        for run in &next {
            self.runs.entry(*run).or_default().pass = self.pass;
        }
        next
    }

    /// The last account that was billed of a run's list.
    pub(crate) fn position(&self, run: BillRunId) -> Option<Uuid> {
        self.runs.get(&run)?.account
    }

    /// Accounts were billed up to this one.
    pub(crate) fn advance(&mut self, run: BillRunId, account: AccountId) {
        self.runs.entry(run).or_default().account = Some(account.0);
    }

    /// Begins a run's list again, since its end was reached. `false`: it was at its beginning already, so there are no accounts left.
    pub(crate) fn restart(&mut self, run: BillRunId) -> bool {
        self.runs.entry(run).or_default().account.take().is_some()
    }

    /// Notes that a run could not be completed. Gives whether to report it.
    pub(crate) fn fail(&mut self, run: BillRunId) -> bool {
        let reported = &mut self.runs.entry(run).or_default().reported;
        let is_news = reported.is_none_or(|at| at.elapsed() >= REPORT_EVERY);
        if is_news {
            *reported = Some(Instant::now());
        }
        is_news
    }
}

#[cfg(test)]
mod tests {
    use billwire_schemas::ids::fresh;

    use super::*;

    fn runs(of: &[(&str, usize)]) -> Vec<(TenantId, BillRunId)> {
        let of_tenant = |(tenant, count): &(&str, usize)| {
            let tenant: TenantId = tenant.parse().expect("a tenant");
            vec![(); *count].into_iter().map(move |()| (tenant.clone(), BillRunId(fresh()))).collect::<Vec<_>>()
        };
        of.iter().flat_map(of_tenant).collect()
    }

    #[test]
    fn every_tenant_has_its_turn_however_many_runs_another_has() {
        let running = runs(&[("a", 40), ("b", 1)]);
        let mut cursors = BillRunCursors::default();
        let (first, second) = (cursors.next(&running), cursors.next(&running));
        assert_eq!(first, [running[0].1, running[40].1]);
        assert_eq!(second, [running[1].1, running[40].1], "the next run of the first tenant");
    }

    #[test]
    fn all_runs_have_their_turns_also_behind_those_that_cannot_be_completed() {
        let running = runs(&[("a", 20)]);
        let mut cursors = BillRunCursors::default();
        let first = cursors.next(&running);
        assert!(cursors.fail(first[0]) && !cursors.fail(first[0]), "reported once a minute");
        let second = cursors.next(&running);
        assert_eq!(first.len(), RUNS);
        assert!(second.starts_with(&running[RUNS..].iter().map(|(_, run)| *run).collect::<Vec<_>>()), "those that were left out");
        assert!(cursors.next(&running[1..2]).contains(&running[1].1) && cursors.runs.len() == 1, "completed runs are forgotten");
    }
}
