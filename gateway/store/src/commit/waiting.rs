//! Jobs that wait to be committed, by tenant. Groups take from the tenants in turn: one tenant's thousands do not delay another's few.

use std::collections::{HashMap, VecDeque};

use billwire_schemas::ids::TenantId;

use super::job::Job;

/// The jobs that wait.
pub(super) struct Waiting {
    of: HashMap<TenantId, VecDeque<Job>>,
    /// The tenants with jobs, the next one first.
    turns: VecDeque<TenantId>,
    len: usize,
    /// Jobs at most; of one tenant, three quarters of them.
    max: usize,
}

impl Waiting {
    /// Room for `max` jobs.
    pub fn new(max: usize) -> Self {
        Self { of: HashMap::new(), turns: VecDeque::new(), len: 0, max }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether there is room for another one, of some tenant.
    pub fn has_room(&self) -> bool {
        self.len < self.max
    }

    /// Adds a job behind those of its tenant.
    ///
    /// # Errors
    /// The job, if its tenant has its share of the room.
    pub fn push(&mut self, job: Job) -> Result<(), Job> {
        if self.of.get(job.unit.tenant()).is_some_and(|jobs| jobs.len() >= (self.max * 3 / 4).max(1)) {
            return Err(job);
        }
        self.add(job, VecDeque::push_back);
        Ok(())
    }

    /// Takes up to `most` jobs, one of each tenant in turn.
    pub fn take(&mut self, most: usize) -> Vec<Job> {
        let mut taken = Vec::new();
        while taken.len() < most
            && let Some(tenant) = self.turns.pop_front()
        {
            let Some(jobs) = self.of.get_mut(&tenant) else { continue };
            taken.extend(jobs.pop_front());
            if jobs.is_empty() {
                self.of.remove(&tenant);
            } else {
                self.turns.push_back(tenant);
            }
        }
        self.len -= taken.len();
        taken
    }

    /// Puts jobs back that were taken, before the others of their tenants.
    pub fn put_back(&mut self, jobs: Vec<Job>) {
        jobs.into_iter().rev().for_each(|job| self.add(job, VecDeque::push_front));
    }

    /// Puts a job to those of its tenant, by `put`.
    fn add(&mut self, job: Job, put: fn(&mut VecDeque<Job>, Job)) {
        self.len += 1;
        if let Some(jobs) = self.of.get_mut(job.unit.tenant()) {
            return put(jobs, job);
        }
        let tenant = job.unit.tenant().clone();
        self.turns.push_back(tenant.clone());
        self.of.insert(tenant, VecDeque::from([job]));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use async_trait::async_trait;
    use billwire_schemas::ids::OrderingKey;
    use tokio::{sync::oneshot, time::Instant};

    use super::*;
    use crate::{commit::Unit, error::Failure, idempotency::Claim, idempotency::Reply, tx::Tx};

    struct Nothing(TenantId);

    #[async_trait]
    impl Unit for Nothing {
        fn tenant(&self) -> &TenantId {
            &self.0
        }
        fn keys(&self) -> Vec<OrderingKey> {
            Vec::new()
        }
        fn claim(&self) -> Option<&Claim> {
            None
        }
        async fn decide(&self, _: &mut Tx<'_>) -> Result<Reply, Failure> {
            Err(Failure::Overloaded)
        }
    }

    fn job(tenant: &str, number: usize) -> Job {
        let lanes = vec![(tenant.parse().expect("a tenant"), format!("k{number}").parse().expect("a key"))];
        Job { unit: Arc::new(Nothing(tenant.parse().expect("a tenant"))), lanes, arrived: Instant::now(), answer: oneshot::channel().0 }
    }

    fn names(jobs: &[Job]) -> Vec<String> {
        jobs.iter().map(|job| format!("{}{}", job.lanes[0].0, job.lanes[0].1)).collect()
    }

    #[test]
    fn tenants_take_turns_and_each_keeps_its_order() {
        let mut waiting = Waiting::new(100);
        for number in 0..5 {
            assert!(waiting.push(job("a", number)).is_ok());
        }
        assert!(waiting.push(job("b", 0)).is_ok());
        let taken = waiting.take(3);
        assert_eq!(names(&taken), ["ak0", "bk0", "ak1"]);
        waiting.put_back(taken);
        assert_eq!(names(&waiting.take(2)), ["ak0", "bk0"]);
        assert!(waiting.push(job("c", 0)).is_ok());
        assert_eq!(names(&waiting.take(9)), ["ak1", "ck0", "ak2", "ak3", "ak4"]);
        assert!(waiting.is_empty());
    }

    #[test]
    fn no_tenant_takes_all_the_room() {
        let mut waiting = Waiting::new(8);
        for number in 0..6 {
            assert!(waiting.push(job("a", number)).is_ok());
        }
        assert!(waiting.push(job("a", 6)).is_err());
        assert!(waiting.push(job("b", 0)).is_ok() && waiting.push(job("b", 1)).is_ok());
        assert!(!waiting.has_room());
    }
}
