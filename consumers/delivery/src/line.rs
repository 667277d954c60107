//! The line of one subscription: what is ready to be tried.

use std::{collections::VecDeque, time::Duration};

use billwire_schemas::ids::SubscriptionId;

use crate::partition::Job;

/// What one subscription, or one replay to it, is to be sent now.
#[derive(Default)]
pub(crate) struct Line {
    /// In line.
    pub ready: VecDeque<Job>,
    /// Being tried.
    pub trying: usize,
    /// How long the try took that ended last.
    pub latest: Duration,
}

impl Line {
    /// Whose it is; `None`: nothing stands in it.
    pub fn subscription(&self) -> Option<SubscriptionId> {
        self.ready.front().map(|first| first.subscription.id)
    }

    /// Whether it is that of a replay.
    pub fn is_replay(&self) -> bool {
        self.ready.front().is_some_and(|first| first.replay.is_some())
    }

    /// Whether its receiver takes so slowly that what stands in line does not move.
    pub fn stuck(&self) -> bool {
        self.ready.front().is_some_and(|first| first.since.elapsed() > SLOW)
    }

    /// Whether its receiver is slow, be it that only what stands behind the heads of its lanes waits.
    pub fn slow(&self) -> bool {
        self.stuck() || self.latest > SLOW
    }
}

/// How long the first in line may wait, or a try take, before the receiver counts as slow.
const SLOW: Duration = Duration::from_millis(500);
