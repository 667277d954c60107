//! Dispatch: which of the ready jobs start now.

use std::sync::Arc;

use billwire_schemas::clock::Timestamp;
use tokio::time::Instant;
use uuid::Uuid;

use crate::{
    engine::Options,
    limits::{
        limiter::{Limiter, Waiter},
        target_limits::{Acquired, Permits, TargetLimits},
    },
    partition::{job::Job, ready_queue::ReadyQueues},
};

/// What decides which jobs start.
pub(crate) struct Dispatch<'p> {
    pub options: &'p Options,
    pub limits: TargetLimits<'p>,
    /// Woken when a call has ended at a target or tenant that admitted no more.
    pub waiter: &'p Arc<Waiter>,
    pub now: Timestamp,
}

/// Why an owner's turn ended.
enum TurnEnd {
    /// It has no more jobs, or its own limit is reached. Others may have waited for the same limiters while it had its turn.
    Done(Vec<Arc<Limiter>>),
    /// All attempts of the partition are under way.
    Full,
    /// A target or tenant admits no more.
    Blocked(Uuid),
}

impl Dispatch<'_> {
    /// Gives jobs and their permits to `start`, each owner up to its own limit, all together up to that of the partition, of which `running`
    /// are under way.
    pub fn start(&self, ready_queues: &mut ReadyQueues, mut running: usize, mut start: impl FnMut(Job, Permits)) {
        while running < self.options.attempts_max {
            let Some(owner) = ready_queues.next_turn() else { return };
            match self.turn(ready_queues, owner, &mut running, &mut start) {
                TurnEnd::Done(limiters) => limiters.iter().for_each(|limiter| ready_queues.unblock_or_pass_on(limiter)),
                // Its turn comes again when an attempt has ended, of whomever.
                TurnEnd::Full => ready_queues.run(owner),
                TurnEnd::Blocked(target) => ready_queues.block(owner, target),
            }
        }
    }

    fn turn(&self, ready_queues: &mut ReadyQueues, owner: Uuid, running: &mut usize, start: &mut impl FnMut(Job, Permits)) -> TurnEnd {
        let fair = (self.options.attempts_max / ready_queues.len().max(1)).max(1);
        let mut limiters = Vec::new();
        let Some(ready_queue) = ready_queues.get_mut(owner) else { return TurnEnd::Done(limiters) };
        let per_subscription = self.options.per_subscription_max;
        let at_once = if ready_queue.is_replay() { (per_subscription / 4).max(1) } else { per_subscription };
        while let Some(subscription) = ready_queue.subscription() {
            // When attempts run short, no owner gets more than its share: receivers that hang must not use up all attempts.
            let tight = *running * 4 >= self.options.attempts_max * 3;
            let most = if tight { at_once.min(fair) } else { at_once };
            if *running >= self.options.attempts_max {
                return TurnEnd::Full;
            }
            if ready_queue.attempting >= most {
                break;
            }
            if limiters.is_empty() {
                limiters = self.limits.waited_for(subscription);
            }
            let permits = match self.limits.try_acquire(subscription, self.now, self.waiter) {
                Acquired::Permits(permits) => permits,
                Acquired::Wait(target) => return TurnEnd::Blocked(target),
            };
            let Some(job) = ready_queue.ready.pop_front() else { break };
            ready_queue.attempting += 1;
            ready_queue.moved = Some(Instant::now());
            *running += 1;
            start(job, permits);
        }
        TurnEnd::Done(limiters)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use billwire_schemas::{
        clock::{Clock, SystemClock},
        ids::TenantId,
    };

    use super::*;
    use crate::{
        channel::ChannelAction,
        event::Subscription,
        limits::{
            circuit_breaker,
            limiter::Target,
            limiters::{Limiters, tests::target},
        },
        matching::tests::queue,
        partition::ready_queue::tests::job,
        routing::{Revision, Routing, TenantRouting},
    };

    #[derive(Debug)]
    struct Call(Uuid);

    impl ChannelAction for Call {
        const CHANNEL: &'static str = "call";

        fn target(&self) -> Option<Uuid> {
            Some(self.0)
        }
    }

    /// Subscriptions of one tenant with an endpoint each; all calls of the tenant together up to `tenant_max`.
    struct World {
        routing: Routing,
        limiters: Limiters,
        subscriptions: Vec<Arc<Subscription>>,
        options: Options,
    }

    impl World {
        fn new(endpoints: usize, tenant_max: usize) -> Self {
            let targets: Vec<Arc<Target>> = (0..endpoints).map(|_| Arc::new(target())).collect();
            let limits = Arc::new(Target { in_flight_max: tenant_max, ..target() });
            let subscription = |target: &Arc<Target>| Arc::new(Subscription::to_all(TenantId::default_tenant(), Call(target.id)));
            let subscriptions: Vec<_> = targets.iter().map(subscription).collect();
            let limiters = Limiters::new(circuit_breaker::Settings::default());
            limiters.configure(targets.iter(), [&limits].into_iter(), SystemClock.now());
            let tenant = TenantRouting::new(vec![queue(&["*"], subscriptions.clone())], targets, limits);
            let routing = Routing::new(Revision::default(), HashMap::from([(TenantId::default_tenant(), Arc::new(tenant))]));
            Self { routing, limiters, subscriptions, options: Options::default() }
        }
    }

    /// One slot: its ready queues, and the calls it has started.
    #[derive(Default)]
    struct Slot {
        ready_queues: ReadyQueues,
        waiter: Arc<Waiter>,
        calls: Vec<(Job, Permits)>,
    }

    impl Slot {
        fn add(&mut self, world: &World, endpoint: usize, jobs: usize) {
            (0..jobs).for_each(|_| self.ready_queues.push(job(&world.subscriptions[endpoint], None)));
        }

        /// Takes note of calls that ended, as a partition does, and starts what may start. Gives the number of calls under way.
        fn run(&mut self, world: &World) -> usize {
            self.waiter.freed().iter().for_each(|limiter| self.ready_queues.unblock_or_pass_on(limiter));
            let limits = TargetLimits { routing: &world.routing, limiters: &world.limiters };
            let dispatch = Dispatch { options: &world.options, limits, waiter: &self.waiter, now: SystemClock.now() };
            let running = self.calls.len();
            let calls = &mut self.calls;
            dispatch.start(&mut self.ready_queues, running, |job, permits| calls.push((job, permits)));
            self.calls.len()
        }

        fn end_calls(&mut self) {
            for (job, _permits) in self.calls.drain(..) {
                self.ready_queues.finished(job.delivery.owner(), std::time::Duration::ZERO);
            }
        }
    }

    #[tokio::test]
    async fn what_a_tenant_admits_is_used_by_all_its_endpoints_without_waiting_for_the_clock() {
        let world = World::new(6, 2);
        let mut slot = Slot::default();
        (0..6).for_each(|endpoint| slot.add(&world, endpoint, 1));
        let mut done = 0;
        while done < 6 {
            assert_eq!(slot.run(&world), 2, "after {done} calls");
            slot.end_calls();
            done += 2;
        }
    }

    #[tokio::test]
    async fn a_slot_that_needs_no_more_of_a_tenants_calls_passes_them_on_to_the_next() {
        let world = World::new(4, 2);
        let (mut one, mut other) = (Slot::default(), Slot::default());
        (0..3).for_each(|endpoint| one.add(&world, endpoint, 1));
        other.add(&world, 3, 2);
        assert_eq!((one.run(&world), other.run(&world)), (2, 0));
        one.end_calls();
        assert_eq!(one.run(&world), 1);
        assert_eq!(other.run(&world), 1, "the first slot has one left, so the second may start one");
        one.end_calls();
        assert_eq!((one.run(&world), other.run(&world)), (0, 2));
    }
}
