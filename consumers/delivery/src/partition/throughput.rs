//! The throughput of a partition: how far it is behind the stream, and how much it delivers.

use std::collections::VecDeque;

use tokio::time::Instant;

/// The length of the window, in seconds.
const SECONDS: u64 = 60;

/// The counts of the latest minute.
pub(crate) struct Throughput {
    since: Instant,
    /// Second, successes, failures; only seconds in which something happened.
    seconds: VecDeque<(u64, u64, u64)>,
    /// Messages on the stream behind the last one pulled.
    pub pending: u64,
    /// What was reported last.
    reported: Option<(u64, u64, u64)>,
}

impl Default for Throughput {
    fn default() -> Self {
        Self { since: Instant::now(), seconds: VecDeque::new(), pending: 0, reported: None }
    }
}

impl Throughput {
    /// Counts an attempt.
    pub fn count(&mut self, succeeded: bool) {
        let second = self.since.elapsed().as_secs();
        if self.seconds.back().is_none_or(|(last, ..)| *last != second) {
            self.seconds.push_back((second, 0, 0));
        }
        if let Some((_, successes, failures)) = self.seconds.back_mut() {
            *if succeeded { successes } else { failures } += 1;
        }
        self.drop_old(second);
    }

    fn drop_old(&mut self, now: u64) {
        while self.seconds.front().is_some_and(|(second, ..)| second + SECONDS <= now) {
            self.seconds.pop_front();
        }
    }

    /// Messages pending, successes and failures of the latest minute, if any of them changed since the last call.
    pub fn changed(&mut self) -> Option<(u64, u64, u64)> {
        self.drop_old(self.since.elapsed().as_secs());
        let (delivered, failed) = self.seconds.iter().fold((0, 0), |(all, bad), (_, more, worse)| (all + more, bad + worse));
        let now = (self.pending, delivered, failed);
        let idle = self.reported.is_none() && now == (0, 0, 0);
        (self.reported != Some(now) && !idle).then(|| {
            self.reported = Some(now);
            now
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test(start_paused = true)]
    async fn a_minute_is_counted_and_reported_when_it_changes() {
        let mut throughput = Throughput::default();
        assert_eq!(throughput.changed(), None, "nothing has happened yet");
        for _ in 0..30 {
            throughput.count(true);
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        throughput.count(false);
        assert_eq!(throughput.changed(), Some((0, 30, 1)));
        assert_eq!(throughput.changed(), None, "reported once");
        tokio::time::advance(Duration::from_secs(40)).await;
        assert_eq!(throughput.changed(), Some((0, 19, 1)));
        tokio::time::advance(Duration::from_secs(60)).await;
        assert_eq!(throughput.changed(), Some((0, 0, 0)), "so does silence");
    }
}
