//! The line of one subscription: what is ready to be tried.

use std::{collections::VecDeque, time::Duration};

use billwire_schemas::ids::SubscriptionId;
use tokio::time::Instant;

use crate::partition::job::Job;

/// What one subscription, or one replay to it, is to be sent now.
#[derive(Default)]
pub(crate) struct ReadyQueue {
    /// In line.
    pub ready: VecDeque<Job>,
    /// Being tried.
    pub under_way: usize,
    /// When one of it was tried last.
    pub moved: Option<Instant>,
    /// How long the try took that ended last.
    pub latest: Duration,
}

impl ReadyQueue {
    /// Whose it is; `None`: nothing stands in it.
    pub fn subscription(&self) -> Option<SubscriptionId> {
        self.ready.front().map(|first| first.subscription.id)
    }

    /// Whether it is that of a replay.
    pub fn is_replay(&self) -> bool {
        self.ready.front().is_some_and(|first| first.delivery.replay.is_some())
    }

    /// Whether its receiver takes too slowly: the first in line has waited for long. With nobody else's events behind them (`alone`), a long
    /// line that moves is only a long line.
    pub fn stuck(&self, alone: bool) -> bool {
        let moved = self.moved.filter(|_| alone);
        self.ready.front().is_some_and(|first| moved.map_or(first.since, |moved| moved.max(first.since)).elapsed() > SLOW)
    }

    /// Whether its receiver is slow, be it that only what stands behind the heads of its lanes waits.
    pub fn slow(&self, alone: bool) -> bool {
        self.stuck(alone) || self.latest > SLOW
    }
}

/// How long the first in line may wait, or a try take, before the receiver counts as slow.
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
            delivery: event.delivery(&queue(&[], Vec::new()), subscription.id, None, SystemClock.now()),
            event: Arc::new(event),
            subscription,
            fault: None,
            message: None,
            since: Instant::now(),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_long_line_that_moves_is_stuck_only_where_the_events_of_others_stand_behind_it() {
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
