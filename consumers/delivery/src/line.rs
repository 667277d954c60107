//! The line of one subscription: what is ready to be tried.

use std::{collections::VecDeque, time::Duration};

use crate::partition::Job;

/// What one subscription is to be sent now.
#[derive(Default)]
pub(crate) struct Line {
    /// In line.
    pub ready: VecDeque<Job>,
    /// Being tried.
    pub trying: usize,
}

impl Line {
    /// Whether its receiver takes so slowly that what stands in line does not move.
    pub fn slow(&self) -> bool {
        self.ready.front().is_some_and(|first| first.since.elapsed() > SLOW)
    }
}

/// How long the first in line may wait before its receiver counts as slow, and its line is sent to the ledger.
const SLOW: Duration = Duration::from_millis(500);
