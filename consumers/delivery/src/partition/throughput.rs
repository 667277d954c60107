//! The throughput of a slot: how far it is behind the stream, and how much it delivers for each queue.

use std::collections::{HashMap, VecDeque};

use billwire_schemas::{
    clock::Timestamp,
    delivery::Progress,
    ids::{QueueId, Slot},
};
use tokio::time::Instant;

/// The length of the window, in seconds.
const SECONDS: u64 = 60;

/// The counts of the latest minute of one queue.
struct Counts {
    since: Instant,
    /// Second, successes, failures; only seconds in which something happened.
    seconds: VecDeque<(u64, u64, u64)>,
    /// Messages pending, successes and failures as reported last.
    reported: Option<(u64, u64, u64)>,
}

impl Counts {
    fn new() -> Self {
        Self { since: Instant::now(), seconds: VecDeque::new(), reported: None }
    }

    fn count(&mut self, succeeded: bool) {
        let second = self.since.elapsed().as_secs();
        if self.seconds.back().is_none_or(|(last, ..)| *last != second) {
            self.seconds.push_back((second, 0, 0));
        }
        if let Some((_, successes, failures)) = self.seconds.back_mut() {
            *if succeeded { successes } else { failures } += 1;
        }
    }

    /// Successes and failures of the latest minute.
    fn latest(&mut self) -> (u64, u64) {
        let now = self.since.elapsed().as_secs();
        while self.seconds.front().is_some_and(|(second, ..)| second + SECONDS <= now) {
            self.seconds.pop_front();
        }
        self.seconds.iter().fold((0, 0), |(all, bad), (_, more, worse)| (all + more, bad + worse))
    }
}

/// The counts of a slot.
#[derive(Default)]
pub(crate) struct Throughput {
    queues: HashMap<QueueId, Counts>,
    /// Messages on the stream behind the last one pulled.
    pub pending: u64,
}

impl Throughput {
    /// Counts an attempt for a queue.
    pub fn count(&mut self, queue: QueueId, succeeded: bool) {
        self.queues.entry(queue).or_insert_with(Counts::new).count(succeeded);
    }

    /// The progress of each queue for which anything changed since the last call.
    pub fn changed(&mut self, slot: Slot, at: Timestamp) -> Vec<Progress> {
        let (mut changed, pending) = (Vec::new(), self.pending);
        self.queues.retain(|queue, counts| {
            let (delivered, failed) = counts.latest();
            let now = (pending, delivered, failed);
            if counts.reported != Some(now) {
                counts.reported = Some(now);
                changed.push(Progress { queue: *queue, slot, pending, delivered, failed, at });
            }
            now != (0, 0, 0)
        });
        changed
    }
}

#[cfg(test)]
mod tests {
    use billwire_schemas::ids::fresh;
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_minute_is_counted_for_each_queue_and_reported_when_it_changes() {
        let (mut throughput, queue, other) = (Throughput::default(), QueueId(fresh()), QueueId(fresh()));
        let slot = Slot::all().next().expect("a slot");
        let changed = |throughput: &mut Throughput| {
            let found = throughput.changed(slot, Timestamp::UNIX_EPOCH);
            found.iter().filter(|one| one.queue == queue).map(|one| (one.delivered, one.failed)).collect::<Vec<_>>()
        };
        assert_eq!(changed(&mut throughput), [], "nothing has happened yet");
        for _ in 0..30 {
            throughput.count(queue, true);
            throughput.count(other, false);
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        throughput.count(queue, false);
        assert_eq!(changed(&mut throughput), [(30, 1)]);
        assert_eq!(changed(&mut throughput), [], "reported once");
        tokio::time::advance(Duration::from_secs(40)).await;
        assert_eq!(changed(&mut throughput), [(19, 1)]);
        tokio::time::advance(Duration::from_secs(60)).await;
        assert_eq!(changed(&mut throughput), [(0, 0)], "so does silence");
        assert!(throughput.queues.is_empty(), "nothing is kept of silent queues");
    }
}
