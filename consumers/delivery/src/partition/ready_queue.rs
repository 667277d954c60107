//! Ready queues: the jobs to attempt next, by owner, and which owners have their turn.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use billwire_schemas::ids::SubscriptionId;
use tokio::time::Instant;
use uuid::Uuid;

use crate::{limits::limiter::Limiter, partition::job::Job};

/// The ready jobs of one subscription, or of one replay to it.
#[derive(Default)]
pub(crate) struct ReadyQueue {
    /// The jobs, in order.
    pub ready: VecDeque<Job>,
    /// How many are being attempted.
    pub attempting: usize,
    /// When the latest attempt began.
    pub moved: Option<Instant>,
    /// How long the attempt took that ended last.
    pub latest: Duration,
}

impl ReadyQueue {
    /// The subscription; `None`: the queue is empty.
    pub fn subscription(&self) -> Option<SubscriptionId> {
        self.ready.front().map(|first| first.delivery.subscription)
    }

    /// Whether the owner is a replay.
    pub fn is_replay(&self) -> bool {
        self.ready.front().is_some_and(|first| first.delivery.replay.is_some())
    }

    /// Whether the receiver is too slow: the first job has waited too long. If no other owner competes (`alone`), a long queue that moves
    /// is not stuck.
    pub fn stuck(&self, alone: bool) -> bool {
        let moved = self.moved.filter(|_| alone);
        self.ready.front().is_some_and(|first| moved.map_or(first.since, |moved| moved.max(first.since)).elapsed() > SLOW)
    }

    /// Whether the receiver is slow; also true when only non-head jobs are waiting.
    pub fn slow(&self, alone: bool) -> bool {
        self.stuck(alone) || self.latest > SLOW
    }
}

/// How long the first job may wait, or an attempt take, before the receiver counts as slow.
const SLOW: Duration = Duration::from_millis(500);

/// All ready queues. An owner with ready jobs is either runnable, or blocked until a call to its target ends, or has all its attempts
/// under way. So finding the next attempt costs the same for one owner as for ten thousand.
#[derive(Default)]
pub(crate) struct ReadyQueues {
    queues: HashMap<Uuid, ReadyQueue>,
    runnable: VecDeque<Uuid>,
    /// Replays have their turn when no other owner is runnable: current events have priority.
    replays: VecDeque<Uuid>,
    /// The owners in `runnable`, `replays` and `blocked`.
    queued: HashSet<Uuid>,
    /// By target, in the order of their turns.
    blocked: HashMap<Uuid, VecDeque<Uuid>>,
}

impl ReadyQueues {
    /// Adds a job.
    pub fn push(&mut self, mut job: Job) {
        job.since = Instant::now();
        let owner = job.delivery.owner();
        self.queues.entry(owner).or_default().ready.push_back(job);
        self.run(owner);
    }

    /// Makes an owner runnable that has ready jobs and is neither runnable nor blocked.
    pub fn run(&mut self, owner: Uuid) {
        let Some(ready_queue) = self.queues.get(&owner).filter(|ready_queue| !ready_queue.ready.is_empty()) else { return };
        if self.queued.insert(owner) {
            if ready_queue.is_replay() { self.replays.push_back(owner) } else { self.runnable.push_back(owner) }
        }
    }

    /// The next owner whose turn it is; its queue is not empty. The caller starts its attempts, then calls [`Self::block`] if its target
    /// admits no more of them, or else [`Self::unblock`].
    pub fn next_turn(&mut self) -> Option<Uuid> {
        while let Some(owner) = self.runnable.pop_front().or_else(|| self.replays.pop_front()) {
            self.queued.remove(&owner);
            if self.queues.get(&owner).is_some_and(|ready_queue| !ready_queue.ready.is_empty()) {
                return Some(owner);
            }
        }
        None
    }

    /// The turn of an owner ended because its target, or its tenant, admits no more calls now.
    pub fn block(&mut self, owner: Uuid, target: Uuid) {
        if self.queued.insert(owner) {
            self.blocked.entry(target).or_default().push_back(owner);
        }
    }

    /// A target may admit more calls: the first owner that it blocked may try again. `false`: it has blocked none.
    pub fn unblock(&mut self, target: Uuid) -> bool {
        let Some(owners) = self.blocked.get_mut(&target) else { return false };
        if let Some(owner) = owners.pop_front() {
            self.queued.remove(&owner);
            self.run(owner);
        }
        if self.blocked.get(&target).is_some_and(VecDeque::is_empty) {
            self.blocked.remove(&target);
        }
        true
    }

    /// A target or tenant may admit more calls: to an owner of this slot, or else to another slot.
    pub fn unblock_or_pass_on(&mut self, limiter: &Arc<Limiter>) {
        if !self.unblock(limiter.id()) {
            limiter.pass_on();
        }
    }

    /// Time has passed, or the configuration has changed: at each target the first blocked owner may try again.
    pub fn unblock_each(&mut self) {
        let targets: Vec<Uuid> = self.blocked.keys().copied().collect();
        for target in targets {
            self.unblock(target);
        }
    }

