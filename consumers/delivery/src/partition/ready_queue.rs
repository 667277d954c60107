//! The ready queue of one owner: jobs to attempt next.

use std::{collections::VecDeque, time::Duration};

use billwire_schemas::ids::SubscriptionId;
use tokio::time::Instant;

use crate::partition::job::Job;

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
        self.ready.front().map(|first| first.subscription.id)
    }

    /// Whether the owner is a replay.
    pub fn is_replay(&self) -> bool {
        self.ready.front().is_some_and(|first| first.delivery.replay.is_some())
    }

    /// Whether the receiver is too slow: the first job has waited too long. If no other subscription competes (`alone`), a long queue that
    /// moves is not stuck.
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use billwire_schemas::{
        clock::{Clock, SystemClock},
        ids::{EventId, TenantId, fresh},
    };
    use tokio::time::advance;

    use super::*;
    use crate::{
        event::{Event, Subscription},
        matching::tests::{Noop, queue},
    };

    fn job() -> Job {
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
        let subscription = Arc::new(Subscription::to_all(tenant, Noop));
        Job {
            delivery: queue(&[], Vec::new()).delivery(&event, subscription.id, None, SystemClock.now()),
            event: Arc::new(event),
            subscription,
            fault: None,
            message: None,
            since: Instant::now(),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_long_queue_that_moves_is_stuck_only_where_others_compete() {
        let mut ready_queue = ReadyQueue::default();
        ready_queue.ready.push_back(job());
        ready_queue.moved = Some(Instant::now());
        assert!(!ready_queue.stuck(true) && !ready_queue.stuck(false));
        advance(SLOW * 2).await;
        assert!(ready_queue.stuck(true) && ready_queue.stuck(false), "nobody was served for long");
        ready_queue.moved = Some(Instant::now());
        assert!(!ready_queue.stuck(true) && ready_queue.stuck(false), "the first has waited for long, but others were served");
    }
}
