//! Rejected messages in the log: all are counted, and however many there are, the log stays readable.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::time::{Instant, sleep_until};

/// At most one line per this time.
const LOG_EVERY: Duration = Duration::from_secs(10);
/// Characters of a foreign text that are logged.
const SHOWN_MAX: usize = 200;

#[derive(Default)]
struct Count {
    total: u64,
    unlogged: u64,
    /// Until when nothing is logged; the task that set it logs the rest then.
    quiet_until: Option<Instant>,
}

/// The messages rejected by this process.
#[derive(Default)]
pub(crate) struct Rejections(Mutex<Count>);

impl Rejections {
    /// Counts a message and logs it, now or together with others.
    pub fn add(self: &Arc<Self>, subject: &str, id: &str, reason: &'static str) {
        let now = Instant::now();
        let due = self.count(|count| {
            count.total += 1;
            count.unlogged += 1;
            let quiet = count.quiet_until.is_some_and(|until| until > now);
            (!quiet).then(|| {
                count.quiet_until = Some(now + LOG_EVERY);
                (std::mem::take(&mut count.unlogged), count.total)
            })
        });
        let Some((count, total)) = due else { return };
        let (subject, id) = (shown(subject), shown(id));
        tracing::error!(subject, event.id = id, reason, count, total, "a message that the gateway did not make was rejected");
        let rejections = self.clone();
        tokio::spawn(async move {
            sleep_until(now + LOG_EVERY).await;
            let (count, total) = rejections.count(|count| (std::mem::take(&mut count.unlogged), count.total));
            if count > 0 {
                tracing::error!(reason = "several", count, total, "messages that the gateway did not make were rejected");
            }
        });
    }

    /// How many there were.
    pub fn total(&self) -> u64 {
        self.count(|count| count.total)
    }

    fn count<T>(&self, change: impl FnOnce(&mut Count) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn shown(text: &str) -> String {
    text.chars().take(SHOWN_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_line_in_ten_seconds_and_none_is_left_unlogged() {
        let rejections = Arc::new(Rejections::default());
        for _ in 0..5 {
            rejections.add("billing.x", "1", "no seal");
        }
        assert_eq!(rejections.count(|count| (count.total, count.unlogged)), (5, 4));
        tokio::time::sleep(LOG_EVERY + Duration::from_millis(1)).await;
        assert_eq!(rejections.count(|count| (count.total, count.unlogged)), (5, 0));
        rejections.add("billing.x", "1", "no seal");
        assert_eq!(rejections.count(|count| (count.total, count.unlogged)), (6, 0));
    }
}