    /// An attempt of an owner has ended.
    pub fn finished(&mut self, owner: Uuid, latency: Duration) {
        if let Some(ready_queue) = self.queues.get_mut(&owner) {
            ready_queue.attempting = ready_queue.attempting.saturating_sub(1);
            ready_queue.latest = latency;
            if ready_queue.attempting == 0 && ready_queue.ready.is_empty() {
                self.queues.remove(&owner);
            } else {
                self.run(owner);
            }
        }
    }

    /// The queue of an owner.
    pub fn get(&self, owner: Uuid) -> Option<&ReadyQueue> {
        self.queues.get(&owner)
    }

    /// The same, to take jobs from it.
    pub fn get_mut(&mut self, owner: Uuid) -> Option<&mut ReadyQueue> {
        self.queues.get_mut(&owner)
    }

    /// How many owners have jobs.
    pub fn len(&self) -> usize {
        self.queues.len()
    }

    /// Takes the jobs that `keep` refuses: it is given each owner and queue, and returns how many of the jobs stay.
    pub fn shed(&mut self, mut keep: impl FnMut(Uuid, &ReadyQueue) -> usize) -> Vec<Job> {
        let mut shed = Vec::new();
        self.queues.retain(|owner, ready_queue| {
            let keep = keep(*owner, ready_queue);
            if ready_queue.ready.len() > keep {
                shed.extend(ready_queue.ready.split_off(keep));
            }
            ready_queue.attempting > 0 || !ready_queue.ready.is_empty()
        });
        shed
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use billwire_schemas::{
        clock::{Clock, SystemClock},
        ids::{EventId, ReplayId, TenantId, fresh},
    };
    use tokio::time::advance;

    use super::*;
    use crate::{
        event::{Event, Subscription},
        matching::tests::{Noop, queue},
        routing::Route,
    };

    pub(crate) fn job(subscription: &Arc<Subscription>, replay: Option<ReplayId>) -> Job {
        let tenant = TenantId::default_tenant();
        let event = Event {
            id: EventId(fresh()),
            tenant: tenant.clone(),
            kind: "account.created".to_owned(),
            key: fresh().into(),
            sequence: 1,
            position: 1,
            body: "{}".into(),
        };
        let queue = queue(&[], Vec::new());
        Job {
            delivery: queue.delivery(&event, subscription.id, replay, SystemClock.now()),
            event: Arc::new(event),
            route: Route { queue, subscription: subscription.clone() },
            fault: None,
            message: None,
            held_bytes: None,
            since: Instant::now(),
        }
    }

    fn subscription() -> Arc<Subscription> {
        Arc::new(Subscription::to_all(TenantId::default_tenant(), Noop))
    }

    #[tokio::test(start_paused = true)]
    async fn a_long_queue_that_moves_is_stuck_only_where_others_compete() {
        let mut ready_queue = ReadyQueue::default();
        ready_queue.ready.push_back(job(&subscription(), None));
        ready_queue.moved = Some(Instant::now());
        assert!(!ready_queue.stuck(true) && !ready_queue.stuck(false));
        advance(SLOW * 2).await;
        assert!(ready_queue.stuck(true) && ready_queue.stuck(false), "nobody was served for long");
        ready_queue.moved = Some(Instant::now());
        assert!(!ready_queue.stuck(true) && ready_queue.stuck(false), "the first has waited for long, but others were served");
    }

    #[tokio::test]
    async fn owners_take_turns_and_replays_come_last() {
        let mut queues = ReadyQueues::default();
        let (one, other, replay) = (subscription(), subscription(), ReplayId(fresh()));
        queues.push(job(&one, Some(replay)));
        for subscription in [&one, &other, &one] {
            queues.push(job(subscription, None));
        }
        let turns: Vec<_> = std::iter::from_fn(|| queues.next_turn()).collect();
        assert_eq!(turns, [one.id.0, other.id.0, replay.0], "each once, however many jobs it has");
    }

    #[tokio::test]
    async fn blocked_owners_try_again_one_by_one() {
        let mut queues = ReadyQueues::default();
        let (one, other, target) = (subscription(), subscription(), fresh());
        queues.push(job(&one, None));
        queues.push(job(&other, None));
        while let Some(owner) = queues.next_turn() {
            queues.block(owner, target);
        }
        queues.push(job(&one, None));
        assert_eq!(queues.next_turn(), None, "a new job does not unblock its owner");
        queues.unblock(target);
        assert_eq!((queues.next_turn(), queues.next_turn()), (Some(one.id.0), None));
        queues.block(one.id.0, target);
        queues.unblock_each();
        assert_eq!((queues.next_turn(), queues.next_turn()), (Some(other.id.0), None), "the first one waits behind it");
        assert!(queues.unblock(target) && !queues.unblock(fresh()));
        assert_eq!(queues.next_turn(), Some(one.id.0));
    }

    #[tokio::test]
    async fn jobs_over_the_share_are_taken_away_and_an_empty_queue_goes() {
        let mut queues = ReadyQueues::default();
        let (one, other) = (subscription(), subscription());
        for subscription in [&one, &one, &one, &other] {
            queues.push(job(subscription, None));
        }
        let shed = queues.shed(|owner, _| if owner == one.id.0 { 1 } else { 0 });
        assert_eq!((shed.len(), queues.len()), (3, 1));
        assert_eq!((queues.next_turn(), queues.next_turn()), (Some(one.id.0), None));
    }
}
